import type { PrometheusClient, Sample } from './client.js';
import { keyLabel, windowQuery, type BuiltinMetric } from './queries.js';

/** Counts of one service: by response code, or by upper bound of a histogram. */
export type Counts = Map<string, number>;

/** Counts of every service of one chunk of namespaces in one window, keyed `NAMESPACE/SERVICE`. Services without requests are absent. */
type Window = ReadonlyMap<string, Counts>;

export interface EvidenceOptions {
  client: PrometheusClient;
  server: string;
  metric: BuiltinMetric;
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
/** A namespace that nobody has asked about for this long leaves its query. */
const FORGET_NAMESPACE_MS = 10 * 60_000;
/** Windows are kept for as long as anybody has looked back so far, and this much longer. */
const KEEP_LONGER_MS = 30_000;
const PARALLEL_QUERIES = 4;

interface Chunk {
  /** Namespace → when it was last asked about. */
  members: Map<string, number>;
  /** Keyed by the end of the window. */
  windows: Map<number, Asked>;
}
interface Asked {
  /** The namespaces that the query covered. */
  covered: ReadonlySet<string>;
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
   * @throws EvidenceError when a window cannot be had
   */
  async counts(namespace: string, service: string, ends: readonly number[]): Promise<Counts> {
    const chunk = this.#chunkOf(namespace);
    this.#longestSpan = Math.max(this.#longestSpan, this.options.now() - (ends[0] ?? 0));
    const windows = await Promise.all(ends.map(async (end) => await this.#window(chunk, namespace, end)));
    const total: Counts = new Map();
    for (const window of windows) {
      for (const [key, count] of window.get(`${namespace}/${service}`) ?? []) total.set(key, (total.get(key) ?? 0) + count);
    }
    return total;
  }

  #chunkOf(namespace: string): Chunk {
    const now = this.options.now();
    for (const { members } of this.#chunks) {
      for (const [name, askedAt] of members) if (now - askedAt > FORGET_NAMESPACE_MS) members.delete(name);
    }
    let chunk =
      this.#chunks.find(({ members }) => members.has(namespace)) ??
      this.#chunks.find(({ members }) => members.size < NAMESPACES_PER_QUERY);
    if (!chunk) this.#chunks.push((chunk = { members: new Map(), windows: new Map() }));
    chunk.members.set(namespace, now);
    return chunk;
  }

  async #window(chunk: Chunk, namespace: string, end: number): Promise<Window> {
    const known = chunk.windows.get(end);
    const usable = known?.covered.has(namespace) && (known.failedUntil === undefined || this.options.now() < known.failedUntil);
    if (known && usable) return await known.window;
    const covered = new Set(chunk.members.keys());
    const asked: Asked = { covered, window: this.#gate.run(async () => await this.#ask([...covered].toSorted(), end)) };
    chunk.windows.set(end, asked);
    this.#forgetOld(chunk);
    try {
      return await asked.window;
    } catch (error) {
      asked.failedUntil = this.options.now() + Math.min(this.options.gridMs, 1_000);
      throw error;
    }
  }

  #forgetOld(chunk: Chunk): void {
    const oldest = this.options.now() - this.#longestSpan - KEEP_LONGER_MS;
    for (const end of chunk.windows.keys()) if (end < oldest) chunk.windows.delete(end);
  }

  async #ask(namespaces: string[], end: number): Promise<Window> {
    const { client, server, metric, gridMs } = this.options;
    const result = await client.query({ server, query: windowQuery(metric, namespaces, gridMs), time: end });
    if (result.kind === 'failed') throw new EvidenceError(result.message, result.permanent);
    return group(result.samples, keyLabel(metric));
  }
}

function group(samples: Sample[], key: string): Window {
  const window = new Map<string, Counts>();
  const busy = new Set<string>();
  for (const { labels, value } of samples) {
    const service = `${labels.destination_service_namespace ?? ''}/${labels.destination_service_name ?? ''}`;
    if (!Number.isFinite(value)) continue;
    if (value > 0) busy.add(service);
    const counts = window.get(service) ?? new Map<string, number>();
    window.set(service, counts.set(labels[key] ?? '', value));
  }
  for (const service of window.keys()) if (!busy.has(service)) window.delete(service);
  return window;
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
