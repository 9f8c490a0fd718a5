import { isDeepStrictEqual } from 'node:util';
import type { CanaryStatus } from '../api/index.js';

type Side = NonNullable<CanaryStatus['stable']>;

function withoutNumbers(side: Side | undefined): Partial<Side> | undefined {
  if (!side) return undefined;
  const { replicas: _replicas, readyReplicas: _ready, endpoints: _endpoints, ...kept } = side;
  return kept;
}

/**
 * What of a status a decision is made from, or a person waits for; counts of pods and the wording of conditions are left out. So is
 * `origin`: a change that is not stored yet is worked out again. Evidence for a verdict is read again from where it was stored last.
 */
function essence(status: CanaryStatus | undefined): unknown {
  if (!status) return undefined;
  const { replicas: _replicas, origin: _origin, stable, canary, conditions, verdict, ...kept } = status;
  const states = conditions?.map(({ type, status: value }) => `${type}=${value}`);
  return { ...kept, stable: withoutNumbers(stable), canary: withoutNumbers(canary), states, verdict: verdict && { run: verdict.run, step: verdict.step } };
}

/** True when two statuses differ in numbers and wording only. */
export const isCosmetic = (before: CanaryStatus | undefined, after: CanaryStatus): boolean => isDeepStrictEqual(essence(before), essence(after));

/** True when two statuses differ in the evidence for a verdict at most. That is never waited for by a person: what it says is in other fields. */
export const isEvidence = (before: CanaryStatus | undefined, after: CanaryStatus): boolean =>
  isDeepStrictEqual({ ...before, verdict: undefined }, { ...after, verdict: undefined }) && before?.verdict?.run === after.verdict?.run && before?.verdict?.step === after.verdict?.step;

/** Evidence that is not stored yet, and the stored one that it was made from. */
export interface FreshEvidence {
  from: CanaryStatus['verdict'];
  verdict: NonNullable<CanaryStatus['verdict']>;
}

/** A status with the evidence that was made from what it holds. Another writer's is taken as it is: what is missing is read again. */
export function withFresh(status: CanaryStatus, fresh: FreshEvidence | undefined): CanaryStatus {
  if (!fresh || fresh.verdict.run !== status.run?.id || !isDeepStrictEqual(status.verdict, fresh.from)) return status;
  return { ...status, verdict: structuredClone(fresh.verdict) };
}
