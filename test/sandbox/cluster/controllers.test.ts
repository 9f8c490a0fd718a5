import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeError } from '../../../src/kube/index.js';
import { startControllers, startNode } from '../../../src/sandbox/cluster/index.js';
import type { ClusterInformers, RunningControllers, RunningNode } from '../../../src/sandbox/cluster/index.js';
import { conditionOf, isReady } from '../../../src/sandbox/cluster/pods.js';
import { Kinds } from '../../../src/sandbox/cluster/types.js';
import type { Deployment, EndpointSlice, Pod, ReplicaSet } from '../../../src/sandbox/cluster/types.js';
import { ManualClock, deployment, pod, service, settle } from './helpers.js';
import { MemoryCluster } from './memoryCluster.js';

let clock: ManualClock;
let cluster: MemoryCluster;
let aborter: AbortController;
let informers: ClusterInformers;
let controllers: RunningControllers;
let node: RunningNode;
/** Images whose pods never become ready. */
let broken: Set<string>;
const errors: unknown[] = [];
const events: string[] = [];

beforeEach(async () => {
  clock = new ManualClock();
  cluster = new MemoryCluster(clock);
  aborter = new AbortController();
  broken = new Set();
  errors.length = 0;
  events.length = 0;
  const sink = {
    event: (_object: unknown, _type: string, reason: string, message: string) => void events.push(`${reason}: ${message}`),
  };
  informers = cluster.informers(aborter.signal);
  controllers = await startControllers({
    client: cluster,
    informers,
    clock,
    events: sink,
    onError: (_name, _key, error) => errors.push(error),
  });
  const readyDelayMs = ({ spec }: Pod): number | undefined => (broken.has(spec.containers[0]?.image ?? '') ? undefined : 1_000);
  node = await startNode({ client: cluster, informers, clock, runtime: 'hollow', readyDelayMs, heartbeatSeconds: 0 });
});

afterEach(async () => {
  controllers.stop();
  await node.stop();
  aborter.abort();
});

const read = (): Promise<Deployment> => cluster.get(Kinds.Deployment, 'default', 'reviews');
const pods = (): Pod[] => cluster.find(Kinds.Pod);
const sets = (): ReplicaSet[] => cluster.find(Kinds.ReplicaSet);
const setWith = (image: string): ReplicaSet | undefined =>
  sets().find((set) => set.spec.template.spec.containers[0]?.image === image);
const progressing = async (): Promise<string | undefined> =>
  conditionOf((await read()).status?.conditions, 'Progressing')?.reason;

const change = (spec: object): Promise<Deployment> => cluster.patch(Kinds.Deployment, 'default', 'reviews', { spec }, 'merge');
function rollTo(image: string): Promise<Deployment> {
  const { template } = deployment({}, image).spec;
  return change({ template });
}

async function create(spec: Partial<Deployment['spec']> = {}): Promise<void> {
  await cluster.create(Kinds.Deployment, deployment(spec));
  await clock.advance(2_000);
}

