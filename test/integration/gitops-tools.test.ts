import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { Resources } from '../../src/kube/resources.js';
import { createKubeClient, type KubeObject } from '../../src/kube/index.js';
import { ArgoCd, type ApplicationOptions } from '../tools/argo-cd.js';
import { Flux, type IgnoreRule, type Item } from '../tools/flux.js';
import { startWorld } from './harness.js';
import { canary, deployment, service } from './manifests.js';
import { Reach } from './reach.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true, excused: /scaled to 0 while Service reviews selects its pods/ });
const client = await createKubeClient({ kubeconfig: world.kubeconfig, userAgent: 'gitops-tool' });
world.onStop(() => client.close());

const EVERY_MS = 1_000;
const exampleOf = <T>(path: string): T => parse(readFileSync(new URL(`../../examples/${path}`, import.meta.url), 'utf8')) as T;
const FLUX_RULES = exampleOf<{ spec: { ignore: IgnoreRule[] } }>('flux/kustomization.yaml').spec.ignore;
const { ignoreDifferences, syncPolicy: { syncOptions = [] } } = exampleOf<{ spec: ApplicationOptions & { syncPolicy: ApplicationOptions } }>('argo-cd/application.yaml').spec;

type Route = { route: { destination: { host: string }; weight?: number }[]; timeout?: string };
const virtualService = (more: Partial<Route> = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'reviews' },
  spec: { hosts: ['reviews'], http: [{ route: [{ destination: { host: 'reviews' } }], ...more }] },
});
const budget: KubeObject = {
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: 'reviews' },
  spec: { minAvailable: 1, selector: { matchLabels: { app: 'reviews' } } },
};
const autoscaler: KubeObject = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'reviews' },
  spec: { minReplicas: 2, maxReplicas: 9, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' } },
};

/** What is in Git: pods take a second to become ready, as real ones do at least. */
const inGit = (version: string): Item[] => [
  { resource: Resources.Deployment, manifest: deployment(`slow-${version}`, {}, 3) },
  { resource: Resources.Service, manifest: service() },
  { resource: Resources.PodDisruptionBudget, manifest: budget },
  { resource: Resources.HorizontalPodAutoscaler, manifest: autoscaler },
];
const withRoutes = (version: string, more: Partial<Route> = {}): Item[] => [...inGit(version), { resource: Resources.VirtualService, manifest: virtualService(more) }];
const OWN_ROUTES = { service: { virtualService: { name: 'reviews' } } };

/** The user's DestinationRule, in which Sluice lays the subsets of the slots. */
const withRule = (version: string, more: object = {}): Item[] => [
  ...inGit(version),
  {
    resource: Resources.DestinationRule,
    manifest: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: 'reviews' },
      spec: { host: 'reviews', subsets: [{ name: 'all', labels: { app: 'reviews' } }], ...more },
    },
  },
];
const SUBSETS = { service: { routing: 'subsets' } };
const subsetsOf = (rule: KubeObject | undefined): string[] => ((rule?.['spec'] as { subsets?: { name: string }[] } | undefined)?.subsets ?? []).map(({ name }) => name);

/** A tool that writes what is in Git every second, and what it wrote. */
class Loop {
  readonly wrote: string[] = [];
  #stopped = false;
  #running: Promise<void> = Promise.resolve();
  #look: Promise<void> = Promise.resolve();

  constructor(
    private readonly apply: (items: Item[]) => Promise<string[]>,
    public items: Item[],
  ) {}

  /** Looks once more, after whatever look is under way. */
  once(): Promise<void> {
    this.#look = this.#look.then(async () => void this.wrote.push(...(await this.apply(this.items))));
    return this.#look;
  }
  start(): void {
    this.#running = (async () => {
      while (!this.#stopped) {
        await this.once();
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      }
    })();
  }
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
  /** Commits another version and lets go of what was written before. */
  async commit(items: Item[]): Promise<void> {
    await this.#look;
    this.items = items;
    this.wrote.length = 0;
  }
}

type Tool = (shop: Shop) => Loop['apply'];
const flux =
  (rules: IgnoreRule[] = []): Tool =>
  ({ namespace }) => {
    const tool = new Flux(client, namespace, rules);
    return (items) => tool.reconcile(items);
  };
const argo =
  (options: ApplicationOptions = {}): Tool =>
  ({ namespace }) => {
    const tool = new ArgoCd(client, namespace, options);
    return (items) => tool.heal(items);
  };

