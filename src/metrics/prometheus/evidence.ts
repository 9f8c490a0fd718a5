import { setTimeout as sleep } from 'node:timers/promises';
import type { PrometheusClient, Sample } from './client.js';
import { holdsTries, keyLabel, subjectLabels, windowQuery, type BuiltinMetric, type Counted, type Reporter } from './queries.js';

/** Counts of one service: by response code, or by upper bound of a histogram. */
export type Counts = Map<string, number>;

/**
 * Counts of every service of one chunk of namespaces in one window. Thousands of services times the buckets of a histogram times the
 * windows that are kept is most of what a controller has in memory, so the keys are there once.
 */
interface Window {
  keys: readonly string[];
  /** By {@link rowName}. Services without requests are absent. */
  rows: Rows;
}
/** One number per key, NaN where there is none. */
type Rows = ReadonlyMap<string, Float64Array>;
const rowName = (counted: Counted, namespace: string, name: string): string => `${counted}/${namespace}/${name}`;

export interface EvidenceOptions {
  client: PrometheusClient;
  server: string;
  metric: BuiltinMetric;
  reporter: Reporter;
  gridMs: number;
  now: () => number;
}

/** The server failed; `permanent` as in `Measurement`. */
export class EvidenceError extends Error {
  constructor(
    message: string,
    readonly permanent: boolean,
  ) {
    super(message);
  }
}

/** Namespaces in one query: a longer regular expression would cost the server more than a second query. */
const NAMESPACES_PER_QUERY = 25;
/** Up to so many services are asked for by name: one release in a namespace of thousands must not read the counts of them all. */
const SERVICES_PER_QUERY = 25;
/** Releases are due together: those that ask within this time share one query, in milliseconds. */
const GATHER_MS = 20;
/** A namespace or service that nobody has asked about for this long leaves its query. */
const FORGET_MS = 10 * 60_000;
/** Windows are kept for as long as anybody has looked back so far, and this much longer. */
const KEEP_LONGER_MS = 30_000;
/** Each answer may be megabytes, and many times that while it is read. */
const PARALLEL_QUERIES = 2;

interface Chunk {
  /** Namespace → when it was last asked about. */
  members: Map<string, number>;
  /** `NAMESPACE/SERVICE` → when it was last asked about. */
  services: Map<string, number>;
  /** Keyed by the end of the window. */
  windows: Map<number, Asked>;
}
interface Coverage {
  namespaces: ReadonlySet<string>;
  /** Undefined: all. */
  services: ReadonlySet<string> | undefined;
}
interface Asked {
  /** What the query covered; unset until it is sent, for whoever asks by then is covered. */
  covered?: Coverage;
  window: Promise<Window>;
  /** Set when the query failed: until then the failure stands for an answer, so that a broken server is asked once per window only. */
  failedUntil?: number;
}

/**
 * What one server counted for one metric, window by window, on a grid of time that all canaries share: window `t` is (t − grid, t].
 * Each window is asked for once, for all canaries in a chunk of namespaces together, and remembered.
 */
export class Evidence {
  readonly #chunks: Chunk[] = [];
  readonly #gate = new Gate(PARALLEL_QUERIES);
  #longestSpan = 0;

  constructor(private readonly options: EvidenceOptions) {}

