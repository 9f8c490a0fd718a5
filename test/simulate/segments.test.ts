import { describe, expect, it } from 'vitest';
import type { WindowCounts } from '../../src/core/evidence.js';
import { Draws } from '../../src/simulate/random.js';
import { segmentsOf } from '../../src/simulate/segments.js';

const GRID_MS = 5_000;

/** Windows in which so many requests a second were divided by these weights, each for so many windows. */
function windows(rps: number, ...weights: [percent: number, windows: number][]): WindowCounts[] {
  const draws = Draws.seeded(11, 0);
  const side = (total: number) => ({ total, bad: [0] });
  return weights
    .flatMap(([percent, count]) => Array.from({ length: count }, () => percent))
    .map((percent, index) => ({ to: (index + 1) * GRID_MS, canary: side(draws.poisson((rps * 5 * percent) / 100)), stable: side(draws.poisson((rps * 5 * (100 - percent)) / 100)) }));
}
const found = (given: WindowCounts[]): [number, number][] => segmentsOf(given, GRID_MS).map(({ weight, from }) => [weight, from / GRID_MS]);

describe('the weights of a record', () => {
  it('are found with the moments at which they changed', () => {
    const segments = found(windows(100, [0, 12], [10, 12], [20, 12], [50, 12], [0, 12]));
    expect(segments.map(([, from]) => from)).toEqual([0, 12, 24, 36, 48]);
    for (const [index, weight] of [0, 10, 20, 50, 0].entries()) expect(Math.abs((segments[index]?.[0] ?? 99) - weight)).toBeLessThanOrEqual(2);
  });

  it('are one where chance alone moves them', () => {
    expect(found(windows(20, [10, 300]))).toHaveLength(1);
    expect(found(windows(1, [50, 300]))).toHaveLength(1);
  });

  it('are one where they drift a little, and several where they are small', () => {
    expect(found(windows(2_000, [30, 24], [32, 24], [31, 24]))).toHaveLength(1);
    expect(found(windows(2_000, [1, 24], [2, 24], [5, 24])).map(([weight]) => weight)).toEqual([1, 2, 5]);
    expect(found(windows(2_000, [90, 24], [100, 24])).map(([weight]) => weight)).toEqual([90, 100]);
  });

  it('do not have a step for the moment between two of them', () => {
    expect(found(windows(100, [10, 12], [17, 1], [30, 12])).map(([, from]) => from)).toEqual([0, 13]);
  });

  it('are all, and none', () => {
    expect(found(windows(100, [0, 20]))).toEqual([[0, 0]]);
    expect(found(windows(100, [100, 20]))).toEqual([[100, 0]]);
    expect(segmentsOf([], GRID_MS)).toEqual([]);
  });

  it('take a second for a day', () => {
    const day = windows(50, ...Array.from({ length: 24 }, (_, hour): [number, number] => [hour % 2 === 0 ? 10 : 30, 720]));
    const startedAt = performance.now();
    expect(found(day)).toHaveLength(24);
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });
});