/** A target that a tool has applied and a Canary has adopted; from then on the tool looks every second. */
async function synced(tool: Tool, items: Item[], spec: Parameters<typeof canary>[0] = {}): Promise<{ shop: Shop; loop: Loop; reach: Reach }> {
  const shop = await world.shop();
  const loop = new Loop(tool(shop), items);
  await loop.once();
  await shop.see('the target runs', () => shop.endpoints('reviews') === 3);
  shop.put(canary(spec));
  await shop.phase('Initialized');
  await shop.see('the target runs no pods', () => shop.replicas('reviews') === 0);
  const reach = new Reach(world.server.store, shop);
  world.onStop(() => reach.stop());
  loop.start();
  world.onStop(() => loop.stop());
  return { shop, loop, reach };
}

const FIELDS = [
  'spec.replicas of Deployment reviews',
  'spec.scaleTargetRef of HorizontalPodAutoscaler reviews',
  'spec.selector of PodDisruptionBudget reviews',
  'spec.selector of Service reviews',
];

/** What every object says while a Canary manages it. */
async function overlaid(shop: Shop, slot: string): Promise<void> {
  await shop.see('overlays in place', () => shop.replicas('reviews') === 0 && shop.selector()['sluice.dev/slot'] === slot);
  await shop.see('the autoscaler to name the Canary', () => shop.spec<{ scaleTargetRef: { kind: string } }>(Resources.HorizontalPodAutoscaler)?.scaleTargetRef.kind === 'Canary');
  await shop.see('the budget of the slot', () => shop.spec<{ selector: { matchLabels: Record<string, string> } }>(Resources.PodDisruptionBudget)?.selector.matchLabels['sluice.dev/slot'] === slot);
}

describe.concurrent('a tool that writes every second against the overlays', () => {
  it.each([
    ['Flux', flux(), 'kustomize-controller', 'in the Flux Kustomization, add to spec.ignore', FIELDS],
    ['Argo CD with server-side apply', argo({ syncOptions: ['ServerSideApply=true'] }), 'argocd-controller', 'in the Argo CD Application, add to spec.ignoreDifferences', FIELDS],
    // Its three-way merge leaves keys alone that it never wrote.
    ['Argo CD with client-side apply', argo(), 'argocd-controller', 'in the Argo CD Application, add to spec.ignoreDifferences', FIELDS.slice(0, 2)],
  ])('%s: no request reaches a pod that was not analysed, the release ends well, and the tool is named with what ends it', async (_, tool, manager, line, fields) => {
    const { shop, loop, reach } = await synced(tool, inGit('v1'));
    await loop.commit(inGit('v2'));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    const contested = await shop.see('the condition', () => {
      const found = shop.condition('Contested');
      return found?.status === 'True' && fields.every((field) => found.message.includes(field)) && found;
    });
    expect(contested.message).toContain(`${manager} resets `);
    expect(contested.message).toContain(line);
    await shop.see('it to come back again and again', () => loop.wrote.filter((name) => name === 'Deployment/reviews').length > 3);
    await loop.stop();
    await overlaid(shop, 'green');
    expect(shop.canary?.spec.replicas).toBe(3);
    expect(reach.meshWithout).toEqual([]);
    expect(reach.ofTarget).toEqual([]);
  });
});

/** Every recipe of docs/flux.md and docs/argo-cd.md, and the way of applying that it is for. */
const RECIPES: [string, Tool][] = [
  ['Flux with spec.ignore', flux(FLUX_RULES)],
  ['Argo CD with client-side apply', argo({ ignoreDifferences, syncOptions })],
  ['Argo CD with server-side apply', argo({ ignoreDifferences, syncOptions: [...syncOptions, 'ServerSideApply=true'] })],
];

