import { expect } from 'vitest';
import { Resources, type KubeObject, type Resource } from '../../../src/kube/index.js';
import { TrapWorld, type App } from './world.js';

const PodMetrics: Resource = {
  group: 'metrics.k8s.io',
  version: 'v1beta1',
  plural: 'pods',
  kind: 'PodMetrics',
  namespaced: true,
};

/** A metrics API, as a kind of its own whose objects the tests write. */
export const metricsApi = ({ group, version, plural, kind }: Resource, singular: string): KubeObject => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}`, annotations: { 'api-approved.kubernetes.io': 'unapproved, a stand-in' } },
  spec: {
    group,
    scope: 'Namespaced',
    names: { kind, listKind: `${kind}List`, plural, singular },
    versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }],
  },
});
export const METRICS_API = metricsApi(PodMetrics, 'podmetrics');

/** A world whose autoscalers look every second, and that knows these kinds. */
export async function startScaling(...kinds: KubeObject[]): Promise<TrapWorld> {
  const seconds = ['sync-period', 'initial-readiness-delay', 'cpu-initialization-period', 'downscale-stabilization'];
  const world = await TrapWorld.start({ controllerManagerFlags: seconds.map((name) => `--horizontal-pod-autoscaler-${name}=1s`) });
  for (const kind of kinds) await world.client.create(Resources.CustomResourceDefinition, kind);
  return world;
}

/** Says of every pod how much memory it uses, until the returned function is called. */
export function reportMemory(app: App, mebibytes: (pod: KubeObject) => number): () => void {
  const ending = new AbortController();
  const report = async (): Promise<void> => {
    const pods = (await app.pods('app=shop')) as unknown as KubeObject[];
    for (const pod of pods) {
      const { name, labels } = pod.metadata;
      const body: KubeObject & Record<string, unknown> = {
        apiVersion: 'metrics.k8s.io/v1beta1',
        kind: 'PodMetrics',
        metadata: { name, namespace: app.namespace, labels },
        timestamp: new Date().toISOString(),
        window: '10s',
        containers: [{ name: 'shop', usage: { memory: `${mebibytes(pod)}Mi`, cpu: '10m' } }],
      };
      await app.client.patch(PodMetrics, app.namespace, name, body, 'apply', { force: true });
    }
  };
  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      await report().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  };
  void loop();
  return () => ending.abort();
}

export const autoscaler = (namespace: string): KubeObject => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'shop', namespace },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop' },
    minReplicas: 2,
    maxReplicas: 40,
    metrics: [{ type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } } }],
  },
});

export interface HpaStatus {
  desiredReplicas?: number;
  conditions?: { type: string; status: string; reason: string; message: string }[];
}
export const statusOf = async (app: App): Promise<HpaStatus> =>
  ((await app.get(Resources.HorizontalPodAutoscaler, 'shop'))['status'] ?? {}) as HpaStatus;
const scaledTo = async (app: App): Promise<number | undefined> => (await app.canary()).spec.replicas;
export const isActive = async (app: App): Promise<boolean> =>
  (await statusOf(app)).conditions?.some(({ type, status }) => type === 'ScalingActive' && status === 'True') ?? false;
/** Asserts that something stays so, over several syncs of the autoscaler. */
export async function throughout(holds: () => Promise<void>, ms = 6_000): Promise<void> {
  const until = Date.now() + ms;
  while (Date.now() < until) {
    await holds();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
export const stays = (app: App, replicas: number, ms?: number): Promise<void> =>
  throughout(async () => expect(await scaledTo(app), 'replicas that are asked for').toBe(replicas), ms);
