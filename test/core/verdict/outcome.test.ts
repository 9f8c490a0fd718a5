import { describe, expect, it } from 'vitest';
import type { VerdictStream } from '../../../src/api/index.js';
import { odds, outcomeOf } from '../../../src/core/verdict/outcome.js';
import { newStream } from '../../../src/core/verdict/streams.js';

const options = { alpha: 0.01, maxRegression: { ratio: 1.5, difference: 0.1 }, beta: 0.05 };
/** A stream whose e-value is `times`, whatever it was made of. */
const worth = (metric: string, times: number, bound?: number): VerdictStream => {
  const stream = newStream(metric, bound, 0);
  return { ...stream, ratio: stream.ratio.map(() => Math.log(times)), difference: stream.difference.map(() => Math.log(times)) };
};
const healthy = (metric: string, health: number, bound?: number): VerdictStream => ({ ...newStream(metric, bound, 0), health });

describe('what all the evidence says', () => {
  it('one metric has all of alpha', () => {
    expect(outcomeOf([worth('errors', 99)], 1, options).worse).toBeUndefined();
    expect(outcomeOf([worth('errors', 101)], 1, options).worse?.metric).toBe('errors');
  });

  it('several metrics share alpha, those that have shown nothing yet included', () => {
    expect(outcomeOf([worth('errors', 199)], 2, options).worse).toBeUndefined();
    expect(outcomeOf([worth('errors', 201)], 2, options).worse?.metric).toBe('errors');
  });

  it('the bounds of one metric share its part', () => {
    const bands = (times: number) => [worth('latency', times, 50), worth('latency', 1, 100)];
    expect(outcomeOf([worth('errors', 1), ...bands(399)], 2, options).worse).toBeUndefined();
    expect(outcomeOf([worth('errors', 1), ...bands(401)], 2, options).worse).toMatchObject({ metric: 'latency', bound: 50 });
  });

  it('both a ratio and a difference have to be refuted', () => {
    const stream = worth('errors', 1000);
    expect(outcomeOf([{ ...stream, difference: stream.difference.map(() => 0) }], 1, options).worse).toBeUndefined();
    expect(outcomeOf([{ ...stream, ratio: stream.ratio.map(() => 0) }], 1, options).worse).toBeUndefined();
  });

  it('is healthy when each metric says so, by its largest bound', () => {
    const enough = Math.log(20) + 0.01;
    expect(outcomeOf([healthy('errors', enough), healthy('latency', 0, 50), healthy('latency', enough, 500)], 2, options).healthy).toBe(true);
    expect(outcomeOf([healthy('errors', enough), healthy('latency', enough, 50), healthy('latency', 0, 500)], 2, options).healthy).toBe(false);
    expect(outcomeOf([healthy('errors', enough)], 2, options).healthy).toBe(false);
    expect(outcomeOf([healthy('errors', enough)], 1, { ...options, beta: 0.01 }).healthy).toBe(false);
  });

  it('tells the odds in numbers that people read', () => {
    expect(odds(Math.log(1234))).toBe('1 in 1,234');
    expect(odds(1e6)).toBe('1 in 1,000,000,000');
  });
});
