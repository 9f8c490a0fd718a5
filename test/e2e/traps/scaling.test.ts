import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceResources, type SlotName } from '../../../src/api/index.js';
import { KubeError, Resources, type KubeObject } from '../../../src/kube/index.js';
import { autoscaler, isActive, METRICS_API, reportMemory, startScaling, statusOf, stays } from './autoscaling.js';
import { readyAfter, type App, type TrapWorld } from './world.js';

const SLOT = 'sluice.dev/slot';

let world: TrapWorld;
beforeAll(async () => {
  world = await startScaling(METRICS_API);
});
afterAll(() => world?.stop());

describe.concurrent('K3: an autoscaler counts the pods that the selector matches', () => {
  it('is led to the Canary, whose selector covers only slots with weight: idle pods of the other slot change nothing', async () => {
    const app = await world.app('k3');
    await app.deploy({ replicas: 4 });
    await app.client.create(Resources.HorizontalPodAutoscaler, autoscaler('k3'));
    const written = (await app.get(Resources.HorizontalPodAutoscaler, 'shop'))['spec'];
    let idle: SlotName | undefined = 'green';
    // The pods of the slot that does not serve leak.
    const leaking = reportMemory(app, (pod) => (idle !== undefined && pod.metadata.labels?.[SLOT] === idle ? 400 : 100));
    try {
      // It scales the Deployment already when the Canary comes.
      await world.until('an autoscaler that is active before the adoption', () => isActive(app));
      await app.createCanary({ revisions: { warmFor: '10m' } });
      await app.adopted();
      await world.until('the autoscaler to speak of the Canary', async () =>
        JSON.stringify((await app.get(Resources.HorizontalPodAutoscaler, 'shop'))['spec']).includes('"kind":"Canary"'),
      );
      await world.until('an active autoscaler', () => isActive(app));
      await stays(app, 4);
      idle = undefined;
      await app.change();
      await app.ended(1);
      expect(await app.stableSlot()).toBe('green');
      idle = 'blue';
      expect(await app.pods(`${SLOT}=${idle}`), 'warm pods').toHaveLength(4);
      const scale = (await app.client.raw('/apis/sluice.dev/v1beta1/namespaces/k3/canaries/shop/scale')) as {
        status: { selector: string; replicas: number };
      };
      expect(scale.status).toMatchObject({ replicas: 4 });
      expect(scale.status.selector).toContain('green');
      expect(scale.status.selector).not.toContain(idle);
      await stays(app, 4);
      expect((await statusOf(app)).conditions?.find(({ type }) => type === 'ScalingActive')).toMatchObject({ status: 'True' });
    } finally {
      leaking();
    }
    // What the pods that serve need counts, and reaches them.
    const growing = reportMemory(app, () => 150);
    try {
      await world.until('more pods that serve', async () => (await app.pods(`${SLOT}=green`)).length >= 6);
    } finally {
      growing();
    }
    await app.remove();
    expect((await app.get(Resources.HorizontalPodAutoscaler, 'shop'))['spec']).toEqual(written);
  });

  it('constant load keeps the number constant in the middle of a release, when both slots are counted', async () => {
    const app = await world.app('k3-run');
    await app.deploy({ replicas: 4 });
    await app.client.create(Resources.HorizontalPodAutoscaler, autoscaler('k3-run'));
    const end = reportMemory(app, () => 100);
    try {
      await app.createCanary({ analysis: { stepWeights: null, steps: [{ weight: 50, approve: true }] } });
      await app.adopted();
      await app.change();
      await app.weight(50);
      await stays(app, 4);
      await app.act('approve');
      await app.ended(1);
      await stays(app, 4, 3_000);
    } finally {
      end();
    }
  });
});

