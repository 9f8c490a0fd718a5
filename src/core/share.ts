import type { Check } from '../api/index.js';
import { remember } from './checks.js';
import type { Draft } from './draft.js';
import { intervalMs } from './gates.js';
import type { PlanStep } from './plan.js';
import { iso } from './time.js';

/** Percent of the slots' requests that the canary got: measured like a metric, but not judged as one. */
export const SHARE_METRIC = 'request-share';

/** Standard deviations that chance stays within 999 times of 1000. */
const CHANCE = 3.29;
/** Percent that rounding and callers without a proxy may make; a smaller difference is never held against a weight. */
const SLACK = 1;

/**
 * What is looked at, at least, where the weight has been there for so long; milliseconds. Evidence comes in whole windows of a grid, and an
 * interval that is as short as one of them holds none.
 */
const LEAST_WINDOW_MS = 15_000;

/** True for a step whose weight says what share of the requests the canary gets. */
const telling = (draft: Draft, { weight, match }: PlanStep): boolean =>
  draft.spec.analysis.verifyShare === true && weight > 0 && weight < 100 && !match && !draft.spec.analysis.sessionAffinity && draft.status.canaryWeight === weight;

/** The evidence that is needed of the share; the last interval, because proxies learn late. */
export function shareWindow(draft: Draft, rules: PlanStep, startedAt: number): { metric: string; from: number; to: number }[] {
  return telling(draft, rules) ? [{ metric: SHARE_METRIC, from: Math.max(startedAt, draft.now - Math.max(intervalMs(draft), rules.holdMs / 2, LEAST_WINDOW_MS)), to: draft.now }] : [];
}

/** The shares that a weight may show in so many requests. */
export function shareBounds(weight: number, samples: number): { min: number; max: number } {
  const share = weight / 100;
  const chance = samples > 0 ? 100 * CHANCE * Math.sqrt((share * (1 - share)) / samples) : 100;
  const tolerance = Math.max(SLACK, chance);
  return { min: Math.max(0, weight - tolerance), max: Math.min(100, weight + tolerance) };
}

const percent = (value: number): string => Number(value.toFixed(1)).toString();

function judge(draft: Draft, weight: number): Check {
  const found = draft.observed.measurements?.find(({ metric }) => metric === SHARE_METRIC)?.measurement;
  const base = { metric: SHARE_METRIC, at: iso(draft.now), weight };
  if (found?.kind !== 'Value') return { ...base, verdict: found?.kind === 'Error' ? 'Error' : 'NoData', message: `share of the requests: ${found?.message ?? 'not measured'}` };
  const { value, samples = 0 } = found;
  const { min, max } = shareBounds(weight, samples);
  const there = value >= min && value <= max;
  const message = `the canary got ${percent(value)} % of ${samples} requests, ${there ? 'as' : 'not as'} weight ${weight} % has it (${percent(min)} to ${percent(max)} %)`;
  return { ...base, verdict: there ? 'Pass' : 'NoData', value, min, max, samples, message };
}

/** True when the canary gets what its weight says, or nobody asked; else it is said why the step waits. */
export function shareReached(draft: Draft, rules: PlanStep): boolean {
  if (!telling(draft, rules)) return true;
  const check = judge(draft, rules.weight);
  if (check.verdict === 'Pass') return true;
  const before = draft.status.checks?.find(({ metric }) => metric === SHARE_METRIC);
  remember(draft, [check], before?.weight === check.weight);
  draft.wait(check.verdict === 'Error' ? 'MetricsUnavailable' : 'ShareNotReached', check.message);
  return false;
}