  /**
   * The counts of a service, summed over the windows that end at `ends` (ascending).
   * @param counted what is wanted of a window that holds tries, too
   * @throws EvidenceError when a window cannot be had
   */
  async counts(namespace: string, service: string, ends: readonly number[], counted: Counted = this.options.reporter): Promise<Counts> {
    const chunk = this.#chunkOf(namespace, service);
    this.#longestSpan = Math.max(this.#longestSpan, this.options.now() - (ends[0] ?? 0));
    const windows = await Promise.all(ends.map(async (end) => await this.#window(chunk, namespace, service, end)));
    const total: Counts = new Map();
    for (const { keys, rows } of windows) {
      const row = rows.get(rowName(counted, namespace, service));
      if (!row) continue;
      for (const [index, key] of keys.entries()) {
        const count = row[index] ?? Number.NaN;
        if (!Number.isNaN(count)) total.set(key, (total.get(key) ?? 0) + count);
      }
    }
    return total;
  }

  #chunkOf(namespace: string, service: string): Chunk {
    const now = this.options.now();
    let chunk =
      this.#chunks.find(({ members }) => members.has(namespace)) ??
      this.#chunks.find(({ members }) => members.size < NAMESPACES_PER_QUERY);
    if (!chunk) this.#chunks.push((chunk = { members: new Map(), services: new Map(), windows: new Map() }));
    chunk.members.set(namespace, now);
    chunk.services.set(`${namespace}/${service}`, now);
    return chunk;
  }

  #forgetMembers(): void {
    const now = this.options.now();
    for (const { members, services } of this.#chunks)
      for (const known of [members, services]) for (const [name, askedAt] of known) if (now - askedAt > FORGET_MS) known.delete(name);
  }

  async #window(chunk: Chunk, namespace: string, service: string, end: number): Promise<Window> {
    const known = chunk.windows.get(end);
    const failing = known?.failedUntil !== undefined && this.options.now() < known.failedUntil;
    if (known && (failing || (known.failedUntil === undefined && covers(known.covered, namespace, service)))) return await known.window;
    const asked: Asked = { window: Promise.resolve({ keys: [], rows: new Map() }) };
    asked.window = this.#send(chunk, end, asked);
    chunk.windows.set(end, asked);
    this.#forgetOld(chunk);
    try {
      return await asked.window;
    } catch (error) {
      asked.failedUntil = this.options.now() + Math.min(this.options.gridMs, 1_000);
      throw error;
    }
  }

  async #send(chunk: Chunk, end: number, asked: Asked): Promise<Window> {
    await sleep(GATHER_MS);
    return await this.#gate.run(async () => {
      this.#forgetMembers();
      const services = chunk.services.size <= SERVICES_PER_QUERY ? new Set(chunk.services.keys()) : undefined;
      asked.covered = { namespaces: new Set(chunk.members.keys()), services };
      return await this.#ask(asked.covered, end);
    });
  }

  #forgetOld(chunk: Chunk): void {
    const oldest = this.options.now() - this.#longestSpan - KEEP_LONGER_MS;
    for (const end of chunk.windows.keys()) if (end < oldest) chunk.windows.delete(end);
  }

  async #ask(covered: Coverage, end: number): Promise<Window> {
    const { client, server, metric, reporter, gridMs } = this.options;
    const names = covered.services && [...new Set([...covered.services].map((key) => key.slice(key.indexOf('/') + 1)))].toSorted();
    const query = windowQuery(metric, { namespaces: [...covered.namespaces].toSorted(), names }, gridMs, reporter);
    const result = await client.query({ server, query, time: end });
    if (result.kind === 'failed') throw new EvidenceError(result.message, result.permanent);
    return group(result.samples, metric, reporter);
  }
}

const covers = (covered: Coverage | undefined, namespace: string, service: string): boolean =>
  covered === undefined || (covered.namespaces.has(namespace) && (covered.services === undefined || covered.services.has(`${namespace}/${service}`)));

function group(samples: Sample[], metric: BuiltinMetric, reporter: Reporter): Window {
  const label = keyLabel(metric);
  const places = new Map<string, number>();
  for (const { labels } of samples) {
    const key = labels[label] ?? '';
    if (!places.has(key)) places.set(key, places.size);
  }
  const rows = new Map<string, Float64Array>();
  for (const { labels, value } of samples) {
    if (!Number.isFinite(value)) continue;
    const service = subjectOf(labels, metric, reporter);
    let row = rows.get(service);
    if (!row) rows.set(service, (row = new Float64Array(places.size).fill(Number.NaN)));
    row[places.get(labels[label] ?? '') ?? 0] = value;
  }
  for (const [service, row] of rows) if (!row.some((count) => count > 0)) rows.delete(service);
  return { keys: [...places.keys()], rows };
}

/** Whose count it is. Requests and tries in one answer are told apart by the labels that they were summed by. */
function subjectOf(labels: Record<string, string>, metric: BuiltinMetric, reporter: Reporter): string {
  const isTry = reporter === 'workload' ? labels['reporter'] === 'destination' : labels[subjectLabels('tries').name] !== undefined;
  const counted = holdsTries(metric, reporter) && isTry ? 'tries' : reporter;
  const subject = subjectLabels(counted);
  return rowName(counted, labels[subject.namespace] ?? '', labels[subject.name] ?? '');
}

/** Lets only so many run at a time; the others wait their turn in order. */
class Gate {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly limit: number) {}

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await task();
    } finally {
      // The place is handed on rather than freed, so that nobody slips in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
