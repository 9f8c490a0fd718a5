import { createHash } from 'node:crypto';
import { isNotFound, type KubeObject } from '../../../kube/types.js';
import { randomSuffix } from '../names.js';
import { isReady, isTerminal, isTerminating } from '../pods.js';
import { WorkQueue, keyOf, splitKey } from '../queue.js';
import { matchesLabels } from '../selectors.js';
import { Kinds } from '../types.js';
import type { DaemonSet, DaemonSetStatus, Pod } from '../types.js';
import type { ControllerContext } from './context.js';
import { canonical, controllerOf, controllerReference, sameValue } from './context.js';
import { OwnerIndex } from './ownerIndex.js';

const OWNER = { apiVersion: 'apps/v1', kind: 'DaemonSet' };
/** Which template a pod was made from. */
const HASH_LABEL = 'controller-revision-hash';

const hashOf = ({ spec }: DaemonSet): string => createHash('sha256').update(canonical(spec.template)).digest('hex').slice(0, 10);

/** Keeps one pod of each DaemonSet on every node that its template fits, and replaces outdated ones one at a time. */
export class DaemonSetController {
  private readonly queue: WorkQueue;
  private readonly pods: OwnerIndex<Pod>;

  constructor(private readonly context: ControllerContext) {
    const { informers, clock } = context;
    this.pods = new OwnerIndex(informers.pods);
    this.queue = new WorkQueue({ work: (key) => this.sync(key), onError: (key, error) => context.onError('daemonset', key, error), clock, concurrency: 4 });
    informers.daemonSets.onChange((key) => this.queue.add(keyOf(key)));
    informers.nodes.onChange(() => this.start());
    informers.pods.onChange((_key, pod, previous) => {
      for (const version of [pod, previous]) {
        const owner = version && controllerOf(version);
        if (owner?.kind === OWNER.kind) this.queue.add(keyOf({ namespace: version?.metadata.namespace, name: owner.name }));
      }
    });
  }

  start(): void {
    for (const set of this.context.informers.daemonSets.list()) this.queue.add(keyOf(set.metadata));
  }

  stop(): void {
    this.queue.stop();
  }

  private async sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const set = this.context.informers.daemonSets.get(namespace, name);
    if (!set || set.metadata.deletionTimestamp) return;
    const wanted = this.context.informers.nodes.list().filter((node) => matchesLabels(set.spec.template.spec.nodeSelector ?? {}, node.metadata.labels));
    const active = this.active(set);
    for (const node of wanted) if (!active.some(({ spec }) => spec.nodeName === node.metadata.name)) await this.createPod(set, node);
    for (const pod of this.surplus(set, active, wanted)) await this.deletePod(pod);
    await this.writeStatus(set, wanted);
  }

  private active(set: DaemonSet): Pod[] {
    return this.pods.ownedBy(set.metadata.uid).filter((pod) => !isTerminal(pod) && !isTerminating(pod));
  }

  /** Pods on nodes that they are not meant for, and the next one of an older template once all others are ready. */
  private surplus(set: DaemonSet, active: Pod[], wanted: KubeObject[]): Pod[] {
    const misplaced = active.filter(({ spec }) => !wanted.some((node) => node.metadata.name === spec.nodeName));
    if (misplaced.length > 0 || set.spec.updateStrategy?.type === 'OnDelete' || !active.every(isReady)) return misplaced;
    return active.filter((pod) => pod.metadata.labels?.[HASH_LABEL] !== hashOf(set)).slice(0, 1);
  }

  private async createPod(set: DaemonSet, node: KubeObject): Promise<void> {
    const { template } = set.spec;
    const { namespace, name } = set.metadata;
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `${name}-${randomSuffix(5)}`,
        namespace,
        labels: { ...template.metadata?.labels, [HASH_LABEL]: hashOf(set) },
        annotations: { ...template.metadata?.annotations },
        ownerReferences: [controllerReference(set, OWNER.apiVersion, OWNER.kind)],
      },
      spec: { ...structuredClone(template.spec), nodeName: node.metadata.name },
    };
    this.context.informers.pods.observe(await this.context.client.create(Kinds.Pod, pod));
  }

  private async deletePod(pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    await this.context.client.delete(Kinds.Pod, namespace, name, { uid }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }

  private async writeStatus(set: DaemonSet, wanted: KubeObject[]): Promise<void> {
    const active = this.active(set);
    const placed = active.filter(({ spec }) => wanted.some((node) => node.metadata.name === spec.nodeName));
    const ready = placed.filter(isReady).length;
    const status: DaemonSetStatus = {
      desiredNumberScheduled: wanted.length,
      currentNumberScheduled: placed.length,
      numberMisscheduled: active.length - placed.length,
      numberReady: ready,
      numberAvailable: ready,
      updatedNumberScheduled: placed.filter((pod) => pod.metadata.labels?.[HASH_LABEL] === hashOf(set)).length,
      observedGeneration: set.metadata.generation,
    };
    if (sameValue(status, { ...set.status })) return;
    const { namespace, name, uid } = set.metadata;
    await this.context.client
      .patch(Kinds.DaemonSet, namespace, name, { metadata: { uid }, status }, 'merge', { subresource: 'status' })
      .then((written) => this.context.informers.daemonSets.observe(written))
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
  }
}
