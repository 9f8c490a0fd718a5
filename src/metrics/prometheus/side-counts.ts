import type { SideCounts, WindowCounts } from '../../core/evidence.js';
import type { Evidence } from './evidence.js';
import type { ServiceKey } from './plan.js';
import type { BuiltinMetric } from './queries.js';
import type { Counts } from './windows.js';

/** Upper bound of a histogram's bucket, in the unit of the histogram. */
export const boundOf = (le: string): number => (le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le));

/** How many requests there were, by response code, and how many failed: with a server error, or code 0, which means that no answer came. */
export function failures(counts: Counts): { total: number; failed: number } {
  let total = 0;
  let failed = 0;
  for (const [code, count] of counts) {
    total += count;
    if (code === '0' || /^5..$/.test(code)) failed += count;
  }
  return { total, failed };
}

interface Sides<T> {
  canary: T;
  stable: T;
}

/** The counts of both slots in each of these windows, which are loaded. */
export function windowCounts(evidence: Evidence, metric: BuiltinMetric, { canary, stable }: Sides<ServiceKey>, ends: readonly number[]): { bounds: number[]; windows: WindowCounts[] } {
  const counted = ends.map((to) => ({ to, canary: evidence.counts(metric, canary, [to]), stable: evidence.counts(metric, stable, [to]) }));
  const bounds = metric === 'request-success-rate' ? [0] : boundsOf(evidence, stable, ends, counted);
  const side = (counts: Counts): SideCounts => (metric === 'request-success-rate' ? errorsOf(counts) : slowerThan(bounds, counts));
  return { bounds, windows: counted.map((window) => ({ to: window.to, stable: side(window.stable), canary: side(window.canary) })) };
}

function errorsOf(counts: Counts): SideCounts {
  const { total, failed } = failures(counts);
  return { total, bad: [failed] };
}

/** The finite bounds of both slots' buckets; while nobody has asked for either, those of everyone whom the server was asked about. */
function boundsOf(evidence: Evidence, service: ServiceKey, ends: readonly number[], counted: readonly Sides<Counts>[]): number[] {
  const own = counted.flatMap(({ canary, stable }) => [...canary.keys(), ...stable.keys()]);
  const keys = own.length > 0 ? own : ends.flatMap((end) => evidence.part('request-duration', service, end)?.keys ?? []);
  return [...new Set(keys.map(boundOf))].filter((bound) => Number.isFinite(bound)).toSorted((a, b) => a - b);
}

/** A bound that one pod's histogram lacks has as many requests below it as the next lower one: what is not known to be slower counts as slower. */
function slowerThan(bounds: readonly number[], counts: Counts): SideCounts {
  const buckets = new Map([...counts].map(([le, count]) => [boundOf(le), count]));
  let within = 0;
  const upTo = bounds.map((bound) => (within = Math.max(within, buckets.get(bound) ?? 0)));
  const total = Math.max(within, buckets.get(Number.POSITIVE_INFINITY) ?? 0);
  return { total, bad: upTo.map((count) => total - count) };
}
