import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SlotName } from '../../src/api/index.js';
import { writtenAt } from './audit.js';
import { World } from './harness.js';
import { seededRandom } from '../../src/sandbox/mesh/random.js';

const STEPS = [30, 60];
const INTERVAL_MS = 3_000;
/** A release without a kill takes about this long: two steps, pods, drains. */
const RELEASE_MS = 12_000;
const MOMENTS = 10;
/** Set SLUICE_E2E_SEED to repeat a run. */
const SEED = Number(process.env['SLUICE_E2E_SEED'] ?? Date.now() % 1_000_000);

/** One moment in each tenth of a release, so that all of its parts are met. */
function moments(): number[] {
  const random = seededRandom(SEED);
  return Array.from({ length: MOMENTS }, (_, index) => Math.round(((index + random()) / MOMENTS) * RELEASE_MS));
}

describe(`the controller is killed with SIGKILL and started again (seed ${SEED})`, () => {
  let world: World;
  beforeAll(async () => {
    console.log(`SLUICE_E2E_SEED=${SEED} repeats these moments: ${moments().join(', ')} ms after the commit`);
    world = await World.start({ rps: 100, analysis: { interval: `${INTERVAL_MS}ms`, stepWeights: STEPS } });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  it.each(moments())(
    '%d ms after the commit: the same steps, none twice, none skipped, none early, one ending',
    async (moment) => {
      const [since, slot, lives] = [Date.now(), world.freeSlot, world.controller.lives];
      const commit = await world.commit({}, `Killed after ${moment} ms`);
      const committed = Date.now();
      await world.until('the moment', () => Date.now() - committed >= moment);
      await world.controller.kill();
      await world.controller.start();
      const entry = await world.ended(commit);
      expect(world.controller.lives).toBe(lives + 1);
      expect(entry).toMatchObject({ result: 'Succeeded', reason: 'Promoted', weights: [...STEPS, 100] });
      expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
      expect(world.status.history?.filter((one) => one.commit === commit)).toHaveLength(1);
      await assertNotEarly(world, slot, since);
      await world.assertTold(entry.revision, ['Started', 'Succeeded']);
      await world.assertSplit(slot, since);
    },
  );

  it('lost no request, wrote no impossible route, and split as the weights said in all of it', async () => {
    await world.assertTruths();
    world.assertPooledSplit();
    // Two steps of each release, less those whose time was too short to judge.
    expect(world.windows.filter(({ sent, weight }) => sent >= 30 && STEPS.includes(weight)).length).toBeGreaterThanOrEqual(
      MOMENTS,
    );
  });
});

/** Each weight stays in force for its interval at least, and the next one is not written before its due time in the status. */
async function assertNotEarly(world: World, slot: SlotName, since: number): Promise<void> {
  const times = await writtenAt(world.plane.auditLogPath, 'virtualservices');
  const changes = world.recorder.changes(since);
  for (const [index, change] of changes.entries()) {
    const before = changes[index - 1];
    if (!before) continue;
    const [from, to] = [times.get(before.order) ?? NaN, times.get(change.order) ?? NaN];
    // The first time is that of the answer, which the interval began a little before.
    expect(to - from, `ms between weight ${before[slot]} and weight ${change[slot]}`).toBeGreaterThanOrEqual(INTERVAL_MS - 300);
    const due = world.recorder.canaries.findLast(
      ({ order, object }) => order < change.order && object.status?.nextStepTime !== undefined,
    )?.object.status;
    if (due?.nextStepTime !== undefined && due.step?.weight === before[slot])
      expect(to, `weight ${change[slot]} was due at ${due.nextStepTime}`).toBeGreaterThanOrEqual(Date.parse(due.nextStepTime));
  }
}
