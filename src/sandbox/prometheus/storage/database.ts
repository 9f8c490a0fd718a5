import { METRIC_NAME, type Labels } from '../labels.js';
import type { Matcher } from './matcher.js';
import { Series } from './series.js';

export interface DatabaseLimits {
  /** How long samples are kept, milliseconds. */
  retentionMs: number;
  /** How many series may exist at once; further ones are refused. */
  maxSeries: number;
}

/** Raised when a scrape would create more series than the limit allows. */
class TooManySeriesError extends Error {
  constructor(limit: number) {
    super(`the sandbox Prometheus holds its limit of ${limit} series: lower the number of label values that the targets export`);
    this.name = 'TooManySeriesError';
  }
}

/** The series in memory, found by their labels through an inverted index. */
export class Database {
  readonly #limits: DatabaseLimits;
  readonly #series = new Map<string, Series>();
  /** label name → value → the series that carry the pair. */
  readonly #index = new Map<string, Map<string, Set<Series>>>();

  constructor(limits: DatabaseLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#series.size;
  }

  /**
   * The series of this label set, created when it is new.
   * @param essential for the few series about the scrapes themselves, which must tell of a full database
   * @throws TooManySeriesError when it is new, not essential and the database is full.
   */
  getOrCreate(labels: Labels, essential = false): Series {
    const known = this.#series.get(labels.key);
    if (known !== undefined) return known;
    if (!essential && this.#series.size >= this.#limits.maxSeries) throw new TooManySeriesError(this.#limits.maxSeries);
    const series = new Series(labels);
    this.#series.set(labels.key, series);
    for (const [name, value] of labels.pairs) {
      let values = this.#index.get(name);
      if (values === undefined) this.#index.set(name, (values = new Map()));
      const postings = values.get(value);
      if (postings === undefined) values.set(value, new Set([series]));
      else postings.add(series);
    }
    return series;
  }

  /** Whether the series is still part of the database (retention may have dropped it). */
  has(series: Series): boolean {
    return this.#series.get(series.labels.key) === series;
  }

  /** The series that meet every matcher, in the order they appeared. */
  select(matchers: readonly Matcher[]): Series[] {
    let smallest: Iterable<Series> | undefined;
    let size = Number.POSITIVE_INFINITY;
    let driver: Matcher | undefined;
    for (const matcher of matchers) {
      if (matcher.operator !== '=' || matcher.value === '') continue;
      const postings = this.#index.get(matcher.name)?.get(matcher.value);
      if (postings === undefined) return [];
      if (postings.size < size) [smallest, size, driver] = [postings, postings.size, matcher];
    }
    const rest = matchers.filter((matcher) => matcher !== driver);
    const found: Series[] = [];
    for (const series of smallest ?? this.#series.values()) {
      if (rest.every((matcher) => matcher.matches(series.labels.get(matcher.name)))) found.push(series);
    }
    return found;
  }

  labelNames(): string[] {
    return [...this.#index.keys()].toSorted();
  }

  labelValues(name: string): string[] {
    return [...(this.#index.get(name)?.keys() ?? [])].toSorted();
  }

  metricNames(): string[] {
    return this.labelValues(METRIC_NAME);
  }

  /** Drops what is older than the retention, and the series that are empty then. */
  trim(nowMs: number): void {
    const before = nowMs - this.#limits.retentionMs;
    for (const series of this.#series.values()) {
      // A series without samples is what a failed scrape left behind.
      const affected = series.firstMs < before || series.firstMs === Number.POSITIVE_INFINITY;
      if (affected && series.trim(before)) this.#remove(series);
    }
  }

  #remove(series: Series): void {
    this.#series.delete(series.labels.key);
    for (const [name, value] of series.labels.pairs) {
      const values = this.#index.get(name);
      const postings = values?.get(value);
      postings?.delete(series);
      if (postings?.size === 0) values?.delete(value);
      if (values?.size === 0) this.#index.delete(name);
    }
  }
}
