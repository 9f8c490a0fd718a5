/** A cumulative histogram: the count of observations at or below each upper bound. */
export type Buckets = ReadonlyMap<number, number>;

/**
 * The q-quantile of a cumulative histogram, by the rules of PromQL's `histogram_quantile`: linear inside a bucket, the highest
 * finite bound when it lies above that. NaN when there is nothing to compute from (no observation, or no `+Inf` bucket).
 */
export function histogramQuantile(q: number, buckets: Buckets): number {
  const sorted = monotonic([...buckets].toSorted(([a], [b]) => a - b));
  const total = sorted.at(-1)?.[1] ?? 0;
  if (sorted.length < 2 || sorted.at(-1)?.[0] !== Number.POSITIVE_INFINITY || total === 0) return Number.NaN;
  const rank = q * total;
  const finite = sorted.slice(0, -1);
  const index = finite.findIndex(([, count]) => count >= rank);
  if (index === -1) return finite.at(-1)?.[0] ?? Number.NaN;
  const [end, count] = finite[index] ?? [Number.NaN, 0];
  if (index === 0 && end <= 0) return end;
  const [start, below] = index === 0 ? [0, 0] : (finite[index - 1] ?? [0, 0]);
  return start + ((end - start) * (rank - below)) / (count - below);
}

/** Scrapes of different pods are not simultaneous, so a higher bucket can seem smaller; Prometheus lifts it too. */
function monotonic(buckets: [number, number][]): [number, number][] {
  let highest = 0;
  return buckets.map(([bound, count]) => [bound, (highest = Math.max(highest, count))]);
}
