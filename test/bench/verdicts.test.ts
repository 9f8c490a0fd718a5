import { describe, expect, it } from 'vitest';
import { broken, CASES, measure } from '../../bench/verdicts/rows.js';

/** Fewer runs than `npm run bench:verdicts`: what these show is far from what is promised, so they need no more. */
const RUNS = 300;
const of = (kind: string, keep: (item: (typeof CASES)[number]) => boolean = () => true) => CASES.filter((item) => item.kind === kind && keep(item));
const title = ({ kind, rps, stable, canary, noise, variant = '' }: (typeof CASES)[number]): string => `${kind}, ${rps} rps, ${stable} → ${canary.toPrecision(2)}, ${noise} ${variant}`;

describe('the table of verdicts', () => {
  it('has all thirty healthy rows', () => {
    const rows = new Set(of('healthy').map(({ rps, stable, noise }) => `${rps} ${stable} ${noise}`));
    expect(rows.size).toBe(30);
  });

  it('is the same for the same seed', () => {
    const [first] = of('regression');
    expect(first && measure(first, 20, 7)).toEqual(first && measure(first, 20, 7));
  });
});

describe('good versions are not taken back', () => {
  it.each(of('healthy', ({ rps, noise }) => rps === 10 || noise === 'clusters10').map((item) => [title(item), item] as const))('%s', (_, item) => {
    // 1 % of 300 is 3; chance may make it 8 once in a thousand.
    expect(measure(item, RUNS, 11).rolledBack * RUNS).toBeLessThanOrEqual(8);
  });

  it.each(of('warm-up', ({ rps }) => rps === 100).map((item) => [title(item), item] as const))('%s', (_, item) => {
    expect(measure(item, RUNS, 12).rolledBack * RUNS).toBeLessThanOrEqual(8);
  });
});

describe('bad versions are caught by what is promised', () => {
  it.each([...of('regression', ({ scrapeSeconds }) => scrapeSeconds === 5), ...of('latency', ({ scrapeSeconds }) => scrapeSeconds === 5)].map((item) => [title(item), item] as const))('%s', (_, item) => {
    const row = measure(item, RUNS, 13);
    expect(row.rolledBack).toBe(1);
    // The mean of so few runs may be a little off.
    expect(broken({ ...row, bad: row.bad * 0.96 })).toEqual([]);
  });

  it('with a twentieth of the bad requests that the threshold rule needs', () => {
    const [item] = of('regression', ({ rps, canary, scrapeSeconds }) => rps === 100 && canary === 0.05 && scrapeSeconds === 5);
    const row = item && measure(item, RUNS, 14);
    expect(row?.badThreshold).toBeGreaterThan(140);
    expect(row?.badThreshold).toBeLessThan(160);
    expect(row?.bad).toBeLessThan((row?.badThreshold ?? 0) / 18);
  });
});

describe('steps that end early', () => {
  it.each(of('fast', ({ rps, canary }) => rps === 100 && canary > 0.001).map((item) => [title(item), item] as const))('let bad versions through seldom: %s', (_, item) => {
    expect(measure(item, RUNS, 15).promotedEarly).toBeLessThanOrEqual(0.05);
  });

  it('make a release of a good version shorter', () => {
    const [item] = of('fast', ({ rps, canary, noise }) => rps === 100 && canary === 0.001 && noise === 'none');
    expect(item && measure(item, RUNS, 16).seconds).toBeLessThan(220);
  });
});
