import { conditionOf, isReady, restartsOf } from '../pods.js';
import type { Pod } from '../types.js';

const PHASES = { Pending: 0, Unknown: 1, Running: 2, Succeeded: 2, Failed: 2 } as const;
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

/** A pod's place in the order of removal, most significant first; the smaller goes first. */
function rank(pod: Pod, perNode: Map<string, number>, now: number): number[] {
  const ready = isReady(pod);
  const readySince = Date.parse(conditionOf(pod.status?.conditions, 'Ready')?.lastTransitionTime ?? '') || now;
  return [
    pod.spec.nodeName ? 1 : 0,
    PHASES[pod.status?.phase ?? 'Pending'],
    ready ? 1 : 0,
    Number(pod.metadata.annotations?.[DELETION_COST] ?? 0) || 0,
    -(perNode.get(pod.spec.nodeName ?? '') ?? 0),
    // Real clusters compare ages by powers of two, to be fair to pods that are nearly as old; here the younger goes.
    ready ? -readySince : 0,
    -restartsOf(pod),
    -(Date.parse(pod.metadata.creationTimestamp ?? '') || now),
  ];
}

/**
 * `pods` in the order in which a ReplicaSet that shrinks removes them: unassigned, then pending, then unready, then by
 * deletion cost, then from the fullest node, then the younger, the more often restarted and the later created.
 */
export function deletionOrder(pods: Pod[], perNode: Map<string, number>, now: number): Pod[] {
  return pods
    .map((pod) => ({ pod, rank: rank(pod, perNode, now) }))
    .sort((a, b) => compare(a.rank, b.rank) || (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1))
    .map(({ pod }) => pod);
}

function compare(a: number[], b: number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
