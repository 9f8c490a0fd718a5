import type { Condition, GitSourceStatus } from '../api/index.js';
import { needsPerson, type GitReason } from './reasons.js';

/** How a sync ended, for people. */
export interface Outcome {
  reason: GitReason;
  message: string;
}

const MAX_MESSAGE = 4096;
const NOTHING_TO_MEND = 'Nothing that a person must fix.';

/**
 * The three conditions of one outcome. `Ready`: the cluster holds what Git says. `Stalled`: a person must act. `Reconciling`: it is
 * not there yet and will be tried again without anybody's help.
 */
export function conditionsOf(
  outcome: Outcome,
  before: Condition[] | undefined,
  generation: number | undefined,
  now: string,
): Condition[] {
  const { reason } = outcome;
  const message = outcome.message.slice(0, MAX_MESSAGE);
  const ready = reason === 'Synced';
  const stalled = needsPerson(reason);
  const wanted: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[] = [
    { type: 'Ready', status: ready ? 'True' : reason === 'Fetching' ? 'Unknown' : 'False', reason, message },
    {
      type: 'Stalled',
      status: stalled ? 'True' : 'False',
      reason: stalled ? reason : 'Synced',
      message: stalled ? message : NOTHING_TO_MEND,
    },
    {
      type: 'Reconciling',
      status: !ready && !stalled ? 'True' : 'False',
      reason,
      message: ready || stalled ? 'Nothing is under way.' : message,
    },
  ];
  return merge(wanted, before, generation, now);
}

/** While suspended, `Ready` goes on saying how the last sync ended. */
export function suspendedConditions(before: Condition[] | undefined, generation: number | undefined, now: string): Condition[] {
  const message = 'spec.suspend is true; set it to false to go on. What was applied stays';
  const others = (before ?? []).filter(({ type }) => type !== 'Reconciling');
  return [...others, ...merge([{ type: 'Reconciling', status: 'False', reason: 'Suspended', message }], before, generation, now)];
}

function merge(
  wanted: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[],
  before: Condition[] | undefined,
  generation: number | undefined,
  now: string,
): Condition[] {
  return wanted.map((condition) => {
    const old = before?.find(({ type }) => type === condition.type);
    const lastTransitionTime = old?.status === condition.status ? old.lastTransitionTime : now;
    return { ...condition, lastTransitionTime, ...(generation === undefined ? {} : { observedGeneration: generation }) };
  });
}

/** The merge patch that turns one status into the other; undefined when they are the same. */
export function statusPatch(before: GitSourceStatus | undefined, after: GitSourceStatus): Record<string, unknown> | undefined {
  const old: Record<string, unknown> = { ...before };
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(after)) {
    if (value !== undefined && !same(old[key], value)) patch[key] = value;
  }
  const next: Record<string, unknown> = after;
  for (const key of Object.keys(old)) if (next[key] === undefined) patch[key] = null;
  return Object.keys(patch).length > 0 ? patch : undefined;
}

/** Lists and maps are compared whatever the order of their keys, because servers sort them. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const left = Object.entries(a).filter(([, value]) => value !== undefined);
  const right = Object.entries(b).filter(([, value]) => value !== undefined);
  const values = new Map(right);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    left.length === right.length &&
    left.every(([key, value]) => values.has(key) && same(value, values.get(key)))
  );
}
