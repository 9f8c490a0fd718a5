import { isLatency } from '../core/checks.js';
import type { Measurement, SideCounts, WindowCounts, Windows } from '../core/evidence.js';
import { SHARE_METRIC } from '../core/share.js';
import { completeEnds, windowEnds } from '../metrics/grid.js';
import { histogramQuantile } from '../metrics/prometheus/quantile.js';

/** The windows that are complete at `now`; where the only one is not complete yet, it is waited for. All unix milliseconds. */
export function measuredEnds(from: number, to: number, gridMs: number, now: number): number[] {
  const complete = completeEnds(from, to, gridMs, now);
  return complete.length > 0 ? complete : windowEnds(from, to, gridMs).slice(0, 1);
}

/** The value of a built-in metric of the canary, from the counts of the windows that make it up. */
export function measured(metric: string, windows: readonly WindowCounts[], bounds: readonly number[], gridMs: number): Measurement {
  const [from, to] = [(windows[0]?.to ?? gridMs) - gridMs, windows.at(-1)?.to ?? 0];
  const canary = summed(windows.map((window) => window.canary));
  if (metric === SHARE_METRIC) {
    const stable = summed(windows.map((window) => window.stable));
    const all = canary.total + stable.total;
    return all === 0 ? nothing(metric) : { kind: 'Value', value: (100 * canary.total) / all, samples: all, query: metric, from, to };
  }
  if (canary.total === 0) return nothing(metric);
  const value = isLatency(metric) ? quantile(canary, bounds) : 100 * (1 - (canary.bad[0] ?? 0) / canary.total);
  return Number.isNaN(value) ? nothing(metric) : { kind: 'Value', value, samples: canary.total, query: metric, from, to };
}

const nothing = (metric: string): Measurement => ({ kind: 'NoData', query: metric, message: 'no requests to the canary were seen' });

export function summed(sides: readonly SideCounts[]): SideCounts {
  const bad: number[] = [];
  let total = 0;
  for (const side of sides) {
    total += side.total;
    for (const [index, count] of side.bad.entries()) bad[index] = (bad[index] ?? 0) + count;
  }
  return { total, bad };
}

function quantile({ total, bad }: SideCounts, bounds: readonly number[]): number {
  const buckets = new Map(bounds.map((bound, index): [number, number] => [bound, total - (bad[index] ?? 0)]));
  return histogramQuantile(0.99, buckets.set(Number.POSITIVE_INFINITY, total));
}

/** The answer to a question for windows, or that there are none. */
export const windowsOf = (query: string, windows: WindowCounts[], bounds: number[], gridMs: number): Windows =>
  windows.length === 0 ? { kind: 'NoData', query, message: 'no window is complete yet' } : { kind: 'Windows', gridMs, bounds, windows, query };
