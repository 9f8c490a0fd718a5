import { selectsLabels } from '../../../kube/selector.js';
import { isAlreadyExists, isNotFound } from '../../../kube/types.js';
import { randomSuffix } from '../names.js';
import { availableIn, isReady, isTerminal, isTerminating } from '../pods.js';
import { WorkQueue, keyOf, splitKey } from '../queue.js';
import { matchesLabels } from '../selectors.js';
import { timestamp } from '../clock.js';
import { Kinds } from '../types.js';
import type { Condition, Pod, ReplicaSet, ReplicaSetStatus } from '../types.js';
import { claim } from './claim.js';
import type { ControllerContext } from './context.js';
import { controllerOf, controllerReference, sameValue } from './context.js';
import { OwnerIndex } from './ownerIndex.js';
import { deletionOrder } from './podRank.js';

const OWNER = { apiVersion: 'apps/v1', kind: 'ReplicaSet' };
/** At most so many pods are made or removed in one turn (`BurstReplicas`). */
const BURST = 500;

/** Keeps as many pods as each ReplicaSet asks for. */
export class ReplicaSetController {
  private readonly queue: WorkQueue;
  private readonly pods: OwnerIndex<Pod>;
  /** Pods whose deletion we asked for and whose deletionTimestamp has not reached the local copy. */
  private readonly deleting = new Set<string>();

  constructor(private readonly context: ControllerContext) {
    const { informers, clock } = context;
    this.pods = new OwnerIndex(informers.pods);
    this.queue = new WorkQueue({
      work: (key) => this.sync(key),
      onError: (key, error) => context.onError('replicaset', key, error),
      clock,
      concurrency: 8,
    });
    informers.replicaSets.onChange((key) => this.queue.add(keyOf(key)));
    informers.pods.onChange((_key, pod, previous) => this.podChanged(pod, previous));
  }

  start(): void {
    for (const set of this.context.informers.replicaSets.list()) this.queue.add(keyOf(set.metadata));
  }

  stop(): void {
    this.queue.stop();
  }

  private podChanged(pod: Pod | undefined, previous: Pod | undefined): void {
    const uid = (pod ?? previous)?.metadata.uid;
    if (uid !== undefined && (pod === undefined || isTerminating(pod))) this.deleting.delete(uid);
    for (const version of [pod, previous]) {
      const owner = version && controllerOf(version);
      if (owner?.kind === 'ReplicaSet') this.queue.add(keyOf({ namespace: version?.metadata.namespace, name: owner.name }));
    }
    if (pod && !controllerOf(pod)) this.offerOrphan(pod);
  }

  private offerOrphan(pod: Pod): void {
    for (const set of this.context.informers.replicaSets.list(pod.metadata.namespace)) {
      if (selectsLabels(set.spec.selector, pod.metadata.labels)) this.queue.add(keyOf(set.metadata));
    }
  }

