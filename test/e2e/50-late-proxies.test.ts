import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReviewsVersion } from '../../src/sandbox/bookinfo.js';
import { REPLICAS, World } from './harness.js';
import { adoptUnderLoad, assertLeft, leaveUnderLoad, pristine, type Pristine } from './leaving.js';

const STEPS = [20, 60];
const LATE_MS = 2_000;

describe('200 requests a second, and proxies that learn 2 s late', () => {
  let world: World;
  let before: Pristine;
  beforeAll(async () => {
    world = await World.start({
      rps: 200,
      withoutCanary: true,
      pushDelayMs: LATE_MS,
      // Drains must outlast what proxies need to learn.
      canary: { revisions: { drainFor: '4s' } },
      analysis: { interval: '6s', stepWeights: STEPS },
    });
    before = await pristine(world);
  });
  afterAll(async () => {
    await world?.stop();
  });
  let good: ReviewsVersion;
  const sent = (): number => world.sandbox.tally.totals.total;

  it('adoption loses no request', async () => {
    const atFirst = sent();
    await adoptUnderLoad(world);
    expect(sent() - atFirst).toBeGreaterThan(200);
  });

  it('promotion loses no request', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const entry = await world.ended(await world.commit({}, 'A good version'));
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [...STEPS, 100] });
    good = world.sandbox.repository.version;
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(STEPS.length);
    expect(world.sandbox.tally.totals.failed, 'failed requests').toBe(0);
  });

  it("rollback loses no request but by the failing version's own answers", async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const entry = await world.ended(await world.commit({ errorRate: 0.3 }, 'Errors'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [20] });
    expect(world.weightsOf(slot, since)).toEqual([20, 0]);
    await world.until(
      'the slot to be emptied',
      () => world.status.slots?.[slot] !== undefined && Date.now() - Date.parse(entry.endedAt) > 8_000,
    );
    const failed = (await world.requests()).filter(({ status }) => status === 0 || status >= 500);
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.filter((request) => request.revision !== entry.revision || request.status !== 500)).toEqual([]);
    world.assertNothingLost();
  });

  it('deletion loses no request', async () => {
    // What Git holds is what is given back: first away from the version that failed.
    await world.synced(await world.sandbox.repository.release(good, 'Revert "Errors"'));
    const failed = world.sandbox.tally.totals.failed;
    await leaveUnderLoad(world);
    expect(world.sandbox.tally.totals.failed - failed, 'failed requests during the deletion').toBe(0);
    world.recorder.assertInvariants(REPLICAS, 4_000);
    await assertLeft(world, before);
    world.assertNothingLost();
    world.assertPooledSplit();
  });
});
