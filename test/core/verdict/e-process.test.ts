import { describe, expect, it } from 'vitest';
import { addWindow, dispersion, noDispersion } from '../../../src/core/verdict/dispersion.js';
import { addEvidence, learnBaseline, noEvidence, regression, type Evidence } from '../../../src/core/verdict/e-process.js';
import { differenceInterval } from '../../../src/core/verdict/interval.js';
import { WINDOW_LIMIT, type VerdictOptions } from '../../../src/core/verdict/options.js';

const options: VerdictOptions = { alpha: 0.01, maxRegression: { ratio: 1.5, difference: 0.1 } };
/** Ten minutes of a stable version that fails once in a thousand requests. */
function baseline(): Evidence {
  const evidence = noEvidence();
  for (let window = 0; window < 120; window += 1) learnBaseline(evidence, { total: 500, bad: window % 2 });
  return evidence;
}
function after(windows: number, canary: number, stable: number, evidence = baseline()): Evidence {
  for (let window = 0; window < windows; window += 1) addEvidence(evidence, { total: 250, bad: canary }, { total: 250, bad: stable }, options);
  return evidence;
}

describe('the evidence against a version', () => {
  it('grows when it fails more than the stable one does in the same windows', () => {
    expect(regression(after(4, 12, 0))).toBeGreaterThan(Math.log(100));
  });

  it('falls when both fail alike, however much', () => {
    expect(regression(after(20, 12, 12))).toBeLessThan(0);
  });

  it('does not grow by an incident that hits both sides at once', () => {
    expect(regression(after(3, 200, 200))).toBeLessThan(0);
  });

  it('does not grow while it is no worse than the ratio allows', () => {
    expect(regression(after(40, 3, 2))).toBeLessThan(Math.log(100));
  });

  it('does not grow while it is worse by less than the difference that is allowed, be it many times as bad', () => {
    const evidence = noEvidence();
    for (let window = 0; window < 120; window += 1) learnBaseline(evidence, { total: 100_000, bad: 1 });
    for (let window = 0; window < 40; window += 1) addEvidence(evidence, { total: 20_000, bad: 8 }, { total: 100_000, bad: 1 }, options);
    expect(Math.max(...evidence.ratio)).toBeGreaterThan(Math.log(100));
    expect(regression(evidence)).toBeLessThan(0);
  });

  it('is limited for one window: however bad it was, it takes another one', () => {
    const one = after(1, 250, 0);
    expect(regression(one)).toBeLessThanOrEqual(Math.log(WINDOW_LIMIT));
    expect(regression(after(2, 250, 0))).toBeGreaterThan(Math.log(100));
  });

  it('counts for less where errors come in clusters', () => {
    const clustered = noEvidence();
    for (let window = 0; window < 120; window += 1) learnBaseline(clustered, { total: 500, bad: window % 20 === 0 ? 10 : 0 });
    expect(regression(after(2, 6, 0, clustered))).toBeLessThan(regression(after(2, 6, 0)) / 2);
  });

  it('is not held up by a stable version that nobody asked before the release', () => {
    expect(regression(after(10, 25, 0, noEvidence()))).toBeGreaterThan(Math.log(100));
  });

  it('needs requests on both sides', () => {
    const evidence = baseline();
    addEvidence(evidence, { total: 250, bad: 250 }, { total: 0, bad: 0 }, options);
    expect(regression(evidence)).toBe(regression(baseline()));
    expect(evidence.canary.total).toBe(0);
  });

  it('says that a version is as good only when enough requests say so', () => {
    expect(after(1, 0, 0).health).toBeLessThan(Math.log(20));
    expect(after(8, 0, 0).health).toBeGreaterThan(Math.log(20));
    expect(after(8, 4, 0).health).toBeLessThan(0);
  });
});

describe('dispersion', () => {
  const of = (counts: number[]): number => {
    const seen = noDispersion();
    for (const bad of counts) addWindow(seen, bad, 1000);
    return dispersion(seen);
  };

  it('is 1 for errors that come one by one, and for none', () => {
    expect(of(Array.from({ length: 100 }, (_, window) => window % 2))).toBe(1);
    expect(of(Array.from({ length: 100 }, () => 0))).toBe(1);
  });

  it('is the size of clusters where they all have one size', () => {
    const value = of(Array.from({ length: 200 }, (_, window) => (window % 10 === 0 ? 10 : 0)));
    expect(value).toBeGreaterThan(7);
    expect(value).toBeLessThan(10);
  });

  it('is not told from a handful of windows', () => {
    expect(of([0, 50, 0, 50])).toBe(1);
  });
});

describe('the interval of the difference', () => {
  it('holds the difference that was seen, and narrows', () => {
    const [early, late] = [after(2, 5, 0), after(60, 5, 0)].map((evidence) => differenceInterval(evidence, 0.01));
    expect(early?.low).toBeLessThan(2);
    expect(early?.high).toBeGreaterThan(2);
    expect((late?.high ?? 0) - (late?.low ?? 0)).toBeLessThan(((early?.high ?? 0) - (early?.low ?? 0)) / 3);
    expect(early?.low).toBeGreaterThan(-1);
    expect(early?.high).toBeLessThan(8);
    expect(late?.low).toBeGreaterThan(0);
  });

  it('is not told while one side was asked nothing', () => {
    expect(differenceInterval(baseline(), 0.01)).toBeUndefined();
  });

  it('does not pretend to be exact when nothing failed', () => {
    const interval = differenceInterval(after(1, 0, 0), 0.01);
    expect(interval?.high).toBeGreaterThan(0.5);
    expect(interval?.low).toBeLessThan(-0.5);
    expect(interval?.high).toBeLessThan(10);
  });
});
