import { describe, expect, it, vi } from 'vitest';
import { Labels, SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import type { KubeObject } from '../../src/kube/types.js';
import { startWorld } from './harness.js';
import { canary, deployment, image, service } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

const ON_BLUE = { 'reviews-blue': 100, 'reviews-green': 0 };
const ON_GREEN = { 'reviews-blue': 0, 'reviews-green': 100 };
const subject = (spec: Record<string, unknown> = {}): KubeObject => canary({ targetRef: { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'reviews' }, ...spec });

function daemonSet(version = 'v1', nodeSelector?: Record<string, string>): KubeObject {
  const { spec, ...rest } = deployment(version) as KubeObject & { spec: { selector: unknown; template: { spec: object } } };
  const template = { ...spec.template, spec: { ...spec.template.spec, ...(nodeSelector ? { nodeSelector } : {}) } };
  return { ...rest, kind: 'DaemonSet', spec: { selector: spec.selector, template } };
}

interface Template {
  spec: { nodeSelector?: Record<string, string>; containers: { image: string }[] };
}
const templateOf = (shop: Shop, name = 'reviews'): Template | undefined => shop.spec<{ template: Template }>(Resources.DaemonSet, name)?.template;
const isAway = (shop: Shop, name = 'reviews'): boolean => Labels.nowhere in (templateOf(shop, name)?.spec.nodeSelector ?? {});
const pods = (shop: Shop, slot: string): string[] => world.server.store.list(Resources.Pod, { namespace: shop.namespace, labelSelector: `sluice.dev/slot=${slot}` }).map(({ metadata }) => metadata.uid ?? '');

function release(shop: Shop, version: string): void {
  const [container] = templateOf(shop)?.spec.containers ?? [];
  shop.merge(Resources.DaemonSet, 'reviews', { spec: { template: { spec: { containers: [{ ...container, image: image(version) }] } } } });
}

async function adopted(shop: Shop, target = daemonSet()): Promise<void> {
  shop.put(target);
  shop.put(service());
  await shop.see('the target runs', () => shop.endpoints('reviews') > 0);
  shop.put(subject());
  await shop.phase('Initialized');
  await shop.see('the target runs no pods', () => isAway(shop));
}

describe.concurrent('a DaemonSet', () => {
  it('is adopted without a moment in which nobody serves', async () => {
    const shop = await world.shop();
    shop.put(daemonSet());
    shop.put(service());
    await shop.see('the target runs', () => shop.endpoints('reviews') > 0);
    shop.guard();
    shop.put(subject());
    await shop.phase('Initialized');
    await shop.see('the target runs no pods', () => isAway(shop));
    expect(shop.weights).toEqual(ON_BLUE);
    expect(isAway(shop, 'reviews-blue')).toBe(false);
    expect(shop.canary?.spec.replicas).toBeUndefined();
    expect(shop.get(Resources.Deployment, 'reviews-blue')).toBeUndefined();
  });

  it('is promoted with the pods that were tested, and the old version gets no pods any more', async () => {
    const shop = await world.shop();
    await adopted(shop);
    shop.guard();
    release(shop, 'v2');
    await shop.weight(20);
    const tested = pods(shop, 'green');
    expect(tested).toHaveLength(1);
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    expect(shop.weights).toEqual(ON_GREEN);
    expect(pods(shop, 'green')).toEqual(tested);
    await shop.see('the old version runs nowhere', () => isAway(shop, 'reviews-blue') && pods(shop, 'blue').length === 0);
    release(shop, 'v3');
    expect(await shop.ended(2)).toMatchObject({ result: 'Succeeded' });
    expect(shop.images('blue')).toEqual([image('v3')]);
  });

  it('is taken back when callers get errors', async () => {
    const shop = await world.shop();
    await adopted(shop);
    shop.guard();
    shop.health({ errorRate: 0.1 }, ['green']);
    release(shop, 'bad');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [20] });
    expect(shop.weights).toEqual(ON_BLUE);
    await shop.see('the bad version runs nowhere', () => pods(shop, 'green').length === 0);
  });

  it('that never becomes ready gets no traffic', async () => {
    const shop = await world.shop();
    shop.put(daemonSet());
    shop.put(service());
    await shop.see('the target runs', () => shop.endpoints('reviews') > 0);
    shop.put(subject({ progressDeadlineSeconds: 2 }));
    await shop.phase('Initialized');
    release(shop, 'broken');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', weights: [] });
  });

  it('gets its template back as it was, nodeSelector included, when the Canary goes', async () => {
    const shop = await world.shop();
    const label = { 'kubernetes.io/os': 'linux' };
    await adopted(shop, daemonSet('v1', label));
    expect(templateOf(shop)?.spec.nodeSelector).toEqual({ ...label, [Labels.nowhere]: 'true' });
    expect(templateOf(shop, 'reviews-blue')?.spec.nodeSelector).toEqual(label);
    shop.guard();
    shop.remove(SluiceResources.Canary);
    await shop.see('the Canary is gone', () => shop.canary === undefined);
    expect(templateOf(shop)?.spec.nodeSelector).toEqual(label);
    expect(shop.get(Resources.DaemonSet, 'reviews-blue')).toBeUndefined();
    expect(shop.endpoints('reviews')).toBe(1);
  });

  it('has no number of replicas: one that is written is refused', async () => {
    const shop = await world.shop();
    expect(() => shop.put(subject({ replicas: 3 }))).toThrow(/a DaemonSet has a pod on every node: leave replicas and canaryReplicas out/);
  });
});
