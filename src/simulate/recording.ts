import type { Measurement, WindowCounts, Windows } from '../core/evidence.js';
import type { Needs, WindowsNeed } from '../core/observation.js';
import { completeEnds } from '../metrics/grid.js';
import { measured, measuredEnds, windowsOf } from './counts.js';

interface Recorded {
  bounds: number[];
  /** By the end of the window, unix milliseconds. */
  windows: Map<number, WindowCounts>;
}

/** What a metrics server has counted of both versions in the past, metric by metric. */
export class Recording {
  readonly #metrics = new Map<string, Recorded>();

  constructor(readonly gridMs: number) {}

  /** Buckets that one stretch of time did not fill may be filled in another. */
  add(metric: string, bounds: readonly number[], windows: readonly WindowCounts[]): void {
    const known: Recorded = this.#metrics.get(metric) ?? { bounds: [], windows: new Map() };
    const all = [...new Set([...known.bounds, ...bounds])].toSorted((a, b) => a - b);
    for (const [to, window] of known.windows) known.windows.set(to, rearranged(window, known.bounds, all));
    for (const window of windows) known.windows.set(window.to, rearranged(window, bounds, all));
    this.#metrics.set(metric, { bounds: all, windows: known.windows });
  }

  has(metric: string): boolean {
    return this.#metrics.has(metric);
  }

  /** All windows of a metric, ascending. */
  all(metric: string): WindowCounts[] {
    return [...(this.#metrics.get(metric)?.windows.values() ?? [])].toSorted((a, b) => a.to - b.to);
  }

  windows({ metric, from, to }: WindowsNeed, now: number): Windows {
    return windowsOf(metric, this.#at(metric, completeEnds(from, to, this.gridMs, now)), this.#bounds(metric), this.gridMs);
  }

  measure({ metric, from, to }: Needs['metrics'][number], now: number): Measurement {
    return measured(metric, this.#at(metric, measuredEnds(from, to, this.gridMs, now)), this.#bounds(metric), this.gridMs);
  }

  #at(metric: string, ends: readonly number[]): WindowCounts[] {
    const { windows } = this.#metrics.get(metric) ?? {};
    return ends.flatMap((end) => windows?.get(end) ?? []);
  }

  #bounds(metric: string): number[] {
    return this.#metrics.get(metric)?.bounds ?? [0];
  }
}

/** The same counts for more bounds. As many requests are slower than a bound that nobody counted as than the next below it. */
function rearranged(window: WindowCounts, from: readonly number[], to: readonly number[]): WindowCounts {
  const places = to.map((bound) => from.findLastIndex((known) => known <= bound));
  const side = ({ total, bad }: WindowCounts['stable']) => ({ total, bad: places.map((place) => (place < 0 ? total : (bad[place] ?? 0))) });
  return { to: window.to, stable: side(window.stable), canary: side(window.canary) };
}
