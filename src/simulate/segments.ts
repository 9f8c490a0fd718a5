import type { WindowCounts } from '../core/evidence.js';

/** A stretch in which the canary had the same share of the requests. */
export interface Segment {
  /** Unix milliseconds. */
  from: number;
  to: number;
  /** Percent of the requests that it had, as whole percent. */
  weight: number;
}

/** What one more segment has to explain, as log likelihood: the Bayesian criterion for its share and its place, and some more. */
const PENALTY = 8;
/** A smaller share than this is that of probes and of people who try something. */
const NONE = 0.002;
/** Shorter ones are the moment between two weights. */
const LEAST_WINDOWS = 2;

/** Weights that differ by less than this, relative to the larger, are one: real shares drift a little. */
const ALIKE = 0.12;

/**
 * When the share of the canary changed, and what it was: the segmentation of the windows that is likeliest when requests are divided
 * at random (Killick, Fearnhead, Eckley, "Optimal detection of changepoints with a linear computational cost", 2012).
 */
export function segmentsOf(windows: readonly WindowCounts[], gridMs: number): Segment[] {
  const cuts = changes(windows);
  const parts: WindowCounts[][] = [];
  for (const [index, start] of cuts.entries()) {
    const part = windows.slice(start, cuts[index + 1] ?? windows.length);
    const before = parts.at(-1);
    // Between two weights, a window has something of both.
    if (before && (part.length < LEAST_WINDOWS || alike(weightOf(before), weightOf(part)))) before.push(...part);
    else if (part.length > 0) parts.push(part);
  }
  return parts.map((part) => ({ from: (part[0]?.to ?? 0) - gridMs, to: part.at(-1)?.to ?? 0, weight: weightOf(part) }));
}

function alike(one: number, other: number): boolean {
  const [low, high] = [Math.min(one, other), Math.max(one, other)];
  return low === high || (low > 0 && high < 100 && (high - low) / high < ALIKE);
}

function weightOf(windows: readonly WindowCounts[]): number {
  const [canary, all] = [sum(windows, ({ canary: { total } }) => total), sum(windows, ({ canary, stable }) => canary.total + stable.total)];
  const share = all === 0 ? 0 : canary / all;
  return share < NONE ? 0 : Math.min(100, Math.max(1, Math.round(share * 100)));
}

const sum = (windows: readonly WindowCounts[], of: (window: WindowCounts) => number): number => windows.reduce((total, window) => total + of(window), 0);

/** Where segments begin, as indexes, ascending; the first is 0. */
function changes(windows: readonly WindowCounts[]): number[] {
  const penalty = PENALTY + Math.log(Math.max(1, windows.length));
  const [canary, all] = [[0], [0]];
  for (const [index, window] of windows.entries()) {
    canary.push((canary[index] ?? 0) + window.canary.total);
    all.push((all[index] ?? 0) + window.canary.total + window.stable.total);
  }
  const cost = (from: number, to: number): number => surprise((canary[to] ?? 0) - (canary[from] ?? 0), (all[to] ?? 0) - (all[from] ?? 0));
  const best = [-penalty];
  const before: number[] = [0];
  let candidates = [0];
  for (let end = 1; end <= windows.length; end += 1) {
    let [least, at] = [Number.POSITIVE_INFINITY, 0];
    const values = candidates.map((from) => (best[from] ?? 0) + cost(from, end));
    for (const [index, value] of values.entries()) if (value + penalty < least) [least, at] = [value + penalty, candidates[index] ?? 0];
    best.push(least);
    before.push(at);
    candidates = [...candidates.filter((_, index) => (values[index] ?? 0) <= least), end];
  }
  const cuts: number[] = [];
  for (let end = windows.length; end > 0; end = before[end] ?? 0) cuts.unshift(before[end] ?? 0);
  return cuts;
}

/** Minus the log likelihood of so many canary requests among all, at their own share. */
function surprise(canary: number, all: number): number {
  if (all <= 0 || canary <= 0 || canary >= all) return 0;
  const share = canary / all;
  return -(canary * Math.log(share) + (all - canary) * Math.log(1 - share));
}
