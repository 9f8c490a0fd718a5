import { describe, expect, it } from 'vitest';
import { histogramQuantile } from '../../src/metrics/prometheus/quantile.js';

const Inf = Number.POSITIVE_INFINITY;

describe('histogramQuantile', () => {
  it.each<[string, number, [number, number][], number]>([
    [
      'interpolates from zero in the first bucket',
      0.5,
      [
        [10, 100],
        [Inf, 100],
      ],
      5,
    ],
    [
      'interpolates inside a bucket',
      0.9,
      [
        [10, 50],
        [20, 100],
        [Inf, 100],
      ],
      18,
    ],
    [
      'skips empty buckets',
      0.99,
      [
        [10, 0],
        [20, 0],
        [40, 100],
        [Inf, 100],
      ],
      39.8,
    ],
    [
      'takes the highest finite bound beyond it',
      0.99,
      [
        [10, 50],
        [20, 60],
        [Inf, 100],
      ],
      20,
    ],
    [
      'keeps a bound that is not positive',
      0.1,
      [
        [0, 50],
        [20, 60],
        [Inf, 60],
      ],
      0,
    ],
    [
      'does not care for the order',
      0.5,
      [
        [Inf, 100],
        [10, 100],
      ],
      5,
    ],
    [
      'lifts a bucket that seems smaller than the one before',
      0.9,
      [
        [10, 90],
        [20, 80],
        [Inf, 100],
      ],
      10,
    ],
    [
      'has nothing without observations',
      0.5,
      [
        [10, 0],
        [Inf, 0],
      ],
      Number.NaN,
    ],
    [
      'has nothing without the +Inf bucket',
      0.5,
      [
        [10, 5],
        [20, 9],
      ],
      Number.NaN,
    ],
    ['has nothing without a finite bucket', 0.5, [[Inf, 9]], Number.NaN],
    ['has nothing without buckets', 0.5, [], Number.NaN],
  ])('%s', (_name, q, buckets, expected) => {
    const value = histogramQuantile(q, new Map(buckets));
    if (Number.isNaN(expected)) expect(value).toBeNaN();
    else expect(value).toBeCloseTo(expected, 9);
  });
});
