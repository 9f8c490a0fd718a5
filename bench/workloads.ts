import { createHash } from 'node:crypto';
import { createInformer, isAlreadyExists, isConflict, isNotFound, Resources, type KubeClient, type KubeObject } from '../src/kube/index.js';

/** Deployments worked on at once. */
const PARALLEL = 8;
export const NODE = 'bench';

interface Spec {
  replicas?: number;
  template: { metadata?: { labels?: Record<string, string> }; spec: Record<string, unknown> };
}

/**
 * In the place of Kubernetes' own controllers: a Deployment gets its pods at once, ready, without ReplicaSets, events and
 * reports of progress. So the API server's time is that of the controller that is measured.
 */
export async function startInstantDeployments(client: KubeClient, signal: AbortSignal): Promise<void> {
  const deployments = createInformer(client, Resources.Deployment);
  const waiting = new Set<string>();
  const running = new Set<string>();
  const pump = (): void => {
    for (const key of waiting) {
      if (running.size >= PARALLEL) return;
      if (running.has(key)) continue;
      waiting.delete(key);
      running.add(key);
      void settle(client, deployments.get(...split(key)))
        .catch((error: unknown) => console.error(key, error instanceof Error ? error.message : error))
        .finally(() => {
          running.delete(key);
          pump();
        });
    }
  };
  deployments.onChange(({ namespace, name }, deployment) => {
    if (!deployment || isSettled(deployment)) return;
    waiting.add(`${namespace}/${name}`);
    pump();
  });
  deployments.start(signal);
  await deployments.whenSynced();
}

const split = (key: string): [namespace: string, name: string] => key.split('/') as [string, string];
const specOf = (deployment: KubeObject): Spec => deployment['spec'] as Spec;
const statusOf = (deployment: KubeObject): Record<string, number | undefined> => (deployment['status'] ?? {}) as Record<string, number | undefined>;
const isSettled = (deployment: KubeObject): boolean => statusOf(deployment)['observedGeneration'] === deployment.metadata.generation;

const podNames = (deployment: KubeObject, count: number): string[] => {
  const hash = createHash('sha256').update(JSON.stringify(specOf(deployment).template)).digest('hex').slice(0, 10);
  return Array.from({ length: count }, (_, index) => `${deployment.metadata.name}-${hash}-${index}`);
};
/** The pods of a Deployment, by its namespace and name, as this process made them. */
const made = new Map<string, string[]>();

async function settle(client: KubeClient, deployment: KubeObject | undefined): Promise<void> {
  if (!deployment || isSettled(deployment)) return;
  const { namespace = 'default', name } = deployment.metadata;
  const { replicas = 1 } = specOf(deployment);
  const wanted = podNames(deployment, replicas);
  for (const pod of wanted) await makePod(client, deployment, pod);
  for (const pod of made.get(`${namespace}/${name}`) ?? []) if (!wanted.includes(pod)) await removePod(client, namespace, pod);
  made.set(`${namespace}/${name}`, wanted);
  const status = { observedGeneration: deployment.metadata.generation, replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas };
  await client.update(Resources.Deployment, { ...deployment, status } as KubeObject, { subresource: 'status' }).catch((error: unknown) => {
    // The newer version is on its way to the informer, and comes back here.
    if (!isConflict(error) && !isNotFound(error)) throw error;
  });
}

async function makePod(client: KubeClient, deployment: KubeObject, name: string): Promise<void> {
  const { namespace } = deployment.metadata;
  const { metadata, spec } = specOf(deployment).template;
  const at = new Date().toISOString();
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, labels: metadata?.labels }, spec: { ...spec, nodeName: NODE } };
  try {
    const created = await client.create(Resources.Pod, pod);
    const conditions = ['Initialized', 'ContainersReady', 'Ready'].map((type) => ({ type, status: 'True', lastTransitionTime: at }));
    await client.update(Resources.Pod, { ...created, status: { phase: 'Running', startTime: at, podIP: '10.0.0.1', conditions } } as KubeObject, { subresource: 'status' });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function removePod(client: KubeClient, namespace: string, name: string): Promise<void> {
  await client.delete(Resources.Pod, namespace, name, { gracePeriodSeconds: 0 }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
}
