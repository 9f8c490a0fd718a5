import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Resources, type KubeObject } from '../../../src/kube/index.js';
import { auditedWrites } from '../audit.js';
import { autoscaler, METRICS_API, reportMemory, startScaling, stays, type HpaStatus } from './autoscaling.js';
import type { App, TrapWorld } from './world.js';

/** KEDA's kind, with what its own definition demands of the fields that are used here. */
const SCALED_OBJECTS: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'scaledobjects.keda.sh' },
  spec: {
    group: 'keda.sh',
    scope: 'Namespaced',
    names: { kind: 'ScaledObject', listKind: 'ScaledObjectList', plural: 'scaledobjects', singular: 'scaledobject' },
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['scaleTargetRef', 'triggers'],
                'x-kubernetes-preserve-unknown-fields': true,
                properties: {
                  scaleTargetRef: {
                    type: 'object',
                    required: ['name'],
                    properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, name: { type: 'string' }, envSourceContainerName: { type: 'string' } },
                  },
                  triggers: {
                    type: 'array',
                    items: { type: 'object', required: ['type', 'metadata'], 'x-kubernetes-preserve-unknown-fields': true, properties: { type: { type: 'string' }, metadata: { type: 'object', additionalProperties: { type: 'string' } } } },
                  },
                },
              },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};

let world: TrapWorld;
beforeAll(async () => {
  world = await startScaling(METRICS_API, SCALED_OBJECTS);
});
afterAll(() => world?.stop());

describe.concurrent('K7: KEDA, whose operator is played', () => {
  const scaledObject = (namespace: string, metadata: Record<string, string> = {}): KubeObject => ({
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: { name: 'shop', namespace },
    spec: { scaleTargetRef: { name: 'shop' }, minReplicaCount: 2, maxReplicaCount: 40, triggers: [{ type: 'memory', metadata: { value: '100Mi', ...metadata } }] },
  });
  const targetOf = (object: KubeObject): unknown => (object['spec'] as { scaleTargetRef: unknown }).scaleTargetRef;
  /** The operator writes an autoscaler of its own that names what the ScaledObject names. */
  async function operator(app: App): Promise<void> {
    const owner = await app.get(Resources.ScaledObject, 'shop');
    const wanted = autoscaler(app.namespace);
    const named = targetOf(owner) as { apiVersion?: string; kind?: string; name: string };
    const metadata = {
      name: 'keda-hpa-shop',
      namespace: app.namespace,
      ownerReferences: [{ apiVersion: owner.apiVersion, kind: owner.kind, name: 'shop', uid: owner.metadata.uid ?? '', controller: true }],
    };
    const spec = { ...(wanted['spec'] as object), scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', ...named } };
    await app.client.patch(Resources.HorizontalPodAutoscaler, app.namespace, 'keda-hpa-shop', { ...wanted, metadata, spec }, 'apply', { fieldManager: 'keda-operator', force: true });
  }

  it('a ScaledObject is led to the Canary after the number is seeded; the operator’s autoscaler, which is left to it, scales the Canary; it is given back', async () => {
    const app = await world.app('k7-keda');
    await app.deploy({ replicas: 4 });
    await app.client.create(Resources.ScaledObject, scaledObject('k7-keda'));
    const written = (await app.get(Resources.ScaledObject, 'shop'))['spec'];
    await operator(app);
    const end = reportMemory(app, () => 100);
    try {
      await app.createCanary();
      await app.adopted();
      await world.until('the reference', async () => JSON.stringify(targetOf(await app.get(Resources.ScaledObject, 'shop'))).includes('Canary'));
      expect(targetOf(await app.get(Resources.ScaledObject, 'shop'))).toEqual({ apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', name: 'shop' });
      expect(targetOf(await app.get(Resources.HorizontalPodAutoscaler, 'keda-hpa-shop')), 'KEDA’s own object').toMatchObject({ kind: 'Deployment' });
      const ours = (await auditedWrites(world.plane.auditLogPath)).filter(({ userAgent, objectRef, responseStatus }) => userAgent === 'sluice-controller' && objectRef?.namespace === 'k7-keda' && (responseStatus?.code ?? 500) < 300);
      const seeded = ours.findIndex(({ objectRef, requestObject }) => objectRef?.resource === 'canaries' && (requestObject as { spec?: { replicas?: number } } | undefined)?.spec?.replicas === 4 && objectRef.subresource === undefined);
      const led = ours.findIndex(({ objectRef }) => objectRef?.resource === 'scaledobjects');
      expect(seeded).toBeGreaterThanOrEqual(0);
      expect(led, 'the number comes first').toBeGreaterThan(seeded);
      await operator(app);
      await world.until('an active autoscaler of the Canary', async () => {
        const { status } = (await app.get(Resources.HorizontalPodAutoscaler, 'keda-hpa-shop')) as KubeObject & { status?: HpaStatus & { currentReplicas?: number } };
        return status?.currentReplicas === 4 && status.conditions?.some(({ type, status: is }) => type === 'ScalingActive' && is === 'True');
      });
      await stays(app, 4);
    } finally {
      end();
    }
    const growing = reportMemory(app, () => 150);
    try {
      await world.until('more pods that serve', async () => (await app.endpoints('shop')).length >= 6);
    } finally {
      growing();
    }
    await app.remove();
    expect((await app.get(Resources.ScaledObject, 'shop'))['spec']).toEqual(written);
  });

  it('a trigger that reads the environment of pods is refused by name, until it is mended', async () => {
    const app = await world.app('k7-env');
    await app.adopt();
    await app.client.create(Resources.ScaledObject, scaledObject('k7-env', { passwordFromEnv: 'PASSWORD' }));
    const { message } = await world.until('the refusal', async () => {
      const stalled = await app.condition('Stalled');
      return stalled.reason === 'InvalidAutoscaler' && stalled;
    });
    expect(message).toContain('ScaledObject shop has spec.triggers[0].metadata.passwordFromEnv (memory)');
    await app.client.patch(Resources.ScaledObject, 'k7-env', 'shop', { spec: scaledObject('k7-env')['spec'] }, 'merge');
    await world.until('the end of it', async () => (await app.condition('Stalled')).status === 'False');
  });
});
