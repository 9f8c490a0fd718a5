import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Annotations, SluiceResources, type Canary } from '../../../src/api/index.js';
import { createInformer, Resources } from '../../../src/kube/index.js';
import { ArgoCd } from '../../tools/argo-cd.js';
import { Flux, type Item } from '../../tools/flux.js';
import { fluxHealth } from '../../tools/health.js';
import { PROGRAM } from '../build.js';
import { readyAfter, TrapWorld, type App } from './world.js';

const execute = promisify(execFile);

let world: TrapWorld;
beforeAll(async () => {
  world = await TrapWorld.start();
});
afterAll(() => world?.stop());

const config = (namespace: string, value: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', namespace },
  data: { value },
});
const withConfig = {
  spec: { containers: [{ name: 'shop', image: 'shop:1', envFrom: [{ configMapRef: { name: 'settings' } }] }] },
};

describe.concurrent('G2: health checks of other tools read a condition that they misunderstand', () => {
  interface Seen {
    ready: string;
    stalled: string;
    progressing: string;
  }
  /** Every state of the conditions that anybody could have seen. */
  async function watching(app: App): Promise<{ seen: Seen[]; end: () => void }> {
    const ending = new AbortController();
    const seen: Seen[] = [];
    const informer = createInformer<Canary>(app.client, SluiceResources.Canary, { namespace: app.namespace });
    informer.onChange((_, canary) => {
      const of = (type: string) => canary?.status?.conditions?.find((item) => item.type === type);
      if (canary)
        seen.push({
          ready: of('Ready')?.status ?? '',
          stalled: of('Stalled')?.status ?? '',
          progressing: of('Progressing')?.reason ?? '',
        });
    });
    informer.start(ending.signal);
    await informer.whenSynced();
    return { seen, end: () => ending.abort() };
  }

  it('a run, a hold without data and an outage of the metrics leave Ready True and Stalled False; the reason is in Progressing', async () => {
    // The first metrics server answers that there is no data; of the second, nothing is there.
    const gone = await new Promise<Server>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
    });
    const { port } = gone.address() as AddressInfo;
    gone.close();
    const app = await world.app('g2');
    await app.adopt({ canary: { analysis: { metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }] } } });
    const { seen, end } = await watching(app);
    await app.change();
    await world.until('the hold', async () => (await app.condition('Progressing')).reason === 'NotEnoughData');
    await app.client.patch(
      SluiceResources.Canary,
      'g2',
      'shop',
      { spec: { metricsServer: `http://127.0.0.1:${port}` } },
      'merge',
    );
    await world.until('the outage', async () => (await app.condition('Progressing')).reason === 'MetricsUnavailable');
    await app.client.patch(SluiceResources.Canary, 'g2', 'shop', { spec: { analysis: { metrics: [] } } }, 'merge');
    expect((await app.ended(1)).result).toBe('Succeeded');
    end();
    expect(new Set(seen.map(({ ready }) => ready))).toEqual(new Set(['True']));
    expect(new Set(seen.map(({ stalled }) => stalled))).toEqual(new Set(['False']));
    expect(seen.map(({ progressing }) => progressing)).toEqual(expect.arrayContaining(['NotEnoughData', 'MetricsUnavailable']));
  });

  it('sluice wait --commit waits for that release, whatever the condition says of the one before', async () => {
    const app = await world.app('g2-wait');
    await app.deploy();
    const commit = (sha: string) =>
      app.client.patch(
        Resources.Deployment,
        'g2-wait',
        'shop',
        { metadata: { annotations: { [Annotations.commit]: sha, [Annotations.syncedAt]: new Date().toISOString() } } },
        'merge',
      );
    const [first, second, third] = ['1', '2', '3'].map((digit) => digit.repeat(40));
    await commit(first ?? '');
    await app.createCanary();
    await app.adopted();
    const wait = (sha: string | undefined, timeout: string): Promise<number> =>
      execute(
        process.execPath,
        [PROGRAM, 'wait', 'shop', '--namespace', 'g2-wait', '--commit', sha ?? '', '--timeout', timeout],
        { env: { PATH: process.env['PATH'] ?? '', HOME: world.dir, KUBECONFIG: world.plane.kubeconfig } },
      ).then(
        () => 0,
        (error: { code?: number }) => error.code ?? -1,
      );
    await commit(second ?? '');
    await app.change();
    expect(await wait(second, '40s')).toBe(0);
    expect(await app.condition('Promoted')).toMatchObject({ status: 'True' });
    // The next one is held before it begins: the condition is still that of the second.
    await app.client.patch(SluiceResources.Canary, 'g2-wait', 'shop', { spec: { suspend: true } }, 'merge');
    await commit(third ?? '');
    await app.change();
    await world.until('the hold', async () => (await app.condition('Progressing')).reason === 'Suspended');
    expect(await app.condition('Promoted')).toMatchObject({ status: 'True' });
    expect(await wait(third, '3s'), 'a wait for a release that has not happened').not.toBe(0);
    const waiting = wait(third, '40s');
    await app.client.patch(SluiceResources.Canary, 'g2-wait', 'shop', { spec: { suspend: false } }, 'merge');
    expect(await waiting).toBe(0);
  });

  it('the health checks for Flux tell a release under way from one that ended well or badly', async () => {
    const health = async (app: App): Promise<string> => fluxHealth(await app.canary());
    const app = await world.app('g2-flux');
    await app.adopt({ canary: { analysis: { stepWeights: null, steps: [{ weight: 50, approve: true }] } } });
    await world.until('health after the adoption', async () => (await health(app)) === 'Current');
    await app.change();
    await app.weight(50);
    expect(await health(app)).toBe('InProgress');
    await app.act('approve');
    await app.ended(1);
    await world.until('health after the promotion', async () => (await health(app)) === 'Current');
    await app.change();
    await app.weight(50);
    await app.act('abort');
    await app.ended(2);
    expect(await health(app)).toBe('Failed');
  });

  it('what a person must fix is Stalled, and ends with its mending', async () => {
    const app = await world.app('g2-stalled');
    await app.deploy({ template: withConfig });
    await app.createCanary();
    const { message } = await world.until('the condition', async () => {
      const stalled = await app.condition('Stalled');
      return stalled.status === 'True' && stalled;
    });
    expect(message).toContain('ConfigMap settings');
    await app.client.create(Resources.ConfigMap, config('g2-stalled', 'one'));
    await app.adopted();
    expect(await app.condition('Stalled')).toMatchObject({ status: 'False' });
  });
});

