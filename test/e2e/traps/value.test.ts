import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Resources, type Resource } from '../../../src/kube/index.js';
import { autoscaler, isActive, metricsApi, startScaling, statusOf, throughout } from './autoscaling.js';
import type { TrapWorld } from './world.js';

const Lag: Resource = { group: 'external.metrics.k8s.io', version: 'v1beta1', plural: 'lag', kind: 'ExternalMetricValue', namespaced: true };

/** The external metrics API has a path for each metric: to the server that is a kind like any other. */
const METRIC = metricsApi(Lag, 'lag');

let world: TrapWorld;
beforeAll(async () => {
  world = await startScaling(METRIC);
});
afterAll(() => world?.stop());

describe('K3: a target of type Value counts ready pods', () => {
  it('in the middle of a release, the pods of both versions are not asked for twice, and real growth comes', async () => {
    const app = await world.app('k3-value');
    const report = (value: string): Promise<unknown> =>
      app.client.patch(Lag, 'k3-value', 'lag', { apiVersion: 'external.metrics.k8s.io/v1beta1', kind: Lag.kind, metadata: { name: 'lag', namespace: 'k3-value' }, metricName: 'lag', value, timestamp: new Date().toISOString() }, 'apply', { force: true });
    await world.until('the metric', () => report('100').then(() => true, () => false));
    await app.deploy({ replicas: 4 });
    const { spec, ...rest } = autoscaler('k3-value');
    const metrics = [{ type: 'External', external: { metric: { name: 'lag' }, target: { type: 'Value', value: '100' } } }];
    await app.client.create(Resources.HorizontalPodAutoscaler, { ...rest, spec: { ...(spec as object), metrics } });
    await app.createCanary({ analysis: { stepWeights: null, steps: [{ weight: 50, approve: true }] } });
    await app.adopted();
    await world.until('an active autoscaler', () => isActive(app));
    await app.change();
    await app.weight(50);
    // A load of 85 % that eight ready pods share makes seven of four.
    await report('85');
    await world.until('the autoscaler to ask for more', async () => ((await statusOf(app)).desiredReplicas ?? 0) > 4);
    await throughout(async () => expect((await app.pods('app=shop')).length, 'pods of both versions').toBe(8));
    await report('130');
    await world.until('growth on both sides', async () => (await app.pods('app=shop')).length >= 10);
    await report('100');
    await app.act('approve');
    expect((await app.ended(1)).result).toBe('Succeeded');
  });
});
