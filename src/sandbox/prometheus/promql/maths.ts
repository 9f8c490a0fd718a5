/** Adds numbers with Neumaier's compensation, as Prometheus does, so that the order hardly matters. */
export class CompensatedSum {
  #sum: number;
  #rest = 0;

  constructor(initial = 0) {
    this.#sum = initial;
  }

  add(value: number): void {
    const next = this.#sum + value;
    if (!Number.isFinite(next)) this.#rest = 0;
    else if (Math.abs(this.#sum) >= Math.abs(value)) this.#rest += this.#sum - next + value;
    else this.#rest += value - next + this.#sum;
    this.#sum = next;
  }

  get total(): number {
    return this.#sum + this.#rest;
  }

  /** The total over a count, divided part by part as Prometheus does it. */
  mean(count: number): number {
    return this.#sum / count + this.#rest / count;
  }
}

/** The mean; falls back to a running mean where the plain sum would overflow. */
export function mean(values: readonly number[]): number {
  const sum = new CompensatedSum();
  let plain = 0;
  for (const value of values) {
    sum.add(value);
    plain += value;
  }
  if (Number.isFinite(plain) || !values.every(Number.isFinite)) return sum.mean(values.length);
  let average = 0;
  values.forEach((value, index) => (average += value / (index + 1) - average / (index + 1)));
  return average;
}

/** Population variance over time, compensated. */
export function variance(values: readonly number[]): number {
  const average = new CompensatedSum();
  const squares = new CompensatedSum();
  let count = 0;
  for (const value of values) {
    count++;
    const delta = value - average.total;
    average.add(delta / count);
    squares.add(delta * (value - average.total));
  }
  return squares.total / count;
}

const nanFirst = (a: number, b: number): number => (Number.isNaN(a) ? (Number.isNaN(b) ? 0 : -1) : Number.isNaN(b) ? 1 : a - b);

/** The φ-quantile, interpolated between neighbours; ∓Inf for φ outside 0..1. */
export function quantile(q: number, values: readonly number[]): number {
  if (values.length === 0 || Number.isNaN(q)) return Number.NaN;
  if (q < 0) return Number.NEGATIVE_INFINITY;
  if (q > 1) return Number.POSITIVE_INFINITY;
  // Infinities compare equal to themselves, but their difference is NaN: order by comparison there.
  const sorted = values.toSorted((a, b) => (a === b ? 0 : nanFirst(a, b)));
  const rank = q * (sorted.length - 1);
  const lower = Math.max(0, Math.floor(rank));
  const upper = Math.min(sorted.length - 1, lower + 1);
  const weight = rank - Math.floor(rank);
  return sorted[lower]! * (1 - weight) + sorted[upper]! * weight;
}

/** Least-squares line through the samples; x in seconds from `originMs`. */
export function linearRegression(
  times: readonly number[],
  values: readonly number[],
  originMs: number,
): { slope: number; intercept: number } {
  const first = values[0]!;
  if (values.every((value) => value === first)) {
    return Number.isFinite(first) ? { slope: 0, intercept: first } : { slope: Number.NaN, intercept: Number.NaN };
  }
  const [sumX, sumY, sumXY, sumXX] = [new CompensatedSum(), new CompensatedSum(), new CompensatedSum(), new CompensatedSum()];
  values.forEach((y, index) => {
    const x = (times[index]! - originMs) / 1000;
    sumX.add(x);
    sumY.add(y);
    sumXY.add(x * y);
    sumXX.add(x * x);
  });
  const count = values.length;
  const covariance = sumXY.total - (sumX.total * sumY.total) / count;
  const spread = sumXX.total - (sumX.total * sumX.total) / count;
  const slope = covariance / spread;
  return { slope, intercept: sumY.total / count - (slope * sumX.total) / count };
}
