import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Labels } from '../../../src/sandbox/prometheus/labels.js';
import { Series } from '../../../src/sandbox/prometheus/storage/series.js';

interface Entry {
  gapMs: number;
  value: number;
  stale: boolean;
}

const value = fc.oneof(fc.constant(0), fc.constant(-0), fc.nat(), fc.double(), fc.constantFrom(2 ** 32, 2 ** 32 - 1, -1));
const entries = fc.array(
  fc.record({ gapMs: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.constant(2 ** 31)), value, stale: fc.boolean() }),
  {
    minLength: 1,
    maxLength: 600,
  },
);

function build(list: Entry[]): { series: Series; kept: { t: number; v: number; stale: boolean }[] } {
  const series = new Series(Labels.empty);
  const kept: { t: number; v: number; stale: boolean }[] = [];
  let t = 1_700_000_000_000;
  for (const { gapMs, value: v, stale } of list) {
    t += gapMs;
    if (stale ? series.markStale(t) : series.append(t, v)) kept.push({ t, v, stale });
  }
  return { series, kept };
}

describe('Series', () => {
  it('gives back every sample, whatever the values and however its chunks are packed', () => {
    fc.assert(
      fc.property(entries, (list) => {
        const { series, kept } = build(list);
        const into = { times: [], values: [] };
        series.window(0, Number.MAX_SAFE_INTEGER, into);
        const live = kept.filter(({ stale }) => !stale);
        expect(into.times).toEqual(live.map(({ t }) => t));
        expect(into.values).toEqual(live.map(({ v }) => v));
      }),
      { numRuns: 60 },
    );
  });

  it('finds the newest sample in a window and the samples of a window as a plain search does', () => {
    fc.assert(
      fc.property(entries, fc.nat(10_000), fc.nat(8000), (list, pick, widthMs) => {
        const { series, kept } = build(list);
        const until = kept.length === 0 ? 0 : kept[pick % kept.length]!.t + (pick % 3) - 1;
        const after = until - widthMs;
        const newest = kept.findLast(({ t }) => t <= until);
        const expected = newest === undefined || newest.stale || newest.t <= after ? undefined : { t: newest.t, v: newest.v };
        expect(series.latest(until, after)).toEqual(expected);
        const into = { times: [], values: [] };
        series.window(after, until, into);
        expect(into.times).toEqual(kept.filter(({ t, stale }) => !stale && t > after && t <= until).map(({ t }) => t));
      }),
      { numRuns: 100 },
    );
  });

  it('refuses samples that are not newer than the newest', () => {
    const series = new Series(Labels.empty);
    expect([series.append(1000, 1), series.append(1000, 2), series.append(999, 3)]).toEqual([true, false, false]);
    expect(series.latest(2000, 0)).toEqual({ t: 1000, v: 1 });
  });
});
