import type { Labels } from '../labels.js';
import { parseFloatStrict } from './literals.js';
import type { Sample } from './value.js';

export interface Bucket {
  upper: number;
  count: number;
}

const SMALL_DELTA = 1e-12;
const LE = new Set(['le']);

/** Groups the buckets of classic histograms by all labels but `le`; series without a usable `le` are left out. */
export function collectBuckets(samples: Sample[]): { labels: Labels; buckets: Bucket[] }[] {
  const histograms = new Map<string, { labels: Labels; buckets: Bucket[] }>();
  for (const sample of samples) {
    const upper = parseFloatStrict(sample.labels.get('le'));
    if (upper === undefined) continue;
    const labels = sample.labels.withoutName().drop(LE);
    const histogram = histograms.get(labels.key);
    const bucket = { upper, count: sample.v };
    if (histogram === undefined) histograms.set(labels.key, { labels, buckets: [bucket] });
    else histogram.buckets.push(bucket);
  }
  return [...histograms.values()];
}

/** The φ-quantile of a classic histogram, interpolated linearly within its bucket. */
export function bucketQuantile(q: number, unordered: readonly Bucket[]): number {
  if (Number.isNaN(q)) return Number.NaN;
  if (q < 0) return Number.NEGATIVE_INFINITY;
  if (q > 1) return Number.POSITIVE_INFINITY;
  const buckets = cleanBuckets(unordered);
  const last = buckets.length - 1;
  if (last < 1 || buckets[last]!.upper !== Number.POSITIVE_INFINITY) return Number.NaN;
  const observations = buckets[last]!.count;
  if (observations === 0) return Number.NaN;
  const rank = q * observations;
  const found = searchRank(buckets, rank, last);
  if (found === last) return buckets[last - 1]!.upper;
  const { upper, count } = buckets[found]!;
  if (found === 0) return upper <= 0 ? upper : upper * (rank / count);
  const before = buckets[found - 1]!;
  return before.upper + (upper - before.upper) * ((rank - before.count) / (count - before.count));
}

/** The share of observations between two values. */
export function bucketFraction(lower: number, upper: number, unordered: readonly Bucket[]): number {
  const buckets = cleanBuckets(unordered);
  const last = buckets.length - 1;
  if (last < 1 || buckets[last]!.upper !== Number.POSITIVE_INFINITY || Number.isNaN(lower) || Number.isNaN(upper))
    return Number.NaN;
  const total = buckets[last]!.count;
  if (total === 0) return Number.NaN;
  if (lower >= upper) return 0;
  return (rankAt(buckets, upper) - rankAt(buckets, lower)) / total;
}

/** How many observations are at or below the value, interpolated. */
function rankAt(buckets: readonly Bucket[], value: number): number {
  let start = buckets[0]!.upper > 0 ? 0 : Number.NEGATIVE_INFINITY;
  let below = 0;
  for (const { upper, count } of buckets) {
    if (value <= start) return below;
    if (value < upper) {
      if (!Number.isFinite(upper) || !Number.isFinite(start)) return below;
      return below + (count - below) * ((value - start) / (upper - start));
    }
    start = upper;
    below = count;
  }
  return below;
}

/** First bucket that holds the rank; comparisons with NaN go up, as in Go's binary search. */
function searchRank(buckets: readonly Bucket[], rank: number, last: number): number {
  let low = 0;
  let high = last;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (buckets[middle]!.count >= rank) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Orders buckets, adds up those of the same bound, and makes the counts grow: scrapes of several pods need not agree. */
function cleanBuckets(unordered: readonly Bucket[]): Bucket[] {
  const merged: Bucket[] = [];
  for (const bucket of unordered.toSorted((a, b) => (a.upper === b.upper ? 0 : a.upper - b.upper))) {
    const before = merged.at(-1);
    if (before?.upper === bucket.upper) before.count += bucket.count;
    else merged.push({ ...bucket });
  }
  let previous = merged[0]?.count ?? 0;
  for (const bucket of merged.slice(1)) {
    if (bucket.count === previous) continue;
    if (bucket.count < previous || almostEqual(bucket.count, previous)) bucket.count = previous;
    else previous = bucket.count;
  }
  return merged;
}

function almostEqual(a: number, b: number): boolean {
  const sum = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  return a === 0 || b === 0 || sum < 2.2250738585072014e-308
    ? difference < SMALL_DELTA * 2.2250738585072014e-308
    : difference / Math.min(sum, Number.MAX_VALUE) < SMALL_DELTA;
}
