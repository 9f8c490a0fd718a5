import { timestamp } from '../clock.js';
import { conditionOf } from '../pods.js';
import type { Condition, Deployment, DeploymentStatus, ReplicaSet } from '../types.js';
import { available, maxUnavailable, sum, wanted } from './replicaCounts.js';

/** The status of a Deployment and its conditions, after `deployment/progress.go` and `deployment/sync.go` of Kubernetes. */

/** `progressDeadlineSeconds` with this value means: none. */
const NO_DEADLINE = 2_147_483_647;

/** Milliseconds until a rollout without progress has failed; undefined without a deadline. */
export function deadlineOf(deployment: Deployment): number | undefined {
  const seconds = deployment.spec.progressDeadlineSeconds ?? 600;
  return seconds === NO_DEADLINE ? undefined : seconds * 1000;
}

export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const size = wanted(deployment);
  return (
    status.updatedReplicas === size &&
    status.replicas === size &&
    status.availableReplicas === size &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

/** Counts and the Available condition; `conditions` are those decided so far. */
export function countStatus(
  deployment: Deployment,
  fresh: ReplicaSet | undefined,
  all: ReplicaSet[],
  conditions: Condition[],
  now: number,
): DeploymentStatus {
  const availableReplicas = sum(all, available);
  const enough = availableReplicas >= wanted(deployment) - maxUnavailable(deployment);
  const availability: Omit<Condition, 'lastTransitionTime'> = enough
    ? { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      };
  return {
    observedGeneration: deployment.metadata.generation,
    replicas: sum(all, (set) => set.status?.replicas),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum(all, (set) => set.status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, sum(all, wanted) - availableReplicas),
    terminatingReplicas: sum(all, (set) => set.status?.terminatingReplicas),
    collisionCount: deployment.status?.collisionCount,
    conditions: setCondition(conditions, availability, now),
  };
}

/** Lays the Progressing condition over `status`, from what changed since the status that the Deployment carries. */
export function judgeProgress(
  deployment: Deployment,
  status: DeploymentStatus,
  fresh: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  const conditions = status.conditions ?? [];
  if (deadlineOf(deployment) === undefined)
    return { ...status, conditions: conditions.filter(({ type }) => type !== 'Progressing') };
  const current = conditionOf(conditions, 'Progressing');
  if (status.replicas === status.updatedReplicas && current?.reason === 'NewReplicaSetAvailable') return status;
  const subject = fresh ? `ReplicaSet "${fresh.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  const with_ = (condition: Omit<Condition, 'type'>): DeploymentStatus => ({
    ...status,
    conditions: setCondition(conditions, { type: 'Progressing', ...condition }, now),
  });
  if (isComplete(deployment, status)) {
    return with_({ status: 'True', reason: 'NewReplicaSetAvailable', message: `${subject} has successfully progressed.` });
  }
  if (hasMoved(deployment.status ?? {}, status)) {
    const next: Condition = {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: `${subject} is progressing.`,
    };
    // Each move renews lastUpdateTime, from which the deadline counts, though the reason stays.
    const lastTransitionTime = current?.status === 'True' ? current.lastTransitionTime : timestamp(now);
    const renewed = { ...next, lastUpdateTime: timestamp(now), lastTransitionTime };
    return { ...status, conditions: [...conditions.filter(({ type }) => type !== 'Progressing'), renewed] };
  }
  if (timedOutIn(deployment, current, now) === 0) {
    return with_({ status: 'False', reason: 'ProgressDeadlineExceeded', message: `${subject} has timed out progressing.` });
  }
  return status;
}

function hasMoved(before: DeploymentStatus, after: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

/** Milliseconds until the rollout has timed out, 0 when it has; undefined when it cannot (complete, not begun, no deadline). */
export function timedOutIn(deployment: Deployment, progressing: Condition | undefined, now: number): number | undefined {
  const deadline = deadlineOf(deployment);
  if (deadline === undefined || !progressing || progressing.reason === 'NewReplicaSetAvailable') return undefined;
  if (progressing.reason === 'ProgressDeadlineExceeded') return 0;
  const since = Date.parse(progressing.lastUpdateTime ?? progressing.lastTransitionTime ?? '');
  return Number.isNaN(since) ? undefined : Math.max(0, since + deadline - now);
}

/** Replaces a condition; its times move only when its status (lastTransitionTime) or reason (lastUpdateTime) does. */
export function setCondition(conditions: Condition[], next: Condition, now: number): Condition[] {
  const current = conditionOf(conditions, next.type);
  if (current?.status === next.status && current.reason === next.reason) return conditions;
  const lastTransitionTime = current?.status === next.status ? current.lastTransitionTime : timestamp(now);
  const set = { ...next, lastUpdateTime: timestamp(now), lastTransitionTime };
  return [...conditions.filter(({ type }) => type !== next.type), set];
}

/** ReplicaFailure follows the ReplicaSets' own. */
export function withReplicaFailure(
  status: DeploymentStatus,
  fresh: ReplicaSet | undefined,
  all: ReplicaSet[],
  now: number,
): DeploymentStatus {
  const sets = fresh ? [fresh, ...all] : all;
  const failure = sets
    .map((set) => conditionOf(set.status?.conditions, 'ReplicaFailure'))
    .find((found) => found?.status === 'True');
  const conditions = status.conditions ?? [];
  if (!failure) return { ...status, conditions: conditions.filter(({ type }) => type !== 'ReplicaFailure') };
  const { reason, message } = failure;
  return { ...status, conditions: setCondition(conditions, { type: 'ReplicaFailure', status: 'True', reason, message }, now) };
}