describe.concurrent('G3: one commit is several writes', () => {
  it('a ConfigMap and, later, the Deployment: one revision, one run, and nothing that was never in Git', async () => {
    const app = await world.app('g3');
    await app.client.create(Resources.ConfigMap, config('g3', 'one'));
    await app.adopt({ template: withConfig, canary: { revisions: { settle: '1s' } } });
    await app.client.patch(Resources.ConfigMap, 'g3', 'settings', { data: { value: 'two' } }, 'merge');
    await new Promise((resolve) => setTimeout(resolve, 400));
    const image = await app.change();
    const entry = await app.ended(1);
    expect(entry.result).toBe('Succeeded');
    const revisions = (
      await app.client.list(Resources.ControllerRevision, { namespace: 'g3', labelSelector: 'sluice.dev/canary=shop' })
    ).items;
    const made = revisions.map((revision) => {
      const { template, configs } = revision['data'] as {
        template: { spec: { containers: { image: string }[] } };
        configs: { snapshot: string }[];
      };
      return { image: template.spec.containers[0]?.image, snapshot: configs[0]?.snapshot };
    });
    const values = await Promise.all(
      made.map(async ({ image: of, snapshot }) =>
        [of, ((await app.get(Resources.ConfigMap, snapshot ?? ''))['data'] as { value: string }).value].join(' '),
      ),
    );
    expect(values.toSorted()).toEqual(['shop:1 one', `${image} two`]);
    expect((await app.canary()).status?.history).toHaveLength(1);
  });

  it('a ConfigMap alone is a commit too', async () => {
    const app = await world.app('g3-config');
    await app.client.create(Resources.ConfigMap, config('g3-config', 'one'));
    await app.adopt({ template: withConfig });
    await app.client.patch(Resources.ConfigMap, 'g3-config', 'settings', { data: { value: 'two' } }, 'merge');
    expect((await app.ended(1)).result).toBe('Succeeded');
  });
});

