import { describe, expect, it } from 'vitest';
import { slowerThan, DURATION_BUCKETS_MS } from '../../src/simulate/latency.js';
import { spreadOf, wilson } from '../../src/simulate/quantiles.js';
import { Draws } from '../../src/simulate/random.js';

const DRAWS = 20_000;

/** Mean and variance of many draws. */
function moments(draw: (draws: Draws) => number): { mean: number; variance: number } {
  const draws = Draws.seeded(3, 1);
  const values = Array.from({ length: DRAWS }, () => draw(draws));
  const mean = values.reduce((sum, value) => sum + value, 0) / DRAWS;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / DRAWS };
}

describe('draws', () => {
  it.each([0.3, 5, 59, 61, 500])('has a Poisson count of mean and variance %d', (mean) => {
    const found = moments((draws) => draws.poisson(mean));
    expect(Math.abs(found.mean - mean)).toBeLessThan(5 * Math.sqrt(mean / DRAWS));
    expect(found.variance / mean).toBeGreaterThan(0.94);
    expect(found.variance / mean).toBeLessThan(1.06);
  });

  it.each([
    [10, 0.001],
    [500, 0.05],
    [500, 0.4],
    [7, 0.7],
    [5_000, 0.999],
  ])('has a binomial count of %d, each with probability %d', (total, share) => {
    const found = moments((draws) => draws.binomial(total, share));
    const variance = total * share * (1 - share);
    expect(Math.abs(found.mean - total * share)).toBeLessThan(5 * Math.sqrt(variance / DRAWS));
    expect(found.variance / variance).toBeGreaterThan(0.9);
    expect(found.variance / variance).toBeLessThan(1.1);
  });

  it('never has more than there are, or less than none', () => {
    const draws = Draws.seeded(1, 1);
    for (let index = 0; index < 2_000; index += 1) {
      const count = draws.binomial(200, index / 2_000);
      expect(count).toBeGreaterThanOrEqual(0);
      expect(count).toBeLessThanOrEqual(200);
    }
    expect([draws.binomial(10, 0), draws.binomial(10, 1), draws.poisson(0)]).toEqual([0, 10, 0]);
  });

  it('is the same for the same seed, and another for another run', () => {
    const list = (seed: number, run: number): number[] => {
      const draws = Draws.seeded(seed, run);
      return Array.from({ length: 20 }, () => draws.poisson(50));
    };
    expect(list(1, 2)).toEqual(list(1, 2));
    expect(list(1, 2)).not.toEqual(list(1, 3));
    expect(list(1, 2)).not.toEqual(list(2, 2));
  });
});

describe('latencies', () => {
  it('have their p99 where it was declared', () => {
    const slower = slowerThan(250);
    expect(slower[DURATION_BUCKETS_MS.indexOf(250)]).toBeCloseTo(0.01, 4);
    expect(slower).toEqual(slower.toSorted((a, b) => b - a));
    // A sixth of it is the median.
    expect(slowerThan(250 * Math.exp(0.8 * 2.3263))[DURATION_BUCKETS_MS.indexOf(250)]).toBeCloseTo(0.5, 4);
  });
});

describe('what many runs say', () => {
  it('has tenths and a middle', () => {
    expect(spreadOf(Array.from({ length: 100 }, (_, index) => 99 - index))).toEqual({ p10: 10, p50: 50, p90: 90 });
    expect(spreadOf([])).toBeUndefined();
  });

  it('cannot tell none from few', () => {
    expect(wilson(0, 500).high).toBeGreaterThan(0.005);
    expect(wilson(0, 500).high).toBeLessThan(0.01);
    expect(wilson(50, 100).low).toBeCloseTo(0.404, 2);
  });
});
