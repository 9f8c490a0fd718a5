import type { KubeClient, KubeObject, Resource } from '../../../kube/types.js';
import { isConflict, isNotFound } from '../../../kube/types.js';
import { Resources } from '../../../kube/resources.js';
import type { Clock } from '../clock.js';
import { timestamp } from '../clock.js';
import { conditionOf } from '../pods.js';
import { matchesLabels } from '../selectors.js';
import { Kinds } from '../types.js';
import type { Condition, Pod } from '../types.js';

/** POST to `pods/NAME/binding` takes a Binding, not a Pod. */
const Binding = Resources.Pod as Resource<KubeObject>;

export interface SchedulerDeps {
  client: KubeClient;
  clock: Clock;
  nodeName: string;
  nodeLabels: Record<string, string>;
}

/** Places pods on the one node that there is. */
export class Scheduler {
  /** The embedded API takes `spec.nodeName` directly and has no binding subresource. */
  private bindsDirectly = false;

  constructor(private readonly deps: SchedulerDeps) {}

  /** Binds a pod to the node. False when it does not fit now, which the pod then says in `PodScheduled`. */
  async place(pod: Pod, hasRoom: boolean): Promise<boolean> {
    const reason = whyNot(pod, this.deps, hasRoom);
    if (reason !== undefined) {
      await markUnschedulable(pod, reason, this.deps);
      return false;
    }
    try {
      await this.bind(pod);
    } catch (error) {
      // Bound by somebody else, or gone: the watch tells.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
    return true;
  }

  private async bind(pod: Pod): Promise<void> {
    const { client, nodeName } = this.deps;
    const { name, namespace, uid } = pod.metadata;
    if (!this.bindsDirectly) {
      const target = { apiVersion: 'v1', kind: 'Node', name: nodeName };
      const binding: KubeObject = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target };
      try {
        await client.create(Binding, binding, { subresource: 'binding' });
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    // Not found: either the pod or the subresource. A pod that is found says that it was the subresource.
    await client.patch(Kinds.Pod, namespace, name, { metadata: { uid }, spec: { nodeName } }, 'merge');
    this.bindsDirectly = true;
  }
}

function whyNot(pod: Pod, deps: SchedulerDeps, hasRoom: boolean): string | undefined {
  if (!matchesLabels(pod.spec.nodeSelector ?? {}, deps.nodeLabels)) {
    return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
  }
  return hasRoom ? undefined : '0/1 nodes are available: 1 Too many pods.';
}

async function markUnschedulable(pod: Pod, message: string, { client, clock }: SchedulerDeps): Promise<void> {
  const before = pod.status?.conditions ?? [];
  if (conditionOf(before, 'PodScheduled')?.message === message) return;
  const condition: Condition = {
    type: 'PodScheduled',
    status: 'False',
    reason: 'Unschedulable',
    message,
    lastTransitionTime: timestamp(clock.now()),
  };
  const conditions = [...before.filter(({ type }) => type !== 'PodScheduled'), condition];
  const { name, namespace, uid } = pod.metadata;
  try {
    await client.patch(Kinds.Pod, namespace, name, { metadata: { uid }, status: { phase: 'Pending', conditions } }, 'merge', {
      subresource: 'status',
    });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
