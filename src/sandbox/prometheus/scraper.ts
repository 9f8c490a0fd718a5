import http from 'node:http';
import { parseExposition, parseSeries, type MetricMetadata } from './exposition.js';
import { METRIC_NAME, Labels, type LabelPair } from './labels.js';
import type { Database } from './storage/database.js';
import type { Series } from './storage/series.js';

/** Something that exposes metrics over HTTP. */
export interface ScrapeTarget {
  job: string;
  instance: string;
  /** Where the exposition is, for instance `http://127.0.0.1:1234/metrics`. */
  url: string;
  /** Labels that every series of this target gets. */
  labels?: Record<string, string>;
  /** Whether a label that the target exposes wins over the target's own (otherwise it becomes `exported_…`). Default false. */
  honorLabels?: boolean;
}

export interface TargetState {
  readonly target: ScrapeTarget;
  readonly labels: Labels;
  health: 'unknown' | 'up' | 'down';
  lastError: string;
  lastScrapeMs: number;
  lastDurationSeconds: number;
  /** Series as exposed → stored, so that labels are parsed once; `round` is the scrape that last had it. */
  readonly cache: Map<string, { series: Series; round: number }>;
  readonly ownSeries: Map<string, Series>;
  round: number;
  running: boolean;
}

const MAX_BODY_BYTES = 64 * 1024 * 1024;

export interface ScraperOptions {
  database: Database;
  targets: () => ScrapeTarget[];
  now: () => number;
  intervalMs: number;
  onError: (target: ScrapeTarget, message: string) => void;
}

/** Fetches the targets' metrics and stores them, with staleness markers for what has gone. */
export class Scraper {
  readonly metadata = new Map<string, MetricMetadata>();
  readonly #options: ScraperOptions;
  readonly #states = new Map<string, TargetState>();
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

  constructor(options: ScraperOptions) {
    this.#options = options;
  }