describe('a new Deployment', () => {
  it('gets a ReplicaSet and pods that belong to it, and says that it is complete', async () => {
    await create();
    const [set] = sets();
    const hash = set?.metadata.labels?.['pod-template-hash'];
    expect(set?.metadata.name).toBe(`reviews-${hash}`);
    expect(set?.metadata.ownerReferences).toMatchObject([
      { kind: 'Deployment', name: 'reviews', controller: true, blockOwnerDeletion: true },
    ]);
    expect(pods()).toHaveLength(2);
    expect(pods()[0]?.metadata).toMatchObject({
      labels: { app: 'reviews', 'pod-template-hash': hash },
      ownerReferences: [{ kind: 'ReplicaSet', name: set?.metadata.name, controller: true }],
    });
    expect(events).toContain(`ScalingReplicaSet: Scaled up replica set ${set?.metadata.name} from 0 to 2`);
    const { status, metadata } = await read();
    expect(metadata.annotations).toEqual({ 'deployment.kubernetes.io/revision': '1' });
    expect(status).toMatchObject({
      replicas: 2,
      updatedReplicas: 2,
      readyReplicas: 2,
      availableReplicas: 2,
      unavailableReplicas: 0,
      terminatingReplicas: 0,
      observedGeneration: 1,
    });
    expect(conditionOf(status?.conditions, 'Available')).toMatchObject({ status: 'True', reason: 'MinimumReplicasAvailable' });
    expect(conditionOf(status?.conditions, 'Progressing')).toMatchObject({
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: `ReplicaSet "${set?.metadata.name}" has successfully progressed.`,
    });
  });

  it('stays quiet once it is complete', async () => {
    await create();
    const before = cluster.requests.length;
    await clock.advance(3_600_000);
    expect(cluster.requests.slice(before)).toEqual([]);
  });

  it('replaces a pod that is deleted', async () => {
    await create();
    const [victim] = pods();
    await cluster.delete(Kinds.Pod, 'default', victim?.metadata.name ?? '');
    await clock.advance(2_000);
    expect(pods().filter(isReady)).toHaveLength(2);
    expect(pods().map(({ metadata }) => metadata.uid)).not.toContain(victim?.metadata.uid);
  });
});