describe.concurrent('the recipe', () => {
  it.each(RECIPES)('of %s: the tool sees no drift, what is committed arrives, and callers meet only what they should', async (_, tool) => {
    const { shop, loop, reach } = await synced(tool, withRoutes('v1'), OWN_ROUTES);
    await loop.commit(withRoutes('v2'));
    await shop.weight(20);
    // A field of the same object that is not ignored.
    const grown = withRoutes('v2').map(({ resource, manifest }) => ({ resource, manifest: manifest === autoscaler ? { ...autoscaler, spec: { ...(autoscaler['spec'] as object), maxReplicas: 12 } } : manifest }));
    loop.items = grown;
    await shop.see('the edit', () => shop.spec<{ maxReplicas: number }>(Resources.HorizontalPodAutoscaler)?.maxReplicas === 12);
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    await overlaid(shop, 'green');
    await loop.stop();
    expect([...new Set(loop.wrote)]).toEqual(expect.arrayContaining(['Deployment/reviews', 'HorizontalPodAutoscaler/reviews']));
    // Between its look and its write, the selectors may have moved once, at the promotion.
    expect(loop.wrote.length).toBeLessThanOrEqual(4);
    loop.wrote.length = 0;
    await loop.once();
    expect(loop.wrote).toEqual([]);
    expect(shop.condition('Contested')).toBeUndefined();
    expect([...reach.meshWithout, ...reach.ofTarget, ...reach.ofCanary]).toEqual([]);
  });

  it.each(RECIPES)('of %s costs the sync of what is ignored: routes that are committed do not arrive', async (_, tool) => {
    const { shop, loop } = await synced(tool, withRoutes('v1'), OWN_ROUTES);
    const before = shop.get(Resources.VirtualService)?.metadata.resourceVersion;
    await loop.commit(withRoutes('v1', { timeout: '3s' }));
    await loop.once();
    expect(loop.wrote).toEqual([]);
    expect(shop.get(Resources.VirtualService)?.metadata.resourceVersion).toBe(before);
  });

  it.each(RECIPES)('of %s covers a DestinationRule with subsets', async (_, tool) => {
    const { shop, loop } = await synced(tool, withRule('v1'), SUBSETS);
    await loop.commit(withRule('v2', { trafficPolicy: { connectionPool: { http: { maxRetries: 4 } } } }));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    await loop.stop();
    expect(shop.spec<{ trafficPolicy?: object }>(Resources.DestinationRule)?.trafficPolicy).toEqual({ connectionPool: { http: { maxRetries: 4 } } });
    expect(subsetsOf(shop.get(Resources.DestinationRule))).toEqual(['all', 'blue', 'green']);
    loop.wrote.length = 0;
    await loop.once();
    expect(loop.wrote).toEqual([]);
    expect(shop.condition('Contested')).toBeUndefined();
  });

  it('of Flux before 2.9: replicas out of Git, the rest applied once', async () => {
    const once = (items: Item[]): Item[] =>
      items.map(({ resource, manifest }) => {
        if (manifest.kind !== 'Deployment') return { resource, manifest: { ...manifest, metadata: { ...manifest.metadata, annotations: { 'kustomize.toolkit.fluxcd.io/ssa': 'IfNotPresent' } } } };
        const { replicas: _replicas, ...spec } = manifest['spec'] as Record<string, unknown>;
        return { resource, manifest: { ...manifest, spec } };
      });
    const { shop, loop } = await synced(flux(), withRoutes('v1'), OWN_ROUTES);
    await loop.commit(once(withRoutes('v2')));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect(shop.canary?.spec.replicas).toBe(3);
    await loop.stop();
    expect(loop.wrote.filter((name) => name !== 'Deployment/reviews')).toEqual([]);
    const overlaying = loop.wrote.length;
    await loop.once();
    expect(loop.wrote.length).toBe(overlaying);
  });

  it('of Argo CD needs RespectIgnoreDifferences: without it, a sync for any other reason writes the ignored fields, and is named', async () => {
    const { shop, loop } = await synced(argo({ ignoreDifferences }), inGit('v1'));
    await loop.once();
    expect(shop.condition('Contested')).toBeUndefined();
    await loop.commit(inGit('v2'));
    const { message } = await shop.reason('Contested', 'OverlayRestored');
    expect(message).toContain('argocd-controller resets spec.replicas of Deployment reviews');
    expect(message).toContain('RespectIgnoreDifferences=true');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });

  it('spec.replicas may leave Git while Argo CD applies on the client: the 1 of the server is nobody’s wish', async () => {
    const { shop, loop } = await synced(argo(), inGit('v1'));
    const bare = deployment('slow-v1');
    const { replicas: _, ...spec } = bare['spec'] as Record<string, unknown>;
    await loop.commit([{ resource: Resources.Deployment, manifest: { ...bare, spec } }, ...inGit('v1').slice(1)]);
    await shop.see('it is written', () => loop.wrote.includes('Deployment/reviews'));
    await loop.stop();
    await shop.see('the target runs no pods', () => shop.replicas('reviews') === 0);
    expect(shop.canary?.spec.replicas).toBe(3);
    expect(shop.replicas('reviews-blue')).toBe(3);
  });
});