describe.concurrent('G1: a tool that writes what is in Git, every second', () => {
  const labels = { app: 'shop' };
  /** Pods take a second to become ready, as real ones do at least. */
  const inGit = (app: App, image: string): Item[] => {
    const of = (apiVersion: string, kind: string, spec: object) => ({ apiVersion, kind, metadata: { name: 'shop' }, spec });
    return [
      { resource: Resources.Deployment, manifest: of('apps/v1', 'Deployment', { replicas: 3, selector: { matchLabels: labels }, template: app.template(image, readyAfter(1_000)) }) },
      { resource: Resources.Service, manifest: of('v1', 'Service', { selector: labels, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }) },
      { resource: Resources.PodDisruptionBudget, manifest: of('policy/v1', 'PodDisruptionBudget', { minAvailable: 1, selector: { matchLabels: labels } }) },
      {
        resource: Resources.HorizontalPodAutoscaler,
        manifest: of('autoscaling/v2', 'HorizontalPodAutoscaler', {
          minReplicas: 3,
          maxReplicas: 9,
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop' },
          metrics: [{ type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } } }],
        }),
      },
    ];
  };

  it.each([
    ['g1-flux', (app: App) => (items: Item[]) => new Flux(app.client, app.namespace).reconcile(items), 'kustomize-controller', ['Service', 'PodDisruptionBudget']],
    ['g1-argo-server', (app: App) => (items: Item[]) => new ArgoCd(app.client, app.namespace, { syncOptions: ['ServerSideApply=true'] }).heal(items), 'argocd-controller', ['Service', 'PodDisruptionBudget']],
    // Its three-way merge leaves keys alone that it never wrote.
    ['g1-argo-client', (app: App) => (items: Item[]) => new ArgoCd(app.client, app.namespace).heal(items), 'argocd-controller', []],
  ] as const)('%s: no pod of the target is ever called, and the tool is named for every field', async (namespace, tool, manager, more) => {
    const app = await world.app(namespace);
    const apply = tool(app);
    let items = inGit(app, 'shop:1');
    await apply(items);
    await world.until('the target', async () => (await app.endpoints('shop')).length === 3);
    await app.createCanary();
    await app.adopted();
    const ending = new AbortController();
    const called: string[] = [];
    const slices = createInformer(app.client, Resources.EndpointSlice, { namespace, labelSelector: 'kubernetes.io/service-name=shop' });
    slices.start(ending.signal);
    await slices.whenSynced();
    await world.until('the target to be empty', async () => (await app.pods('app=shop,!sluice.dev/slot')).length === 0);
    slices.onChange((_, slice) => {
      const endpoints = (slice?.['endpoints'] ?? []) as { conditions?: { ready?: boolean }; targetRef?: { name: string } }[];
      for (const { conditions, targetRef } of endpoints)
        if (conditions?.ready !== false && !/^shop-(blue|green)-/.test(targetRef?.name ?? '')) called.push(targetRef?.name ?? '');
    });
    const wrote: string[] = [];
    const running = (async () => {
      while (!ending.signal.aborted) {
        wrote.push(...(await apply(items)));
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    })();
    try {
      items = inGit(app, 'shop:2');
      const fields = ['spec.replicas of Deployment shop', 'spec.scaleTargetRef of HorizontalPodAutoscaler shop', ...more.map((kind) => `spec.selector of ${kind} shop`)];
      const { message } = await world.until('the condition', async () => {
        const found = await app.condition('Contested');
        return found.status === 'True' && fields.every((field) => found.message.includes(field)) && found;
      });
      expect(message).toContain(`${manager} resets `);
      await world.until('many writes', () => wrote.filter((name) => name === 'Deployment/shop').length > 5);
      expect((await app.canary()).spec.replicas).toBe(3);
    } finally {
      ending.abort();
      await running;
    }
    expect(called, 'pods of the target itself behind the Service').toEqual([]);
    await world.until('the overlays', async () => {
      const [deployment, service] = await Promise.all([app.get(Resources.Deployment, 'shop'), app.get(Resources.Service, 'shop')]);
      return (deployment['spec'] as { replicas: number }).replicas === 0 && /"sluice.dev\/slot":"(blue|green)"/.test(JSON.stringify(service['spec']));
    });
  });
});