describe('a rolling update', () => {
  it('never has fewer ready pods than maxUnavailable allows nor more pods than maxSurge', async () => {
    const strategy = { type: 'RollingUpdate' as const, rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
    await create({ replicas: 4, strategy });
    let fewest = 99;
    let most = 0;
    informers.pods.onChange(() => {
      const alive = informers.pods.list().filter(({ metadata }) => !metadata.deletionTimestamp);
      fewest = Math.min(fewest, alive.filter(isReady).length);
      most = Math.max(most, alive.length);
    });
    await rollTo('sandbox/reviews:2');
    await clock.advance(20_000);
    expect({ fewest, most }).toEqual({ fewest: 4, most: 5 });
    expect(pods().map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(4).fill('sandbox/reviews:2'));
    expect((await read()).metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2');
    expect(setWith('sandbox/reviews:1')).toMatchObject({ spec: { replicas: 0 }, status: { replicas: 0, observedGeneration: 5 } });
  });

  it('that goes back reuses the old ReplicaSet under a new revision', async () => {
    await create();
    const [first] = sets();
    await rollTo('sandbox/reviews:2');
    await clock.advance(20_000);
    await rollTo('sandbox/reviews:1');
    await clock.advance(20_000);
    expect(sets()).toHaveLength(2);
    expect(setWith('sandbox/reviews:1')?.metadata).toMatchObject({
      uid: first?.metadata.uid,
      annotations: { 'deployment.kubernetes.io/revision': '3' },
    });
  });

  it('that gets nowhere exceeds its deadline and keeps what works', async () => {
    await create({ replicas: 4, progressDeadlineSeconds: 60 });
    broken.add('sandbox/reviews:2');
    await rollTo('sandbox/reviews:2');
    await clock.advance(50_000);
    expect(await progressing()).toBe('ReplicaSetUpdated');
    await clock.advance(20_000);
    const { status } = await read();
    expect(conditionOf(status?.conditions, 'Progressing')).toMatchObject({
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: expect.stringContaining('has timed out progressing.') as string,
    });
    expect(conditionOf(status?.conditions, 'Available')?.status).toBe('True');
    expect(pods().filter(isReady)).toHaveLength(3);
    expect(status).toMatchObject({ updatedReplicas: 2, availableReplicas: 3, unavailableReplicas: 2 });
  });

  it('that is resized half-way keeps the proportions', async () => {
    await create({ replicas: 10 });
    broken.add('sandbox/reviews:2');
    await rollTo('sandbox/reviews:2');
    await clock.advance(5_000);
    // 25 %: three more, two fewer, so 8 old and 5 new of 13.
    expect([setWith('sandbox/reviews:1')?.spec.replicas, setWith('sandbox/reviews:2')?.spec.replicas]).toEqual([8, 5]);
    await change({ replicas: 20 });
    await clock.advance(5_000);
    // 25 allowed: 8/13 and 5/13 of them.
    expect([setWith('sandbox/reviews:1')?.spec.replicas, setWith('sandbox/reviews:2')?.spec.replicas]).toEqual([15, 10]);
  });

  it('waits for minReadySeconds', async () => {
    await create({ minReadySeconds: 30 });
    expect((await read()).status).toMatchObject({ readyReplicas: 2, availableReplicas: 0 });
    await clock.advance(30_000);
    expect((await read()).status).toMatchObject({ availableReplicas: 2 });
  });

  it('keeps no more old ReplicaSets than revisionHistoryLimit', async () => {
    await create({ revisionHistoryLimit: 1 });
    for (const version of [2, 3, 4]) {
      await rollTo(`sandbox/reviews:${version}`);
      await clock.advance(20_000);
    }
    expect(sets().map((set) => set.spec.template.spec.containers[0]?.image)).toEqual(['sandbox/reviews:3', 'sandbox/reviews:4']);
  });
});

describe('other ways to change', () => {
  it('Recreate starts nothing before the last old pod is gone', async () => {
    await create({ strategy: { type: 'Recreate' } });
    let together = false;
    informers.pods.onChange(() => {
      together ||= new Set(informers.pods.list().map(({ spec }) => spec.containers[0]?.image)).size > 1;
    });
    await rollTo('sandbox/reviews:2');
    await clock.advance(5_000);
    expect(together).toBe(false);
    expect(pods().map(({ spec }) => spec.containers[0]?.image)).toEqual(['sandbox/reviews:2', 'sandbox/reviews:2']);
  });

  it('paused scales but does not roll', async () => {
    await create();
    await change({ paused: true });
    await rollTo('sandbox/reviews:2');
    await change({ replicas: 3 });
    await clock.advance(5_000);
    expect(pods().map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(3).fill('sandbox/reviews:1'));
    expect(await progressing()).toBe('DeploymentPaused');
    await change({ paused: false });
    await clock.advance(20_000);
    expect(new Set(pods().map(({ spec }) => spec.containers[0]?.image))).toEqual(new Set(['sandbox/reviews:2']));
  });

  it('zero replicas is complete and available with no pods', async () => {
    await create();
    await change({ replicas: 0 });
    await clock.advance(2_000);
    const { status } = await read();
    expect(pods()).toEqual([]);
    expect(status).toMatchObject({ replicas: 0, availableReplicas: 0, unavailableReplicas: 0 });
    expect(conditionOf(status?.conditions, 'Progressing')?.reason).toBe('NewReplicaSetAvailable');
  });

  it('conflicts and refusals are tried again', async () => {
    let left = 3;
    cluster.refuse = (verb, plural) =>
      verb === 'create' && plural === 'pods' && left-- > 0 ? new KubeError(500, 'InternalError', 'quota') : undefined;
    await create();
    expect(errors.length).toBeGreaterThan(0);
    expect(pods().filter(isReady)).toHaveLength(2);
    expect(conditionOf((await read()).status?.conditions, 'ReplicaFailure')).toBeUndefined();
  });
});

describe('a ReplicaSet', () => {
  it('adopts matching orphans, releases what no longer matches, and prefers to remove what is not ready', async () => {
    await cluster.create(Kinds.Pod, pod('orphan'));
    const set: ReplicaSet = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: 'alone', namespace: 'default' },
      spec: { ...deployment().spec, replicas: 2 },
    };
    await cluster.create(Kinds.ReplicaSet, set);
    await clock.advance(2_000);
    expect(pods()).toHaveLength(2);
    expect(pods().every(({ metadata }) => metadata.ownerReferences?.[0]?.name === 'alone')).toBe(true);
    await cluster.patch(Kinds.Pod, 'default', 'orphan', { metadata: { labels: { app: 'other' } } }, 'merge');
    await settle();
    const released = await cluster.get(Kinds.Pod, 'default', 'orphan');
    expect(released.metadata.ownerReferences ?? []).toEqual([]);
    // The third pod is being made for the one released and is not ready yet: it goes first.
    await cluster.patch(Kinds.ReplicaSet, 'default', 'alone', { spec: { replicas: 1 } }, 'merge');
    await clock.advance(2_000);
    const kept = pods().filter(({ metadata }) => metadata.name !== 'orphan');
    expect(kept.map(isReady)).toEqual([true]);
    expect(kept[0]?.metadata.creationTimestamp).toBe('2026-01-01T00:00:00Z');
  });

  it('counts pods that are still leaving', async () => {
    await create();
    await node.stop();
    await change({ replicas: 1 });
    await settle();
    expect((await read()).status).toMatchObject({ replicas: 1, terminatingReplicas: 1 });
  });
});