  get states(): TargetState[] {
    return [...this.#states.values()];
  }

  /** Scrapes every target once; a target whose last scrape still runs is left out. Never rejects for a target's sake. */
  async scrapeAll(): Promise<void> {
    this.#refreshTargets();
    await Promise.all(this.states.filter((state) => !state.running).map((state) => this.#scrape(state)));
    this.#options.database.trim(this.#options.now());
  }

  close(): void {
    this.#agent.destroy();
  }

  #refreshTargets(): void {
    const wanted = new Set<string>();
    for (const target of this.#options.targets()) {
      const labels = Labels.from({ ...target.labels, job: target.job, instance: target.instance });
      const key = `${labels.key}${target.url}`;
      wanted.add(key);
      if (!this.#states.has(key)) this.#states.set(key, newState(target, labels));
    }
    for (const [key, state] of this.#states) {
      if (wanted.has(key)) continue;
      this.#states.delete(key);
      this.#markAllStale(state, this.#options.now());
    }
  }

  async #scrape(state: TargetState): Promise<void> {
    const { now, intervalMs, onError } = this.#options;
    const startedMs = now();
    const started = performance.now();
    state.running = true;
    let error = '';
    let counts = { samples: 0, added: 0 };
    try {
      const body = await this.#fetch(state.target.url, Math.min(intervalMs, 10_000));
      if (this.#isCurrent(state)) counts = this.#store(state, body, startedMs);
    } catch (failure) {
      error = failure instanceof Error ? failure.message : String(failure);
    }
    state.running = false;
    if (!this.#isCurrent(state)) return;
    if (error !== '') {
      this.#markExposedStale(state, startedMs);
      if (state.lastError === '') onError(state.target, error);
    }
    state.health = error === '' ? 'up' : 'down';
    state.lastError = error;
    state.lastScrapeMs = startedMs;
    state.lastDurationSeconds = (performance.now() - started) / 1000;
    this.#report(state, startedMs, counts);
  }

  /** False once the target has been dropped, perhaps while its scrape was under way. */
  #isCurrent(state: TargetState): boolean {
    return this.states.includes(state);
  }

  #fetch(url: string, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { accept: 'text/plain;version=0.0.4;q=1', 'user-agent': 'Prometheus/3 (sluice sandbox)' };
      const request = http.get(url, { agent: this.#agent, headers, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          reject(new Error(`server returned HTTP status ${response.statusCode} ${response.statusMessage}`));
          return;
        }
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > MAX_BODY_BYTES) response.destroy(new Error(`body size limit of ${MAX_BODY_BYTES} bytes exceeded`));
          else parts.push(part);
        });
        response.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
        response.on('error', reject);
      });
      request.on('error', (error) =>
        reject(error.name === 'TimeoutError' ? new Error(`no answer within ${timeoutMs} ms`) : error),
      );
    });
  }

  /** Stores a whole exposition or, when part of it is not valid, nothing of it. */
  #store(state: TargetState, body: string, timeMs: number): { samples: number; added: number } {
    const pending: { series: Series; timeMs: number; value: number }[] = [];
    const round = state.round + 1;
    let added = 0;
    parseExposition(body, {
      sample: (text, type, value, timestampMs) => {
        const key = `${type}\u0001${text}`;
        let entry = state.cache.get(key);
        if (entry === undefined || !this.#options.database.has(entry.series)) {
          const labels = mergeLabels(parseSeries(text, type), state.labels, state.target.honorLabels === true);
          entry = { series: this.#options.database.getOrCreate(labels), round: 0 };
          state.cache.set(key, entry);
          added++;
        }
        // A sample with its own timestamp is not subject to staleness, as in Prometheus.
        entry.round = timestampMs === undefined ? round : Number.POSITIVE_INFINITY;
        pending.push({ series: entry.series, timeMs: timestampMs ?? timeMs, value });
      },
      metadata: (name, part) => this.metadata.set(name, { type: 'unknown', help: '', ...this.metadata.get(name), ...part }),
    });
    state.round = round;
    for (const sample of pending) sample.series.append(sample.timeMs, sample.value);
    for (const [text, entry] of state.cache) {
      if (entry.round >= round) continue;
      entry.series.markStale(timeMs);
      state.cache.delete(text);
    }
    return { samples: pending.length, added };
  }

  /** The series that Prometheus itself adds for each scrape. */
  #report(state: TargetState, timeMs: number, counts: { samples: number; added: number }): void {
    const values: [string, number][] = [
      ['up', state.health === 'up' ? 1 : 0],
      ['scrape_duration_seconds', state.lastDurationSeconds],
      ['scrape_samples_scraped', counts.samples],
      ['scrape_samples_post_metric_relabeling', counts.samples],
      ['scrape_series_added', counts.added],
    ];
    for (const [name, value] of values) {
      let series = state.ownSeries.get(name);
      if (series === undefined || !this.#options.database.has(series)) {
        series = this.#options.database.getOrCreate(state.labels.with([[METRIC_NAME, name]]), true);
        state.ownSeries.set(name, series);
      }
      series.append(timeMs, value);
    }
  }

  #markExposedStale(state: TargetState, timeMs: number): void {
    for (const { series } of state.cache.values()) series.markStale(timeMs);
    state.cache.clear();
  }

  #markAllStale(state: TargetState, timeMs: number): void {
    this.#markExposedStale(state, timeMs);
    for (const series of state.ownSeries.values()) series.markStale(timeMs);
  }
}

function newState(target: ScrapeTarget, labels: Labels): TargetState {
  return {
    target,
    labels,
    health: 'unknown',
    lastError: '',
    lastScrapeMs: 0,
    lastDurationSeconds: 0,
    cache: new Map(),
    ownSeries: new Map(),
    round: 0,
    running: false,
  };
}

/** Puts the target's labels on a series; where both have one, the loser is kept as `exported_…` or dropped. */
function mergeLabels(exposed: LabelPair[], own: Labels, honor: boolean): Labels {
  const pairs: LabelPair[] = [...own.pairs];
  for (const [name, value] of exposed) {
    const taken = own.get(name) !== '';
    pairs.push([taken && !honor ? `exported_${name}` : name, value]);
  }
  return Labels.of(pairs);
}
