import type { Measurement, MeasureRequest } from '../../engine/ports.js';
import { Evidence, EvidenceError, type Counts } from './evidence.js';
import type { PrometheusClient } from './client.js';
import { histogramQuantile } from './quantile.js';
import { readableQuery, type BuiltinMetric } from './queries.js';

export interface BuiltinOptions {
  client: PrometheusClient;
  gridMs: number;
  now: () => number;
}

/** A window is asked for only this share of the grid after its end: samples take a moment to be stored after they were taken. */
const SETTLE_SHARE = 0.2;

/** Windows in one measurement: an hour of the default grid. `from` of the measurement tells where it really begins. */
const MAX_WINDOWS = 720;

/** Measures the built-in metrics of any number of canaries with few queries: see {@link Evidence}. */
export class BuiltinMetrics {
  readonly #evidence = new Map<string, Evidence>();

  constructor(private readonly options: BuiltinOptions) {}

  async measure(metric: BuiltinMetric, request: MeasureRequest): Promise<Measurement> {
    const { gridMs, now } = this.options;
    const ends = windowEnds(request.from, Math.min(request.to, now() - gridMs * SETTLE_SHARE), gridMs);
    const [from, to] = [(ends[0] ?? request.from + gridMs) - gridMs, ends.at(-1) ?? Math.max(request.to, request.from + 1)];
    const query = readableQuery(metric, request.namespace, request.service, from, to);
    if (ends.length === 0) {
      const message = `no window of ${gridMs / 1000} s is complete yet between ${clock(request.from)} and ${clock(request.to)}`;
      return { kind: 'NoData', query, message };
    }
    try {
      const counts = await this.#evidenceOf(request.server, metric).counts(request.namespace, request.service, ends);
      const judged = metric === 'request-success-rate' ? successRate(counts) : slowest(counts);
      if (judged) return { kind: 'Value', ...judged, query, from, to };
      const message = `no requests to ${request.service}.${request.namespace} were seen between ${clock(from)} and ${clock(to)}`;
      return { kind: 'NoData', query, message };
    } catch (error) {
      if (error instanceof EvidenceError) return { kind: 'Error', query, message: error.message, permanent: error.permanent };
      throw error;
    }
  }

  #evidenceOf(server: string, metric: BuiltinMetric): Evidence {
    const key = `${metric} ${server}`;
    let evidence = this.#evidence.get(key);
    if (!evidence) this.#evidence.set(key, (evidence = new Evidence({ ...this.options, server, metric })));
    return evidence;
  }
}

/** Ends of the grid's windows that lie in [from, to], ascending; the latest ones where there are too many. */
function windowEnds(from: number, to: number, gridMs: number): number[] {
  const ends: number[] = [];
  for (let end = Math.ceil(from / gridMs) * gridMs + gridMs; end <= to; end += gridMs) ends.push(end);
  return ends.slice(-MAX_WINDOWS);
}

/** Percent of the requests that were answered, and not with a server error. Code 0 means that no answer came. */
function successRate(counts: Counts): { value: number; samples: number } | undefined {
  let total = 0;
  let good = 0;
  for (const [code, count] of counts) {
    total += count;
    if (code !== '0' && !/^5..$/.test(code)) good += count;
  }
  return total > 0 ? { value: (100 * good) / total, samples: total } : undefined;
}

/** The 99th percentile in milliseconds. */
function slowest(counts: Counts): { value: number; samples: number } | undefined {
  const buckets = new Map([...counts].map(([le, count]) => [le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), count]));
  const value = histogramQuantile(0.99, buckets);
  return Number.isNaN(value) ? undefined : { value, samples: buckets.get(Number.POSITIVE_INFINITY) ?? 0 };
}

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);