describe('EndpointSlices', () => {
  const slices = (): EndpointSlice[] => cluster.find(Kinds.EndpointSlice);

  it('follow the pods of a Service with their resolved ports', async () => {
    await cluster.create(Kinds.Service, service());
    await settle();
    expect(slices()).toMatchObject([{ endpoints: [], addressType: 'IPv4' }]);
    await create();
    expect(slices()).toHaveLength(1);
    const [slice] = slices();
    expect(slice?.metadata).toMatchObject({
      labels: {
        team: 'books',
        'kubernetes.io/service-name': 'reviews',
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      ownerReferences: [{ kind: 'Service', name: 'reviews', controller: true }],
    });
    expect(slice?.ports).toEqual([{ name: 'http', port: 9080, protocol: 'TCP' }]);
    expect(slice?.endpoints).toHaveLength(2);
    expect(slice?.endpoints?.[0]).toMatchObject({
      addresses: [expect.stringMatching(/^10\.244\./)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'sandbox',
      targetRef: { kind: 'Pod', namespace: 'default' },
    });
  });

  it('take a pod out of service as soon as it is being deleted', async () => {
    await cluster.create(Kinds.Service, service());
    await create({ replicas: 1 });
    await node.stop();
    await cluster.delete(Kinds.Pod, 'default', pods()[0]?.metadata.name ?? '');
    await settle();
    expect(slices()[0]?.endpoints?.map(({ conditions }) => conditions)).toContainEqual({
      ready: false,
      serving: true,
      terminating: true,
    });
  });

  it('list pods that are not ready as such, and as ready where the Service asks for it', async () => {
    broken.add('sandbox/reviews:1');
    await cluster.create(Kinds.Service, service());
    await cluster.create(Kinds.Service, service('early', { publishNotReadyAddresses: true }));
    await create({ replicas: 1 });
    const readiness = Object.fromEntries(
      slices().map(({ metadata, endpoints }) => [
        metadata.labels?.['kubernetes.io/service-name'],
        endpoints?.[0]?.conditions.ready,
      ]),
    );
    expect(readiness).toEqual({ reviews: false, early: true });
  });

  it('hold at most a hundred endpoints each and go with the Service', async () => {
    await cluster.create(Kinds.Service, service());
    await create({ replicas: 150 });
    expect(new Set(slices().map(({ endpoints }) => endpoints?.length))).toEqual(new Set([100, 50]));
    expect(new Set(slices().flatMap(({ endpoints }) => endpoints?.map(({ addresses }) => addresses[0])))).toHaveProperty(
      'size',
      150,
    );
    await cluster.delete(Kinds.Service, 'default', 'reviews');
    await settle();
    expect(slices()).toEqual([]);
  });
});
