import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement, MeasureRequest, Tries } from '../../engine/ports.js';
import { Evidence, EvidenceError, type Counts } from './evidence.js';
import type { PrometheusClient } from './client.js';
import { histogramQuantile } from './quantile.js';
import { holdsTries, readableQuery, type BuiltinMetric, type Reporter } from './queries.js';

export interface BuiltinOptions {
  client: PrometheusClient;
  gridMs: number;
  now: () => number;
  /** Resolves after so many milliseconds; the system's timers by default. */
  sleep?: (ms: number) => Promise<unknown>;
}

/** A window is asked for only this share of the grid after its end: samples take a moment to be stored after they were taken. */
const SETTLE_SHARE = 0.1;

/** Windows in one measurement: an hour of the default grid. `from` of the measurement tells where it really begins. */
const MAX_WINDOWS = 720;

/** Measures the built-in metrics of any number of canaries with few queries: see {@link Evidence}. */
export class BuiltinMetrics {
  readonly #evidence = new Map<string, Evidence>();

  constructor(private readonly options: BuiltinOptions) {}

  async measure(metric: BuiltinMetric, request: MeasureRequest): Promise<Measurement> {
    const { gridMs, now } = this.options;
    const settle = gridMs * SETTLE_SHARE;
    const ends = windowEnds(request.from, Math.min(request.to, now() - settle), gridMs);
    const [newest] = windowEnds(request.from, request.to, gridMs);
    if (ends.length === 0 && newest !== undefined) {
      // The only window that could tell anything has ended and settles: that is sooner over than the next check is due.
      await (this.options.sleep ?? sleep)(Math.min(settle, Math.max(0, newest + settle - now())));
      ends.push(newest);
    }
    const [from, to] = [(ends[0] ?? request.from + gridMs) - gridMs, ends.at(-1) ?? Math.max(request.to, request.from + 1)];
    const reporter = request.reporter ?? 'source';
    const query = readableQuery(metric, request.namespace, request.service, from, to, reporter);
    if (ends.length === 0) {
      const message = `no window of ${gridMs / 1000} s is complete yet between ${clock(request.from)} and ${clock(request.to)}`;
      return { kind: 'NoData', query, message };
    }
    try {
      const evidence = this.#evidenceOf(request.server, metric, reporter);
      const counts = await evidence.counts(request.namespace, request.service, ends);
      const judged = metric === 'request-success-rate' ? successRate(counts) : slowest(counts);
      if (judged) return { kind: 'Value', ...judged, query, from, to, ...(await this.#tries(evidence, metric, request, ends)) };
      const seen = reporter !== 'destination' ? 'seen' : 'counted by its own proxy (without sidecars, use a MetricTemplate)';
      const message = `no requests to ${request.service}.${request.namespace} were ${seen} between ${clock(from)} and ${clock(to)}`;
      return { kind: 'NoData', query, message };
    } catch (error) {
      if (error instanceof EvidenceError) return { kind: 'Error', query, message: error.message, permanent: error.permanent };
      throw error;
    }
  }

  /** The same of the tries, from the windows that are there already; nothing where the pods have no proxies. */
  async #tries(evidence: Evidence, metric: BuiltinMetric, { namespace, service, reporter }: MeasureRequest, ends: number[]): Promise<{ tries?: Tries }> {
    if (!holdsTries(metric, reporter ?? 'source')) return {};
    const judged = successRate(await evidence.counts(namespace, service, ends, 'tries'));
    const [from, to] = [(ends[0] ?? 0) - this.options.gridMs, ends.at(-1) ?? 0];
    return judged ? { tries: { ...judged, query: readableQuery(metric, namespace, service, from, to, 'tries') } } : {};
  }

  /** Percent of the requests to both slots that the slot under test got. */
  async share(request: MeasureRequest): Promise<Measurement> {
    const of = (service: string): Promise<Measurement> => this.measure('request-success-rate', { ...request, service });
    const [own, other] = await Promise.all([of(request.service), of(request.stableService)]);
    for (const measured of [own, other]) if (measured.kind === 'Error') return measured;
    const samples = [own, other].map((measured) => (measured.kind === 'Value' ? (measured.samples ?? 0) : 0));
    const total = samples.reduce((sum, count) => sum + count, 0);
    if (total === 0) return { kind: 'NoData', query: own.query, message: own.kind === 'NoData' ? own.message : 'no requests to either slot were seen' };
    return { kind: 'Value', value: (100 * (samples[0] ?? 0)) / total, samples: Math.round(total), query: own.query, from: request.from, to: request.to };
  }

  #evidenceOf(server: string, metric: BuiltinMetric, reporter: Reporter): Evidence {
    const key = `${metric} ${reporter} ${server}`;
    let evidence = this.#evidence.get(key);
    if (!evidence) this.#evidence.set(key, (evidence = new Evidence({ ...this.options, server, metric, reporter })));
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
