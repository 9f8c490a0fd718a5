import { describe, expect, it } from 'vitest';
import { canaryStatus, type CanaryStatus } from '../../src/api/index.js';
import { newStream } from '../../src/core/verdict/streams.js';
import { isCosmetic, isEvidence, withFresh } from '../../src/engine/cosmetic.js';

const NEXT = '2030-01-01T00:00:05.000Z';
/** A status of a run whose canary had so many requests. */
const withTotal = (total: number, over: Partial<CanaryStatus> = {}): CanaryStatus => ({
  ...canaryStatus.parse({ phase: 'Progressing', run: { id: 'b2-1', startedAt: '2030-01-01T00:00:00.000Z', weights: [20] } }),
  verdict: { run: 'b2-1', step: '20', next: NEXT, streams: [{ ...newStream('request-success-rate', undefined, 0), canary: { total, bad: 0 } }] },
  ...over,
});

describe('evidence that is not stored yet', () => {
  it('is a change that may wait, and one that waits longer than others', () => {
    expect(isCosmetic(withTotal(1), withTotal(2))).toBe(true);
    expect(isEvidence(withTotal(1), withTotal(2))).toBe(true);
    const told = withTotal(2, { conditions: [{ type: 'Progressing', status: 'True', reason: 'Analysing', message: 'm', lastTransitionTime: NEXT }] });
    expect(isEvidence(withTotal(1), told)).toBe(false);
  });

  it('is stored at once with the first of its run and of its step', () => {
    const { verdict: _verdict, ...none } = withTotal(1);
    expect(isCosmetic(none, withTotal(1))).toBe(false);
    const next = withTotal(1);
    expect(isCosmetic(withTotal(1), { ...next, verdict: { ...(next.verdict ?? { run: '', next: NEXT, streams: [] }), step: '50' } })).toBe(false);
  });

  it('takes the place of what it was made from', () => {
    const [stored, seen] = [withTotal(1), withTotal(2)];
    const fresh = { from: stored.verdict, verdict: seen.verdict ?? { run: '', next: NEXT, streams: [] } };
    expect(withFresh(withTotal(1), fresh).verdict).toEqual(seen.verdict);
  });

  it('is dropped when somebody else has stored other evidence, or it is of another run', () => {
    const fresh = { from: withTotal(1).verdict, verdict: withTotal(2).verdict ?? { run: '', next: NEXT, streams: [] } };
    expect(withFresh(withTotal(5), fresh).verdict?.streams[0]?.canary.total).toBe(5);
    const other = withTotal(1, { run: { id: 'c3-2', startedAt: NEXT, weights: [], mostReplicas: 1 } });
    expect(withFresh(other, fresh).verdict?.streams[0]?.canary.total).toBe(1);
    const { run: _run, ...ended } = withTotal(1);
    expect(withFresh(ended, fresh).verdict?.streams[0]?.canary.total).toBe(1);
  });
});