  private async sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const set = this.context.informers.replicaSets.get(namespace, name);
    if (!set) return;
    const claimed = await claim({
      client: this.context.client,
      resource: Kinds.Pod,
      index: this.pods,
      owner: set,
      ownerKind: OWNER,
      observe: (pod) => this.context.informers.pods.observe(pod),
    });
    const living = claimed.filter((pod) => !isTerminal(pod));
    const gone = (pod: Pod): boolean => isTerminating(pod) || this.deleting.has(pod.metadata.uid ?? '');
    let failure: Error | undefined;
    if (!set.metadata.deletionTimestamp) {
      failure = await this.adjust(
        set,
        living.filter((pod) => !gone(pod)),
      ).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error : new Error(JSON.stringify(error))),
      );
    }
    // What adjust() wrote is in the informer already, so the status counts it.
    const now = this.pods
      .ownedBy(set.metadata.uid)
      .filter((pod) => !isTerminal(pod) && selectsLabels(set.spec.selector, pod.metadata.labels));
    await this.writeStatus(
      set,
      now.filter((pod) => !gone(pod)),
      now.filter(gone),
      failure,
    );
    if (failure !== undefined) throw failure;
  }

  private async adjust(set: ReplicaSet, active: Pod[]): Promise<void> {
    const surplus = active.length - (set.spec.replicas ?? 1);
    if (surplus < 0) await this.createPods(set, Math.min(BURST, -surplus));
    else if (surplus > 0) {
      const victims = deletionOrder(active, this.podsPerNode(active), this.context.clock.now()).slice(
        0,
        Math.min(BURST, surplus),
      );
      await settleAll(victims.map((pod) => this.deletePod(set, pod)));
    }
  }

  /** In batches that double, so that a quota or a broken webhook is met by one refusal and not by hundreds. */
  private async createPods(set: ReplicaSet, count: number): Promise<void> {
    for (let made = 0, batch = 1; made < count; made += batch, batch *= 2) {
      batch = Math.min(batch, count - made);
      await settleAll(Array.from({ length: batch }, () => this.createPod(set)));
    }
  }

  private async createPod(set: ReplicaSet): Promise<void> {
    const { template } = set.spec;
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `${set.metadata.name}-${randomSuffix(5)}`,
        generateName: `${set.metadata.name}-`,
        namespace: set.metadata.namespace,
        labels: { ...template.metadata?.labels },
        annotations: { ...template.metadata?.annotations },
        ownerReferences: [controllerReference(set, OWNER.apiVersion, OWNER.kind)],
      },
      spec: structuredClone(template.spec),
    };
    try {
      const created = await this.context.client.create(Kinds.Pod, pod);
      this.context.informers.pods.observe(created);
      this.context.events.event(set, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`);
    } catch (error) {
      // The random name was taken: draw another one.
      if (isAlreadyExists(error)) return this.createPod(set);
      const why = error instanceof Error ? error.message : 'unknown';
      this.context.events.event(set, 'Warning', 'FailedCreate', `Error creating: ${why}`);
      throw error;
    }
  }

  private async deletePod(set: ReplicaSet, pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    if (uid !== undefined) this.deleting.add(uid);
    try {
      await this.context.client.delete(Kinds.Pod, namespace, name, { uid });
      this.context.events.event(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
    } catch (error) {
      if (isNotFound(error)) return;
      if (uid !== undefined) this.deleting.delete(uid);
      throw error;
    }
  }

  private podsPerNode(active: Pod[]): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { spec } of active) if (spec.nodeName) counts.set(spec.nodeName, (counts.get(spec.nodeName) ?? 0) + 1);
    return counts;
  }

  private async writeStatus(set: ReplicaSet, active: Pod[], terminating: Pod[], failure: Error | undefined): Promise<void> {
    const minReady = set.spec.minReadySeconds ?? 0;
    const now = this.context.clock.now();
    const waits = active.map((pod) => availableIn(pod, minReady, now)).filter((wait) => wait !== undefined);
    const soonest = Math.min(...waits.filter((wait) => wait > 0));
    if (Number.isFinite(soonest)) this.queue.addAfter(keyOf(set.metadata), soonest + 1);
    const status: ReplicaSetStatus = {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) => matchesLabels(set.spec.template.metadata?.labels ?? {}, pod.metadata.labels))
        .length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: waits.filter((wait) => wait === 0).length,
      terminatingReplicas: terminating.length,
      observedGeneration: set.metadata.generation,
      ...withFailure(set, failure, active.length, now),
    };
    if (sameValue(status, { ...set.status })) return;
    try {
      const body = { metadata: { uid: set.metadata.uid }, status: { ...status, conditions: status.conditions ?? null } };
      const { namespace, name } = set.metadata;
      this.context.informers.replicaSets.observe(
        await this.context.client.patch(Kinds.ReplicaSet, namespace, name, body, 'merge', { subresource: 'status' }),
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

function withFailure(set: ReplicaSet, failure: Error | undefined, active: number, now: number): { conditions?: Condition[] } {
  const others = (set.status?.conditions ?? []).filter((condition) => condition.type !== 'ReplicaFailure');
  const previous = set.status?.conditions?.find((condition) => condition.type === 'ReplicaFailure');
  if (failure === undefined) return others.length > 0 ? { conditions: others } : {};
  const reason = active < (set.spec.replicas ?? 1) ? 'FailedCreate' : 'FailedDelete';
  const { message } = failure;
  const lastTransitionTime = previous?.reason === reason ? previous.lastTransitionTime : timestamp(now);
  return { conditions: [...others, { type: 'ReplicaFailure', status: 'True', reason, message, lastTransitionTime }] };
}

/** Waits for all of them, then rejects with the first failure. */
async function settleAll(actions: Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(actions);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}
