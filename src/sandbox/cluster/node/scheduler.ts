import type { KubeClient, KubeObject, Resource } from '../../../kube/types.js';
import { isConflict, isNotFound } from '../../../kube/types.js';
import { Resources } from '../../../kube/resources.js';
import type { Clock } from '../clock.js';
import { timestamp } from '../clock.js';
import { conditionOf, isTerminating } from '../pods.js';
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
  /** Whether the node takes one more pod. */
  hasRoom: boolean;
}

/** Binds a pod to the node. False when it does not fit now, which the pod then says in `PodScheduled`. */
export async function schedule(pod: Pod, deps: SchedulerDeps): Promise<boolean> {
  if (pod.spec.nodeName || isTerminating(pod)) return true;
  const reason = whyNot(pod, deps);
  if (reason !== undefined) {
    await markUnschedulable(pod, reason, deps);
    return false;
  }
  const { name, namespace, uid } = pod.metadata;
  const binding: KubeObject = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace, uid },
    target: { apiVersion: 'v1', kind: 'Node', name: deps.nodeName },
  };
  try {
    await deps.client.create(Binding, binding, { subresource: 'binding' });
  } catch (error) {
    // Bound by somebody else, or gone: the watch tells.
    if (!isConflict(error) && !isNotFound(error)) throw error;
  }
  return true;
}

function whyNot(pod: Pod, deps: SchedulerDeps): string | undefined {
  if (!matchesLabels(pod.spec.nodeSelector ?? {}, deps.nodeLabels)) {
    return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
  }
  return deps.hasRoom ? undefined : '0/1 nodes are available: 1 Too many pods.';
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
    await client.patch(Kinds.Pod, namespace, name, { metadata: { uid }, status: { phase: 'Pending', conditions } }, 'merge', { subresource: 'status' });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
