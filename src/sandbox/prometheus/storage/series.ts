import type { Labels } from '../labels.js';

const CHUNK_SAMPLES = 128;
/** Offsets are stored doubled (the low bit marks staleness) in 32 bits, so one chunk covers at most this long. */
const CHUNK_SPAN_MS = 2 ** 31 - 1;

/** The values of a full chunk: one number when they are all the same (most histogram buckets, most of the time). */
type SealedValues = number | Uint32Array | Float64Array;

interface Chunk {
  baseMs: number;
  /** (timestamp - baseMs) * 2, plus 1 for a staleness marker. */
  offsets: Uint32Array;
  values: SealedValues;
  count: number;
}

/** Samples of a time range, in parallel arrays; times in milliseconds. Reused between reads to spare allocations. */
export interface SampleBuffer {
  times: number[];
  values: number[];
}

/** A sample that an instant selector found. */
export interface Point {
  t: number;
  v: number;
}

function seal(chunk: Chunk): void {
  const values = chunk.values;
  if (typeof values === 'number') return;
  const first = values[0]!;
  let constant = true;
  let small = true;
  for (let i = 0; i < chunk.count; i++) {
    const value = values[i]!;
    if (!Object.is(value, first)) constant = false;
    if (!(value >>> 0 === value) || Object.is(value, -0)) small = false;
  }
  chunk.offsets = chunk.offsets.slice(0, chunk.count);
  if (constant) chunk.values = first;
  else if (small) chunk.values = Uint32Array.from(values.subarray(0, chunk.count));
  else chunk.values = Float64Array.from(values.subarray(0, chunk.count));
}

/** One time series: append-only samples in time order, in chunks that are packed once they are full. */
export class Series {
  readonly labels: Labels;
  #chunks: Chunk[] = [];
  #lastMs = Number.NEGATIVE_INFINITY;
  #stale = false;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  /** Time of the newest sample or staleness marker, milliseconds; -Infinity when there is none. */
  get lastMs(): number {
    return this.#lastMs;
  }

  /** Whether the newest entry is a staleness marker. */
  get isStale(): boolean {
    return this.#stale;
  }

  /** Time of the oldest sample kept, milliseconds; Infinity when there is none. */
  get firstMs(): number {
    const chunk = this.#chunks[0];
    return chunk === undefined ? Number.POSITIVE_INFINITY : chunk.baseMs + (chunk.offsets[0]! >>> 1);
  }

  /** Appends a sample; false when it is not newer than the newest (Prometheus refuses those as well). */
  append(timeMs: number, value: number): boolean {
    return this.#push(timeMs, value, false);
  }

  /** Appends a staleness marker: from here on an instant selector does not find this series. False where that is so already. */
  markStale(timeMs: number): boolean {
    return this.#stale || this.#chunks.length === 0 ? false : this.#push(timeMs, 0, true);
  }

  #push(timeMs: number, value: number, stale: boolean): boolean {
    if (timeMs <= this.#lastMs) return false;
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.count === CHUNK_SAMPLES || timeMs - chunk.baseMs > CHUNK_SPAN_MS) {
      if (chunk !== undefined) seal(chunk);
      chunk = { baseMs: timeMs, offsets: new Uint32Array(16), values: new Float64Array(16), count: 0 };
      this.#chunks.push(chunk);
    }
    let values = chunk.values as Float64Array;
    if (chunk.count === values.length) {
      const grown = new Float64Array(values.length * 2);
      grown.set(values);
      chunk.values = values = grown;
      const offsets = new Uint32Array(grown.length);
      offsets.set(chunk.offsets);
      chunk.offsets = offsets;
    }
    chunk.offsets[chunk.count] = (timeMs - chunk.baseMs) * 2 + (stale ? 1 : 0);
    values[chunk.count] = value;
    chunk.count++;
    this.#lastMs = timeMs;
    this.#stale = stale;
    return true;
  }

  /** The newest sample at or before `atMs` and after `afterMs`; undefined when there is none or the series is stale there. */
  latest(atMs: number, afterMs: number): Point | undefined {
    const chunk = this.#chunks[this.#lastChunkFrom(atMs)];
    if (chunk === undefined) return undefined;
    const index = lastIndexAt(chunk, atMs);
    const offset = chunk.offsets[index]!;
    const t = chunk.baseMs + (offset >>> 1);
    if ((offset & 1) === 1 || t <= afterMs) return undefined;
    return { t, v: valueAt(chunk, index) };
  }

  /** Fills the buffer with the samples after `afterMs` up to and including `untilMs`, without staleness markers. */
  window(afterMs: number, untilMs: number, into: SampleBuffer): void {
    into.times.length = 0;
    into.values.length = 0;
    const first = Math.max(0, this.#lastChunkFrom(afterMs));
    for (let c = first; c < this.#chunks.length; c++) {
      const chunk = this.#chunks[c]!;
      if (chunk.baseMs > untilMs) return;
      const start = chunk.baseMs > afterMs ? 0 : lastIndexAt(chunk, afterMs) + 1;
      for (let i = start; i < chunk.count; i++) {
        const offset = chunk.offsets[i]!;
        const t = chunk.baseMs + (offset >>> 1);
        if (t > untilMs) return;
        if ((offset & 1) === 1) continue;
        into.times.push(t);
        into.values.push(valueAt(chunk, i));
      }
    }
  }

  /** Forgets chunks whose newest sample is before `beforeMs`. Returns whether the series is now empty. */
  trim(beforeMs: number): boolean {
    let expired = 0;
    while (expired < this.#chunks.length && newestMs(this.#chunks[expired]!) < beforeMs) expired++;
    if (expired > 0) this.#chunks.splice(0, expired);
    return this.#chunks.length === 0;
  }

  /** Index of the last chunk that begins at or before the time, -1 when there is none. */
  #lastChunkFrom(timeMs: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]!.baseMs <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function newestMs(chunk: Chunk): number {
  return chunk.baseMs + (chunk.offsets[chunk.count - 1]! >>> 1);
}

function valueAt(chunk: Chunk, index: number): number {
  return typeof chunk.values === 'number' ? chunk.values : chunk.values[index]!;
}

/** Index of the last entry at or before the time; the chunk must begin at or before it. */
function lastIndexAt(chunk: Chunk, timeMs: number): number {
  let low = 0;
  let high = chunk.count;
  const limit = timeMs - chunk.baseMs;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunk.offsets[middle]! >>> 1 <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
