import { describe, expect, it } from 'vitest';
import { assertWindows, binomialInterval, pooled } from './split.js';

describe('the judgement of a split', () => {
  it('knows the intervals of the binomial distribution', () => {
    // At 30 trials with p = 0.4, P(X <= 4) is 0.15 %, P(X <= 5) 0.57 %, P(X >= 20) 0.29 %, P(X >= 21) 0.09 %.
    expect(binomialInterval(30, 0.4, 0.995)).toEqual([5, 20]);
    // At 1000 with p = 0.5, P(X <= 447) is 0.044 %, P(X <= 448) 0.056 %.
    expect(binomialInterval(1000, 0.5, 0.999)).toEqual([448, 552]);
    expect(binomialInterval(100, 0, 0.999)).toEqual([0, 0]);
    expect(binomialInterval(100, 1, 0.999)).toEqual([100, 100]);
  });

  it('accepts shares that the weight explains, and says how many it could judge', () => {
    const windows = [
      { weight: 20, sent: 300, answered: 66 },
      { weight: 0, sent: 300, answered: 0 },
      { weight: 50, sent: 5, answered: 5 },
    ];
    expect(assertWindows(windows)).toBe(2);
  });

  it('refuses shares that the weight does not explain', () => {
    expect(() => assertWindows([{ weight: 20, sent: 300, answered: 100 }])).toThrow(/weight 20 %/);
    expect(() => assertWindows([{ weight: 0, sent: 300, answered: 1 }])).toThrow(/weight 0 %/);
    expect(() => assertWindows([{ weight: 100, sent: 300, answered: 299 }])).toThrow(/weight 100 %/);
  });

  it('sees in all windows together what none of them shows alone', () => {
    const windows = Array.from({ length: 12 }, () => ({ weight: 20, sent: 300, answered: 78 }));
    expect(assertWindows(windows)).toBe(12);
    expect(() => assertWindows(pooled(windows))).toThrow(/weight 20 %/);
  });
});
