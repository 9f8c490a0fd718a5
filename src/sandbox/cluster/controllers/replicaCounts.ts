import type { Deployment, ReplicaSet } from '../types.js';

/** Arithmetic of rolling updates, after `k8s.io/kubernetes/pkg/controller/deployment/util`. */

export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';
export const REVISION = 'deployment.kubernetes.io/revision';

export const wanted = (owner: { spec: { replicas?: number } }): number => owner.spec.replicas ?? 1;

export const isRolling = (deployment: Deployment): boolean => deployment.spec.strategy?.type !== 'Recreate';

/** maxSurge (rounded up) and maxUnavailable (rounded down) in pods; both zero would never move, so one may then be missing. */
function fenceposts(deployment: Deployment): { surge: number; unavailable: number } {
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {};
  const surge = portion(maxSurge, wanted(deployment), Math.ceil);
  const unavailable = portion(maxUnavailable, wanted(deployment), Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function portion(value: number | string, of: number, round: (x: number) => number): number {
  if (typeof value === 'number') return value;
  return round((Number.parseInt(value, 10) * of) / 100) || 0;
}

export const maxSurge = (deployment: Deployment): number => (isRolling(deployment) ? fenceposts(deployment).surge : 0);

export function maxUnavailable(deployment: Deployment): number {
  if (!isRolling(deployment) || wanted(deployment) === 0) return 0;
  return Math.min(fenceposts(deployment).unavailable, wanted(deployment));
}

export const sum = (sets: ReplicaSet[], count: (set: ReplicaSet) => number | undefined): number =>
  sets.reduce((total, set) => total + (count(set) ?? 0), 0);

export const available = (set: ReplicaSet): number => set.status?.availableReplicas ?? 0;

/** How large the new ReplicaSet may be now. */
export function newSetSize(deployment: Deployment, all: ReplicaSet[], current: number): number {
  if (!isRolling(deployment)) return wanted(deployment);
  const room = wanted(deployment) + maxSurge(deployment) - sum(all, wanted);
  if (room <= 0) return current;
  return current + Math.min(room, wanted(deployment) - current);
}

export interface Resize {
  set: ReplicaSet;
  size: number;
}

/** Which old ReplicaSets may shrink, and to what: first pods that do not work anyway, then working ones that can be spared. */
export function shrinkOld(deployment: Deployment, fresh: ReplicaSet | undefined, old: ReplicaSet[]): Resize[] {
  const all = fresh ? [fresh, ...old] : old;
  if (sum(old, wanted) === 0) return [];
  const minAvailable = wanted(deployment) - maxUnavailable(deployment);
  const freshUnavailable = fresh ? wanted(fresh) - available(fresh) : 0;
  const removable = sum(all, wanted) - minAvailable - freshUnavailable;
  if (removable <= 0) return [];
  const sizes = new Map(old.map((set) => [set, wanted(set)]));
  removeUnhealthy(sizes, removable);
  removeSpare(sizes, sum(all, available) - minAvailable);
  return old.map((set) => ({ set, size: sizes.get(set) ?? wanted(set) })).filter(({ set, size }) => size !== wanted(set));
}

function removeUnhealthy(sizes: Map<ReplicaSet, number>, budget: number): void {
  for (const [set, size] of sizes) {
    const removed = Math.min(Math.max(0, budget), size - Math.min(size, available(set)));
    budget -= removed;
    sizes.set(set, size - removed);
  }
}

function removeSpare(sizes: Map<ReplicaSet, number>, budget: number): void {
  for (const [set, size] of sizes) {
    const removed = Math.min(Math.max(0, budget), size);
    budget -= removed;
    sizes.set(set, size - removed);
  }
}

/**
 * Sizes when the Deployment is resized during a rollout: every active ReplicaSet keeps its share, the largest (of equals
 * the newest when growing, the oldest when shrinking) takes what rounding leaves.
 */
export function proportional(deployment: Deployment, active: ReplicaSet[]): Resize[] {
  const allowed = wanted(deployment) > 0 ? wanted(deployment) + maxSurge(deployment) : 0;
  const toAdd = allowed - sum(active, wanted);
  const sorted = bySize(active, toAdd >= 0);
  const sizes = new Map<ReplicaSet, number>();
  let added = 0;
  for (const set of sorted) {
    const share = toAdd === 0 || wanted(set) === 0 ? 0 : shareOf(deployment, set, allowed);
    const change = toAdd > 0 ? Math.max(0, Math.min(share, toAdd - added)) : Math.min(0, Math.max(share, toAdd - added));
    sizes.set(set, wanted(set) + change);
    added += change;
  }
  const first = sorted[0];
  if (first) sizes.set(first, Math.max(0, (sizes.get(first) ?? 0) + toAdd - added));
  return sorted.map((set) => ({ set, size: sizes.get(set) ?? wanted(set) }));
}

function shareOf(deployment: Deployment, set: ReplicaSet, maxNow: number): number {
  if (wanted(deployment) === 0) return -wanted(set);
  const maxBefore = Number(set.metadata.annotations?.[MAX_REPLICAS] ?? 0) || deployment.status?.replicas || maxNow;
  return Math.round((wanted(set) * maxNow) / maxBefore) - wanted(set);
}

function bySize(sets: ReplicaSet[], newestFirst: boolean): ReplicaSet[] {
  const age = (set: ReplicaSet): number => Date.parse(set.metadata.creationTimestamp ?? '') || 0;
  return [...sets].sort((a, b) => wanted(b) - wanted(a) || (newestFirst ? age(b) - age(a) : age(a) - age(b)));
}