describe.concurrent('K3: memory does not fall because there are more pods', () => {
  it('in the middle of a release, the pods of both versions are not asked for twice, and real growth comes', async () => {
    const app = await world.app('k3-growth');
    await app.deploy({ replicas: 4 });
    await app.client.create(Resources.HorizontalPodAutoscaler, autoscaler('k3-growth'));
    // 85 % of the target on each pod: four pods are right, and eight that are matched would give seven.
    let mebibytes = 85;
    const end = reportMemory(app, () => mebibytes);
    try {
      await app.createCanary({ analysis: { stepWeights: null, steps: [{ weight: 50, approve: true }] } });
      await app.adopted();
      await app.change();
      await app.weight(50);
      await world.until('the autoscaler to ask for more', async () => ((await statusOf(app)).desiredReplicas ?? 0) > 4);
      const until = Date.now() + 6_000;
      while (Date.now() < until) {
        expect((await app.pods('app=shop')).length, 'pods of both versions').toBe(8);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      mebibytes = 130;
      await world.until('growth on both sides', async () => (await app.pods('app=shop')).length >= 10);
      mebibytes = 95;
      await app.act('approve');
      expect((await app.ended(1)).result).toBe('Succeeded');
    } finally {
      end();
    }
  });

  it('an autoscaler that gets no metrics holds the release, and lets it go on when it does', async () => {
    const app = await world.app('k3-blind');
    await app.deploy({ replicas: 2 });
    await app.client.create(Resources.HorizontalPodAutoscaler, autoscaler('k3-blind'));
    await app.createCanary();
    await app.adopted();
    await world.until('an autoscaler that says so', async () =>
      (await statusOf(app)).conditions?.some(({ type, status }) => type === 'ScalingActive' && status === 'False'),
    );
    await app.change();
    const { message } = await world.until('the hold', async () => {
      const progressing = await app.condition('Progressing');
      return progressing.reason === 'AutoscalerInactive' && progressing;
    });
    expect(message).toContain('HorizontalPodAutoscaler shop cannot scale (ScalingActive is False: FailedGetResourceMetric');
    const end = reportMemory(app, () => 100);
    try {
      expect((await app.ended(1)).result).toBe('Succeeded');
    } finally {
      end();
    }
  });
});

describe.concurrent('K4: a PodDisruptionBudget counts idle pods', () => {
  const budget = (namespace: string): KubeObject => ({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'shop', namespace },
    spec: { minAvailable: 3, selector: { matchLabels: { app: 'shop' } } },
  });
  interface BudgetStatus {
    disruptionsAllowed?: number;
    expectedPods?: number;
    currentHealthy?: number;
    observedGeneration?: number;
  }
  const statusOf = async (app: App, name = 'shop'): Promise<BudgetStatus> => {
    const found = await app.get(Resources.PodDisruptionBudget, name);
    const status = (found['status'] ?? {}) as BudgetStatus;
    return status.observedGeneration === found.metadata.generation ? status : {};
  };
  const evict = async (app: App, name: string): Promise<number> => {
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: app.namespace } };
    return app.client.create(Resources.Pod, eviction, { subresource: 'eviction' }).then(
      () => 201,
      (error: unknown) => (error instanceof KubeError ? error.code : 0),
    );
  };
  const podOf = async (app: App, slot: SlotName): Promise<string> =>
    (await app.pods(`${SLOT}=${slot}`)).find(({ metadata }) => metadata.deletionTimestamp === undefined)?.metadata.name ?? '';

  it('warm pods of the old version do not count, and no pod has two budgets', async () => {
    const app = await world.app('k4');
    await app.deploy({ replicas: 4 });
    await app.client.create(Resources.PodDisruptionBudget, budget('k4'));
    const written = (await app.get(Resources.PodDisruptionBudget, 'shop'))['spec'];
    await app.createCanary({ revisions: { warmFor: '10m' } });
    await app.adopted();
    await world.until('the budget of the stable slot', async () => (await statusOf(app)).expectedPods === 4);
    await app.change();
    await app.ended(1);
    const stable = await app.stableSlot();
    const other: SlotName = stable === 'blue' ? 'green' : 'blue';
    expect(await app.pods('app=shop')).toHaveLength(8);
    // Eight pods match the user's labels; of the four that serve, one may go.
    await world.until('a budget of the pods that serve', async () => {
      const { expectedPods, disruptionsAllowed } = await statusOf(app);
      return (
        expectedPods === 4 &&
        disruptionsAllowed === 1 &&
        JSON.stringify((await app.get(Resources.PodDisruptionBudget, 'shop'))['spec']).includes(`"${SLOT}":"${stable}"`)
      );
    });
    await world.until(
      'a budget of the warm pods',
      async () => (await statusOf(app, `shop-${other}`).catch(() => ({}) as BudgetStatus)).expectedPods === 4,
    );
    expect(await evict(app, await podOf(app, other)), 'eviction of a warm pod').toBe(201);
    expect(await evict(app, await podOf(app, stable)), 'eviction of a pod that serves').toBe(201);
    await app.remove();
    expect(
      (await app.client.list(Resources.PodDisruptionBudget, { namespace: 'k4' })).items.map(({ metadata, spec }) => [
        metadata.name,
        spec,
      ]),
    ).toEqual([['shop', written]]);
  });

  it('a canary that never becomes ready does not block the drain of a node', async () => {
    const app = await world.app('k4-broken');
    await app.deploy({ replicas: 4 });
    await app.client.create(Resources.PodDisruptionBudget, budget('k4-broken'));
    await app.createCanary();
    await app.adopted();
    await app.change(readyAfter(3_600_000));
    const free = await app.freeSlot();
    await world.until('pods of the canary', async () => (await app.pods(`${SLOT}=${free}`)).length === 4);
    await world.until(
      'their budget',
      async () => (await statusOf(app, `shop-${free}`).catch(() => ({}) as BudgetStatus)).expectedPods === 4,
    );
    expect(await evict(app, await podOf(app, free)), 'eviction of an unready canary pod').toBe(201);
    // And those that serve are still as well guarded as the user asked for.
    await world.until('the budget of the stable slot', async () => (await statusOf(app)).disruptionsAllowed === 1);
  });
});

