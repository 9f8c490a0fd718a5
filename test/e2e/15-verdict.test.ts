import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { World } from './harness.js';

/** Far longer than it takes to tell two versions apart. */
const INTERVAL_MS = 60_000;

describe('versions that are compared with the one that serves, with everything real', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      rps: 120,
      analysis: { interval: `${INTERVAL_MS}ms`, stepWeights: [20, 50], warmup: '0s', evaluate: '1s', verdict: { minSamples: 100, fast: true }, metrics: [{ name: 'request-success-rate' }] },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  it('takes a version back in the middle of its step, by what both answered in the same seconds', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const entry = await world.ended(await world.commit({ errorRate: 0.3 }, 'Errors'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'Regression', weights: [20] });
    expect(entry.message).toMatch(/^failed requests: canary [23]\d(\.\d)? % of \d+, stable 0 % of \d+, a difference of [\d.]+ to [\d.]+ points; chance would show this of a version that is not worse in 1 in [\d,]+ runs$/);
    expect(world.weightsOf(slot, since)).toEqual([20, 0]);
    const given = world.recorder.changes(since).find(({ blue, green }) => Math.min(blue, green) === 20);
    expect(Date.parse(entry.endedAt) - (given?.at ?? 0)).toBeLessThan(INTERVAL_MS);
    await world.assertTold(entry.revision, ['Started', 'Failed']);
  });

  it('leaves steps early once a version is shown to be as good', async () => {
    const started = Date.now();
    const entry = await world.ended(await world.commit({}, 'A good version'));
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [20, 50, 100] });
    expect(Date.parse(entry.endedAt) - started).toBeLessThan(2 * INTERVAL_MS);
  });
});
