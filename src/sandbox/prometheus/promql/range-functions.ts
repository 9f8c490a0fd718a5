import { CompensatedSum, linearRegression, mean, quantile, variance } from './maths.js';

/** The samples a function over time sees, never empty, and the window they come from. Milliseconds. */
export interface Window {
  readonly times: readonly number[];
  readonly values: readonly number[];
  readonly startMs: number;
  readonly endMs: number;
  readonly evaluatedAtMs: number;
}

/** Computes one value from a window; undefined when there are too few samples, and the series then drops out. */
export type RangeFunction = (window: Window, parameter: number) => number | undefined;

/** rate, increase and delta: the difference over the samples, extended to the edges of the window. */
function extrapolated(window: Window, counter: boolean, perSecond: boolean): number | undefined {
  const { times, values, startMs, endMs } = window;
  const last = values.length - 1;
  if (last < 1) return undefined;
  let result = values[last]! - values[0]!;
  if (counter) for (let i = 1; i <= last; i++) if (values[i]! < values[i - 1]!) result += values[i - 1]!;
  const sampled = (times[last]! - times[0]!) / 1000;
  const between = sampled / last;
  const threshold = between * 1.1;
  let toStart = (times[0]! - startMs) / 1000;
  let toEnd = (endMs - times[last]!) / 1000;
  if (toStart >= threshold) toStart = between / 2;
  if (counter) {
    // A counter cannot have been below zero, so it is not extended further back than where it would have been zero.
    const toZero = result > 0 && values[0]! >= 0 ? sampled * (values[0]! / result) : toStart;
    if (toZero < toStart) toStart = toZero;
  }
  if (toEnd >= threshold) toEnd = between / 2;
  let factor = sampled === 0 ? 1 : (sampled + toStart + toEnd) / sampled;
  if (perSecond) factor /= (endMs - startMs) / 1000;
  return result * factor;
}

/** irate and idelta: the last two samples only. */
function instant({ times, values }: Window, perSecond: boolean): number | undefined {
  const last = values.length - 1;
  if (last < 1) return undefined;
  const intervalMs = times[last]! - times[last - 1]!;
  if (intervalMs === 0) return undefined;
  const reset = perSecond && values[last]! < values[last - 1]!;
  const difference = reset ? values[last]! : values[last]! - values[last - 1]!;
  return perSecond ? difference / (intervalMs / 1000) : difference;
}

function extreme(values: readonly number[], better: (a: number, b: number) => boolean): number {
  let best = values[0]!;
  for (const value of values) if (better(value, best) || Number.isNaN(best)) best = value;
  return best;
}

function countSteps(values: readonly number[], differs: (before: number, after: number) => boolean): number {
  let count = 0;
  for (let i = 1; i < values.length; i++) if (differs(values[i - 1]!, values[i]!)) count++;
  return count;
}

function sum(values: readonly number[]): number {
  const total = new CompensatedSum();
  for (const value of values) total.add(value);
  return total.total;
}

export const RANGE_FUNCTIONS: ReadonlyMap<string, RangeFunction> = new Map<string, RangeFunction>([
  ['rate', (window) => extrapolated(window, true, true)],
  ['increase', (window) => extrapolated(window, true, false)],
  ['delta', (window) => extrapolated(window, false, false)],
  ['irate', (window) => instant(window, true)],
  ['idelta', (window) => instant(window, false)],
  ['deriv', (w) => (w.values.length < 2 ? undefined : linearRegression(w.times, w.values, w.times[0]!).slope)],
  [
    'predict_linear',
    (w, seconds) => {
      if (w.values.length < 2) return undefined;
      const { slope, intercept } = linearRegression(w.times, w.values, w.evaluatedAtMs);
      return slope * seconds + intercept;
    },
  ],
  ['resets', ({ values }) => countSteps(values, (before, after) => after < before)],
  [
    'changes',
    ({ values }) => countSteps(values, (before, after) => after !== before && !(Number.isNaN(after) && Number.isNaN(before))),
  ],
  ['avg_over_time', ({ values }) => mean(values)],
  ['sum_over_time', ({ values }) => sum(values)],
  ['count_over_time', ({ values }) => values.length],
  ['min_over_time', ({ values }) => extreme(values, (a, b) => a < b)],
  ['max_over_time', ({ values }) => extreme(values, (a, b) => a > b)],
  ['first_over_time', ({ values }) => values[0]],
  ['last_over_time', ({ values }) => values.at(-1)],
  ['present_over_time', () => 1],
  ['quantile_over_time', ({ values }, q) => quantile(q, values)],
  ['stddev_over_time', ({ values }) => Math.sqrt(variance(values))],
  ['stdvar_over_time', ({ values }) => variance(values)],
]);

/** The functions over time that keep the metric's name, since they return one of its samples. */
export const KEEP_NAME: ReadonlySet<string> = new Set(['first_over_time', 'last_over_time']);
