import { setTimeout as systemSleep } from 'node:timers/promises';
import type { Measurement, MeasureRequest, Tries, Windows } from '../../engine/ports.js';
import { completeEnds, latest, SETTLE_SHARE, windowEnds } from '../grid.js';
import { Evidence, EvidenceError, serviceKey } from './evidence.js';
import type { PrometheusClient } from './client.js';
import { Pace } from './pace.js';
import { histogramQuantile } from './quantile.js';
import { holdsTries, readableQuery, type BuiltinMetric, type Reporter } from './queries.js';
import { boundOf, failures, windowCounts } from './side-counts.js';
import type { Counts } from './windows.js';

export interface BuiltinOptions {
  client: Pick<PrometheusClient, 'queryRange'>;
  gridMs: number;
  /** Longest time for one query, milliseconds; the client keeps it. */
  timeoutMs: number;
  now: () => number;
  /** Resolves after so many milliseconds; the system's timers by default. */
  sleep?: (ms: number) => Promise<unknown>;
}

/** Measures the built-in metrics of any number of canaries with few queries: see {@link Evidence}. */
export class BuiltinMetrics {
  readonly #evidence = new Map<string, Evidence>();
  readonly #paces = new Map<string, Pace>();

  constructor(private readonly options: BuiltinOptions) {}

  async measure(metric: BuiltinMetric, request: MeasureRequest): Promise<Measurement> {
    const { gridMs, now } = this.options;
    const ends = this.#complete(request);
    const [newest] = latest(windowEnds(request.from, request.to, gridMs));
    if (ends.length === 0 && newest !== undefined) {
      // The only window that could tell anything has ended and settles: that is sooner over than the next check is due.
      const settle = gridMs * SETTLE_SHARE;
      await (this.options.sleep ?? systemSleep)(Math.min(settle, Math.max(0, newest + settle - now())));
      ends.push(newest);
    }
    const { query, from, to } = this.#asked(metric, request, ends);
    if (ends.length === 0) return this.#incomplete(query, request);
    try {
      const evidence = this.#evidenceOf(request);
      const service = serviceKey(request.namespace, request.service);
      await evidence.load(metric, [service], ends);
      const counts = evidence.counts(metric, service, ends);
      const judged = metric === 'request-success-rate' ? successRate(counts) : slowest(counts);
      if (judged) return { kind: 'Value', ...judged, query, from, to, ...this.#tries(evidence, metric, request, ends) };
      const seen = request.reporter !== 'destination' ? 'seen' : 'counted by its own proxy (without sidecars, use a MetricTemplate)';
      const message = `no requests to ${request.service}.${request.namespace} were ${seen} between ${clock(from)} and ${clock(to)}`;
      return { kind: 'NoData', query, message };
    } catch (error) {
      return failure(error, query);
    }
  }

  /** The counts of both slots, window by window. Both come from the same windows, so that what befalls a moment befalls both. */
  async windows(metric: BuiltinMetric, request: MeasureRequest): Promise<Windows> {
    const ends = this.#complete(request);
    const { query } = this.#asked(metric, request, ends);
    if (ends.length === 0) return this.#incomplete(query, request);
    try {
      const evidence = this.#evidenceOf(request);
      const [canary, stable] = [request.service, request.stableService].map((name) => serviceKey(request.namespace, name)) as [string, string];
      await evidence.load(metric, [canary, stable], ends);
      const { bounds, windows } = windowCounts(evidence, metric, { canary, stable }, ends);
      return { kind: 'Windows', gridMs: this.options.gridMs, bounds, windows, query };
    } catch (error) {
      return failure(error, query);
    }
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

  /** Ends of the windows in the time asked about that have ended and settled. */
  #complete({ from, to }: MeasureRequest): number[] {
    return latest(completeEnds(from, to, this.options.gridMs, this.options.now()));
  }

  #asked(metric: BuiltinMetric, request: MeasureRequest, ends: readonly number[]): { query: string; from: number; to: number } {
    const { gridMs } = this.options;
    const [from, to] = [(ends[0] ?? request.from + gridMs) - gridMs, ends.at(-1) ?? Math.max(request.to, request.from + 1)];
    return { query: readableQuery(metric, request.namespace, request.service, from, to, reporterOf(request)), from, to };
  }

  #incomplete(query: string, request: MeasureRequest): Measurement & { kind: 'NoData' } {
    const message = `no window of ${this.options.gridMs / 1000} s is complete yet between ${clock(request.from)} and ${clock(request.to)}`;
    return { kind: 'NoData', query, message };
  }

  /** The same of the tries, from the windows that are there already; nothing where the pods have no proxies. */
  #tries(evidence: Evidence, metric: BuiltinMetric, request: MeasureRequest, ends: readonly number[]): { tries?: Tries } {
    if (!holdsTries(metric, reporterOf(request))) return {};
    const { namespace, service } = request;
    const judged = successRate(evidence.counts(metric, serviceKey(namespace, service), ends, 'tries'));
    const [from, to] = [(ends[0] ?? 0) - this.options.gridMs, ends.at(-1) ?? 0];
    return judged ? { tries: { ...judged, query: readableQuery(metric, namespace, service, from, to, 'tries') } } : {};
  }

  #evidenceOf(request: MeasureRequest): Evidence {
    const { server } = request;
    const reporter = reporterOf(request);
    const key = `${reporter} ${server}`;
    let evidence = this.#evidence.get(key);
    if (!evidence) this.#evidence.set(key, (evidence = new Evidence({ ...this.options, server, reporter, pace: this.#paceOf(server) })));
    return evidence;
  }

  #paceOf(server: string): Pace {
    let pace = this.#paces.get(server);
    if (!pace) this.#paces.set(server, (pace = new Pace({ ...this.options, sleep: this.options.sleep ?? systemSleep })));
    return pace;
  }
}

const reporterOf = ({ reporter }: MeasureRequest): Reporter => reporter ?? 'source';

function failure(error: unknown, query: string): Measurement & { kind: 'Error' } {
  if (error instanceof EvidenceError) return { kind: 'Error', query, message: error.message, permanent: error.permanent };
  throw error;
}

/** Percent of the requests that were answered, and not with a server error. Code 0 means that no answer came. */
function successRate(counts: Counts): { value: number; samples: number } | undefined {
  const { total, failed } = failures(counts);
  return total > 0 ? { value: (100 * (total - failed)) / total, samples: total } : undefined;
}

/** The 99th percentile in milliseconds. */
function slowest(counts: Counts): { value: number; samples: number } | undefined {
  const buckets = new Map([...counts].map(([le, count]) => [boundOf(le), count]));
  const value = histogramQuantile(0.99, buckets);
  return Number.isNaN(value) ? undefined : { value, samples: buckets.get(Number.POSITIVE_INFINITY) ?? 0 };
}

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);
