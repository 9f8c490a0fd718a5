import { setTimeout as sleep } from 'node:timers/promises';
import { SluiceResources, type Canary } from '../src/api/index.js';
import { createInformer, Resources, type KubeClient, type KubeObject } from '../src/kube/index.js';
import type { ControlPlane } from '../test/real/index.js';
import { appName, canary, createNamespace, createWorkload, forEachApp, release } from './fleet.js';
import { percentile } from './percentile.js';

const NAMESPACE = 'bench-plain';
const READY_MS = 300_000;
const POLL_MS = 250;
/** Writers of the second measurement, and how long they write. */
const WRITERS = 32;
const WRITE_MS = 5_000;

/** What the machine and the control plane do without any controller of ours: nothing that we measure can be faster. */
export interface Baseline {
  /** Plain Deployments whose image was changed at once. */
  deployments: number;
  /** Seconds from the change until Kubernetes' own rollout says that the new pod is available. */
  available: { p50: number; p99: number };
  /** Updates of `canaries/status` that the API server takes in a second when nothing else goes on. */
  writesPerSecond: number;
  /** Milliseconds of its CPU, and of etcd's, that one of them costs. */
  cpuMsPerWrite: number;
}

/** Measures before any controller runs, and cleans up after itself. */
export async function measureBaseline(plane: ControlPlane, count: number): Promise<Baseline> {
  await createNamespace(plane.client, NAMESPACE);
  const available = await rollOut(plane.client, count);
  const writes = await writeStatuses(plane);
  await plane.client.delete(Resources.Namespace, undefined, NAMESPACE);
  await until(async () => (await plane.client.list(Resources.Deployment, { namespace: NAMESPACE })).items.length === 0);
  await until(async () => (await plane.client.list(Resources.Pod, { namespace: NAMESPACE })).items.length === 0);
  return { deployments: count, available, ...writes };
}

async function rollOut(client: KubeClient, count: number): Promise<Baseline['available']> {
  await forEachApp(count, (index) => createWorkload(client, NAMESPACE, appName(index)));
  const stopping = new AbortController();
  const deployments = createInformer<KubeObject>(client, Resources.Deployment, { namespace: NAMESPACE });
  const changed = new Map<string, number>();
  const seconds = new Map<string, number>();
  deployments.onChange(({ name }, deployment) => {
    const at = changed.get(name);
    if (at !== undefined && !seconds.has(name) && deployment && isUpdated(deployment))
      seconds.set(name, (Date.now() - at) / 1000);
  });
  deployments.start(stopping.signal);
  await deployments.whenSynced();
  const all = (): KubeObject[] => deployments.list(NAMESPACE);
  await until(async () => all().length === count && all().every(isUpdated));
  await forEachApp(count, async (index) => {
    // Noted before the request leaves: the rollout may be over before its answer is here.
    changed.set(appName(index), Date.now());
    await release(client, NAMESPACE, index, '2');
  });
  await until(async () => seconds.size === count);
  stopping.abort();
  const times = [...seconds.values()];
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

/** The pod of the latest template is available. */
function isUpdated({ metadata, status }: KubeObject): boolean {
  const { observedGeneration, updatedReplicas, unavailableReplicas, availableReplicas } = (status ?? {}) as Record<
    string,
    number | undefined
  >;
  return (
    observedGeneration === metadata.generation && updatedReplicas === 1 && (availableReplicas ?? 0) >= 1 && !unavailableReplicas
  );
}

async function writeStatuses({ client, daemons }: ControlPlane): Promise<Pick<Baseline, 'writesPerSecond' | 'cpuMsPerWrite'>> {
  const cpu = async (): Promise<number> => (await daemons.apiserver.cpuSeconds()) + (await daemons.etcd.cpuSeconds());
  const before = await cpu();
  const began = performance.now();
  let writes = 0;
  await forEachApp(WRITERS, async (index) => {
    let scratch = await client.create(SluiceResources.Canary, canary(NAMESPACE, `scratch-${index}`));
    for (; performance.now() - began < WRITE_MS; writes += 1)
      scratch = await client.update(SluiceResources.Canary, withStatus(scratch, writes), { subresource: 'status' });
  });
  const seconds = (performance.now() - began) / 1000;
  return { writesPerSecond: writes / seconds, cpuMsPerWrite: (1000 * ((await cpu()) - before)) / Math.max(1, writes) };
}

/** About as large as the status of a release in its third step. */
function withStatus(scratch: Canary, writes: number): Canary {
  const at = new Date().toISOString();
  const checks = Array.from({ length: 12 }, (_, index) => ({
    metric: 'request-success-rate',
    verdict: 'Pass' as const,
    message: `success rate 100 % >= 99 % over ${writes} requests in window ${index} of the step in force`,
    value: 100,
    samples: writes,
    weight: 10,
    at,
  }));
  return { ...scratch, status: { ...scratch.status, canaryWeight: writes % 100, checks } as Canary['status'] };
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (!(await condition())) {
    if (performance.now() > deadline)
      throw new Error(
        `baseline: the plain Deployments did not come to rest within ${READY_MS / 1000} s; is the machine overloaded?`,
      );
    await sleep(POLL_MS);
  }
}
