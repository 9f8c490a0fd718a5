import { API_VERSION, SluiceResources, type Canary } from '../src/api/index.js';
import { isAlreadyExists, Resources, type KubeClient, type KubeObject } from '../src/kube/index.js';

export const NAMESPACE = 'bench';
/** Time at each weight, and how long the old version keeps its pods, in milliseconds. */
export const INTERVAL_MS = 10_000;
export const DRAIN_MS = 5_000;
export const STEPS = 5;
/** Requests of ours under way at once. */
const PARALLEL = 32;

export const appName = (index: number): string => `app-${String(index).padStart(3, '0')}`;

/** Runs a task per number below `count`, many at once. Rejects with the first error, when all under way have ended. */
export async function forEachApp(count: number, task: (index: number) => Promise<unknown>, parallel = PARALLEL): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await task(next++);
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(parallel, count) }, worker));
  for (const result of ended) if (result.status === 'rejected') throw result.reason;
}

export async function createNamespace(client: KubeClient, name: string): Promise<void> {
  const namespace: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  await client.create(Resources.Namespace, namespace).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
  });
}

/** A Deployment of one pod, its Service and its Canary, so many times. */
export async function createFleet(client: KubeClient, count: number): Promise<void> {
  await createNamespace(client, NAMESPACE);
  await forEachApp(count, async (index) => {
    await createWorkload(client, NAMESPACE, appName(index));
    await client.create(SluiceResources.Canary, canary(NAMESPACE, appName(index)));
  });
}

/** A Deployment of one pod and its Service. */
export async function createWorkload(client: KubeClient, namespace: string, name: string): Promise<void> {
  await client.create(Resources.Deployment, deployment(namespace, name));
  await client.create(Resources.Service, service(namespace, name));
}

/** What a commit does: another image. Resolves with the time at which the request left, in unix milliseconds. */
export async function release(client: KubeClient, namespace: string, index: number, version: string): Promise<number> {
  const at = Date.now();
  const patch = { spec: { template: { spec: { containers: [{ name: 'app', image: `app:${version}` }] } } } };
  await client.patch(Resources.Deployment, namespace, appName(index), patch, 'strategic', { fieldManager: 'bench' });
  return at;
}

const meta = (namespace: string, name: string) => ({ namespace, name, labels: { app: name } });

const deployment = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: meta(namespace, name),
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'app', image: 'app:1', ports: [{ name: 'http', containerPort: 8080 }] }] },
    },
  },
});

const service = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: meta(namespace, name),
  spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

/** Five steps of ten seconds, and a short drain. */
export function canary(namespace: string, name: string): Canary {
  const spec = {
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
    service: { port: 80, targetPort: 8080 },
    analysis: { interval: `${INTERVAL_MS / 1000}s`, stepWeight: 10, maxWeight: 10 * STEPS, warmup: '0s' },
    revisions: { drainFor: `${DRAIN_MS / 1000}s`, warmFor: '0s' },
  };
  // The API server fills in the defaults.
  return { apiVersion: API_VERSION, kind: 'Canary', metadata: meta(namespace, name), spec: spec as Canary['spec'] };
}