describe.concurrent('routes of the user that a tool writes every second', () => {
  const APPROVED = { ...OWN_ROUTES, analysis: { stepWeights: undefined, steps: [{ weight: 30, approve: true }] } };
  const ours = { 'reviews-blue': 70, 'reviews-green': 30 };

  it.each([
    ['Flux', flux(), 'kustomize-controller'],
    ['Argo CD with client-side apply', argo(), 'argocd-controller'],
    ['Argo CD with server-side apply', argo({ syncOptions: ['ServerSideApply=true'] }), 'argocd-controller'],
  ])('%s: the weights are back with the next write, edits are merged in, and the tool is named', async (_, tool, manager) => {
    const { shop, loop } = await synced(tool, withRoutes('v1'), APPROVED);
    await loop.commit(withRoutes('v2'));
    await shop.see('weight 30', () => shop.weights['reviews-green'] === 30);
    const versions: Record<string, number>[] = [];
    const stop = world.server.store.watch(Resources.VirtualService, () => void versions.push(shop.weights), { namespace: shop.namespace });
    loop.items = withRoutes('v2', { timeout: '3s' });
    await shop.see('three resets', () => versions.filter((weights) => weights['reviews'] === 100).length >= 3);
    await loop.stop();
    await shop.see('the weights', () => shop.weights['reviews-green'] === 30);
    stop();
    // Whatever the tool wrote, the very next version has the weights of the step.
    for (const [index, weights] of versions.entries()) if (weights['reviews'] === 100) expect(versions[index + 1]).toEqual(ours);
    expect(shop.spec<{ http: Route[] }>(Resources.VirtualService)?.http[0]?.timeout).toBe('3s');
    expect(shop.condition('Contested')?.message).toContain(`${manager} resets`);
    expect(shop.condition('Contested')?.message).toContain('spec.http of VirtualService reviews');
    expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
    expect(shop.history).toEqual([]);
  });
});

describe.concurrent('a DestinationRule of the user that a tool writes every second', () => {
  it.each([
    ['Flux', flux(), 'kustomize-controller', '{paths: [/spec/subsets], target: {kind: DestinationRule, name: reviews}}'],
    ['Argo CD with client-side apply', argo(), 'argocd-controller', '{group: networking.istio.io, kind: DestinationRule, name: reviews, jsonPointers: [/spec/subsets]}'],
    ['Argo CD with server-side apply', argo({ syncOptions: ['ServerSideApply=true'] }), 'argocd-controller', '{group: networking.istio.io, kind: DestinationRule, name: reviews, jsonPointers: [/spec/subsets]}'],
  ])('%s: the subsets are back with the next write, edits are merged in, and the tool is named', async (_, tool, manager, line) => {
    const { shop, loop } = await synced(tool, withRule('v1'), SUBSETS);
    const versions: string[][] = [];
    const stop = world.server.store.watch(
      Resources.DestinationRule,
      (event) => void (event.type === 'MODIFIED' && versions.push(subsetsOf(event.object))),
      { namespace: shop.namespace },
    );
    loop.items = withRule('v1', { trafficPolicy: { tls: { mode: 'DISABLE' } } });
    await shop.see('three resets', () => versions.filter((names) => names.length === 1).length >= 3);
    const { message } = await shop.reason('Contested', 'OverlayRestored');
    expect(message).toContain(`${manager} resets`);
    expect(message).toContain('spec.subsets of DestinationRule reviews');
    expect(message).toContain(line);
    await loop.stop();
    await shop.see('the subsets', () => subsetsOf(shop.get(Resources.DestinationRule)).length === 3);
    stop();
    // Whatever the tool wrote, the very next version has the subsets of both slots.
    for (const [index, names] of versions.entries()) if (names.length === 1) expect(versions[index + 1]).toEqual(['all', 'blue', 'green']);
    expect(shop.spec<{ trafficPolicy?: object }>(Resources.DestinationRule)?.trafficPolicy).toEqual({ tls: { mode: 'DISABLE' } });
    expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
    expect(shop.history).toEqual([]);
  });
});