describe.concurrent('K7: /scale without a number is an error', () => {
  const scaleOf = (app: App) =>
    app.client.raw(`/apis/sluice.dev/v1beta1/namespaces/${app.namespace}/canaries/shop/scale`) as Promise<{
      spec: { replicas?: number };
    }>;

  it('the number is seeded from the live one, survives a replace that leaves it out, and 0 waits', async () => {
    const app = await world.app('k7');
    await app.adopt({ replicas: 3 });
    expect((await scaleOf(app)).spec.replicas).toBe(3);
    await app.client.patch(SluiceResources.Canary, 'k7', 'shop', { spec: { replicas: 5 } }, 'merge', { subresource: 'scale' });
    await world.until('five pods', async () => (await app.endpoints('shop')).length === 5);
    // kubectl replace with what is in Git.
    const live = await app.canary();
    const { replicas: _, ...spec } = live.spec;
    await app.client.update(SluiceResources.Canary, { ...live, spec: spec as typeof live.spec });
    await world.until('the number to be back', async () => (await app.canary()).spec.replicas === 5);
    expect((await app.endpoints('shop')).length).toBe(5);
    await app.client.patch(SluiceResources.Canary, 'k7', 'shop', { spec: { replicas: 0 } }, 'merge', { subresource: 'scale' });
    await world.until('no pods', async () => (await app.pods('app=shop')).length === 0);
    await app.change();
    await world.until('the wait', async () => (await app.condition('Progressing')).reason === 'NoReplicas');
    await app.client.patch(SluiceResources.Canary, 'k7', 'shop', { spec: { replicas: 2 } }, 'merge', { subresource: 'scale' });
    expect((await app.ended(1)).result).toBe('Succeeded');
    expect(await app.endpoints('shop')).toHaveLength(2);
  });
});
