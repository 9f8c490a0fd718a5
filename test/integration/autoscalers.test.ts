import { describe, expect, it, vi } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import type { KubeObject } from '../../src/kube/types.js';
import { startWorld } from './harness.js';
import { canary, canaryWith } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 120_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: false });
// As KEDA brings it, without its validation.
world.server.store.create(Resources.CustomResourceDefinition, {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'scaledobjects.keda.sh' },
  spec: {
    group: 'keda.sh',
    names: { kind: 'ScaledObject', listKind: 'ScaledObjectList', plural: 'scaledobjects', singular: 'scaledobject' },
    scope: 'Namespaced',
    versions: [{ name: 'v1alpha1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }],
  },
});
await world.runController();

const THE_CANARY = { apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', name: 'reviews' };
const THE_DEPLOYMENT = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' };
const onMemory = (scaleTargetRef: unknown): KubeObject => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'reviews' },
  spec: { scaleTargetRef, minReplicas: 2, maxReplicas: 20, metrics: [{ type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } } }] },
});
const scaledObject = (scaleTargetRef: unknown, metadata: Record<string, string>): KubeObject => ({
  apiVersion: 'keda.sh/v1alpha1',
  kind: 'ScaledObject',
  metadata: { name: 'reviews' },
  spec: { scaleTargetRef, triggers: [{ type: 'kafka', metadata: { topic: 'reviews', ...metadata } }] },
});

/** What the HPA controller reports. */
function reports(shop: Shop, status: 'True' | 'False'): void {
  const conditions = [{ type: 'ScalingActive', status, reason: status === 'True' ? 'ValidMetricFound' : 'FailedGetResourceMetric', message: 'the API of metrics said so' }];
  shop.merge(Resources.HorizontalPodAutoscaler, 'reviews', { status: { conditions } }, 'status');
}
/** The autoscaler writes what it wants. */
const scale = (shop: Shop, replicas: number): void => shop.merge(SluiceResources.Canary, 'reviews', { spec: { replicas } }, 'scale');
const HALF = { stepWeights: undefined, steps: [{ weight: 50, approve: true }] };

describe.concurrent('an autoscaler of a Canary', () => {
  it('on memory asks for the pods of both versions during a run: only what is beyond them counts', async () => {
    const shop = await world.shop();
    shop.put(onMemory(THE_DEPLOYMENT));
    await shop.adopted(canaryWith(HALF));
    await shop.see('the autoscaler at the Canary', () => JSON.stringify(shop.spec(Resources.HorizontalPodAutoscaler)).includes('"Canary"'));
    shop.release('v2');
    await shop.reason('Progressing', 'WaitingForApproval');
    await shop.see('both versions in the selector', () => shop.status.replicas === 4);
    scale(shop, 4);
    await shop.see('it was judged', () => shop.status.growth?.asked === 4);
    expect(shop.status.growth?.counted).toBe(2);
    scale(shop, 5);
    await shop.see('one pod more, on each side', () => shop.replicas('reviews-blue') === 3 && shop.replicas('reviews-green') === 3);
    shop.act('approve');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    await shop.see('the number is put right', () => shop.canary?.spec.replicas === 3);
    expect(shop.replicas('reviews-green')).toBe(3);
    expect(Math.max(...world.writes(shop.namespace).filter(({ subresource, resource }) => subresource === 'scale' && resource === 'deployments.apps').map(({ requestBody }) => (requestBody as { spec?: { replicas?: number } }).spec?.replicas ?? 0))).toBe(3);
  });

  it('that cannot read its metrics holds the release, by name, and lets it go on', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.put(onMemory(THE_CANARY));
    reports(shop, 'False');
    shop.release('v2');
    const { message } = await shop.reason('Progressing', 'AutoscalerInactive');
    expect(message).toContain('HorizontalPodAutoscaler reviews cannot scale (ScalingActive is False: FailedGetResourceMetric: the API of metrics said so)');
    expect(shop.weights['reviews-green']).toBe(0);
    expect(shop.condition('Ready')).toMatchObject({ status: 'True' });
    reports(shop, 'True');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });
});

describe.concurrent('a ScaledObject of KEDA', () => {
  it.each([
    ['the Canary', THE_CANARY],
    ['the Deployment', { name: 'reviews' }],
  ])('of %s that takes a value from the environment of pods is refused by name', async (_, reference) => {
    const shop = await world.shop();
    await shop.adopted();
    world.server.store.create(Resources.ScaledObject, { ...scaledObject(reference, { passwordFromEnv: 'PASSWORD' }), metadata: { name: 'reviews', namespace: shop.namespace } });
    const { message } = await shop.reason('Stalled', 'InvalidAutoscaler');
    expect(message).toContain('ScaledObject reviews has spec.triggers[0].metadata.passwordFromEnv (kafka)');
    expect(message).toContain('TriggerAuthentication');
    shop.release('v2');
    await shop.reason('Progressing', 'InvalidAutoscaler');
    world.server.store.patch(Resources.ScaledObject, shop.namespace, 'reviews', { spec: { triggers: [{ type: 'kafka', metadata: { topic: 'reviews' } }] } }, 'merge');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
  });

  it('of the Deployment is led to the Canary, and given back as it was', async () => {
    const shop = await world.shop();
    await shop.running();
    const made = world.server.store.create(Resources.ScaledObject, { ...scaledObject({ name: 'reviews' }, {}), metadata: { name: 'reviews', namespace: shop.namespace } });
    shop.put(canary());
    await shop.phase('Initialized');
    await shop.see('the reference', () => shop.spec<{ scaleTargetRef: { kind?: string } }>(Resources.ScaledObject)?.scaleTargetRef.kind === 'Canary');
    expect(shop.spec(Resources.ScaledObject)).toMatchObject({ scaleTargetRef: THE_CANARY });
    shop.remove(SluiceResources.Canary);
    await shop.see('the Canary to be gone', () => shop.canary === undefined);
    expect(shop.spec(Resources.ScaledObject)).toEqual(made['spec']);
    expect(shop.get(Resources.ScaledObject)?.metadata.annotations ?? {}).toEqual({});
  });
});
