import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REPLICAS, World } from './harness.js';

const LATE_MS = 10_000;
const DRAIN_MS = 12_000;

describe('T4: proxies learn 10 s late, under load', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      rps: 150,
      pushDelayMs: LATE_MS,
      canary: { revisions: { drainFor: `${DRAIN_MS}ms`, warmFor: '1s' } },
      analysis: { interval: '18s', stepWeights: [40], threshold: 1 },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  /** The old pods are gone, and so long ago that whoever still called them would have been heard of. */
  const emptied = (slot: 'blue' | 'green') =>
    world
      .until(`slot ${slot} to be empty`, () => world.recorder.ready(slot, Infinity) === 0)
      .then(() => new Promise((resolve) => setTimeout(resolve, LATE_MS + 2_000)));

  it('the final promotion meets no 503', async () => {
    const [since, slot, old] = [Date.now(), world.freeSlot, world.status.stable?.slot ?? 'blue'];
    const entry = await world.ended(await world.commit({}, 'A good version'));
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [40, 100] });
    await emptied(old);
    expect(world.weightsOf(slot, since)).toEqual([40, 100]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(1);
    expect(world.sandbox.tally.totals.failed, 'failed requests').toBe(0);
  });

  it("the abort meets no 503 but the failing version's own answers", async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const entry = await world.ended(await world.commit({ errorRate: 0.3 }, 'Errors'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [40] });
    await emptied(slot);
    expect(world.weightsOf(slot, since)).toEqual([40, 0]);
    const failed = (await world.requests()).filter(({ status }) => status === 0 || status >= 500);
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.filter((request) => request.revision !== entry.revision || request.status !== 500)).toEqual([]);
    world.assertNothingLost();
    world.recorder.assertInvariants(REPLICAS, DRAIN_MS);
  });
});
