import type { ServiceKey } from './plan.js';
import type { BuiltinMetric } from './queries.js';

/** Counts of one service: by response code, or by upper bound of a histogram. */
export type Counts = Map<string, number>;

/** One number per key, NaN where there is none. */
type Row = Float64Array;

/**
 * What one query said of one window. Thousands of services times the buckets of a histogram times the windows that are kept is most
 * of what a controller has in memory, so the keys are there once.
 */
export interface Part {
  /** Whom the query was about. */
  services: ReadonlySet<ServiceKey>;
  keys: readonly string[];
  /** Services without requests are absent. */
  requests: ReadonlyMap<ServiceKey, Row>;
  /** The same of tries, where the query asked for them. */
  tries: ReadonlyMap<ServiceKey, Row>;
}

/** Numbers that are kept, over all windows; the oldest go first. */
const MAX_NUMBERS = 6_000_000;

/** What is known, by metric and by the end of the window. */
export class KnownWindows {
  readonly #parts: Record<BuiltinMetric, Map<number, Part[]>> = { 'request-success-rate': new Map(), 'request-duration': new Map() };
  #numbers = 0;

  find(metric: BuiltinMetric, end: number, service: ServiceKey): Part | undefined {
    return this.#parts[metric].get(end)?.find(({ services }) => services.has(service));
  }

  add(metric: BuiltinMetric, end: number, part: Part): void {
    const known = this.#parts[metric].get(end);
    if (known) known.push(part);
    else this.#parts[metric].set(end, [part]);
    this.#numbers += size(part);
  }

  /** Forget windows that ended before `oldest`, and more of them where there are too many; none that ended at `needed` or later. */
  forget(oldest: number, needed: number): void {
    for (const windows of Object.values(this.#parts)) for (const end of windows.keys()) if (end < Math.min(oldest, needed)) this.#drop(windows, end);
    if (this.#numbers <= MAX_NUMBERS) return;
    const ends = [...new Set(Object.values(this.#parts).flatMap((windows) => [...windows.keys()]))].toSorted((a, b) => a - b);
    for (const end of ends) {
      if (this.#numbers <= MAX_NUMBERS || end >= needed) return;
      for (const windows of Object.values(this.#parts)) this.#drop(windows, end);
    }
  }

  #drop(windows: Map<number, Part[]>, end: number): void {
    for (const part of windows.get(end) ?? []) this.#numbers -= size(part);
    windows.delete(end);
  }
}

const size = ({ keys, requests, tries }: Part): number => keys.length * (requests.size + tries.size);

/** What a part says of one service, added to `total`. */
export function addCounts(total: Counts, { keys }: Part, row: Row | undefined): void {
  if (!row) return;
  for (const [index, key] of keys.entries()) {
    const count = row[index] ?? Number.NaN;
    if (!Number.isNaN(count)) total.set(key, (total.get(key) ?? 0) + count);
  }
}

/** Collects what one answer says of one window. */
export class PartBuilder {
  readonly #places = new Map<string, number>();
  readonly #rows = { requests: new Map<ServiceKey, Map<number, number>>(), tries: new Map<ServiceKey, Map<number, number>>() };

  constructor(private readonly services: ReadonlySet<ServiceKey>) {}

  add(what: 'requests' | 'tries', service: ServiceKey, key: string, count: number): void {
    if (!Number.isFinite(count) || !this.services.has(service)) return;
    let place = this.#places.get(key);
    if (place === undefined) this.#places.set(key, (place = this.#places.size));
    const rows = this.#rows[what];
    const row = rows.get(service);
    if (row) row.set(place, count);
    else rows.set(service, new Map([[place, count]]));
  }

  build(): Part {
    return { services: this.services, keys: [...this.#places.keys()], requests: this.#packed('requests'), tries: this.#packed('tries') };
  }

  #packed(what: 'requests' | 'tries'): Map<ServiceKey, Row> {
    const packed = new Map<ServiceKey, Row>();
    for (const [service, counts] of this.#rows[what]) {
      const row = new Float64Array(this.#places.size).fill(Number.NaN);
      for (const [place, count] of counts) row[place] = count;
      if (row.some((count) => count > 0)) packed.set(service, row);
    }
    return packed;
  }
}
