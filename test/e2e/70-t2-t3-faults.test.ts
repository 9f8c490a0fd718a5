import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Resources } from '../../src/kube/index.js';
import { refuseRoutes } from './admission.js';
import { REPLICAS, World } from './harness.js';

const INTERVAL_MS = 4_000;
const DEADLINE_S = 12;

describe('T2: the canary crash-loops while every write of a route is refused', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      rps: 80,
      canary: { progressDeadlineSeconds: DEADLINE_S },
      analysis: { interval: `${INTERVAL_MS}ms`, stepWeights: [20, 60] },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());
  /** When the ending of the run in progress was first stored, unix milliseconds. */
  const decided = (since: number) =>
    world.until('the decision', () => {
      const found = world.recorder.canaries.find(({ at, object }) => at >= since && object.status?.run?.ending !== undefined);
      return found && { at: found.at, ending: found.object.status?.run?.ending };
    });

  it('before the first weight: taken back at the deadline, and nothing was routed to it', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const reopen = await refuseRoutes(world);
    let entry;
    try {
      const commit = await world.commit({ crashAfterMs: 5_000 }, 'Crashes before its first weight');
      const run = await world.until('the run', () =>
        world.canary?.status?.canary?.commit === commit ? world.canary.status.run : undefined,
      );
      entry = await world.ended(commit);
      const took = Date.parse(entry.endedAt) - Date.parse(run.startedAt);
      expect(took, 'ms until it was taken back').toBeLessThanOrEqual(DEADLINE_S * 1000 + 2 * INTERVAL_MS);
      expect(entry.result).toBe('Failed');
    } finally {
      await reopen();
    }
    await world.idle();
    expect(world.recorder.changes(since).filter((split) => split[slot] > 0)).toEqual([]);
    await world.assertTold(entry.revision, ['Started', 'Failed']);
    world.assertNothingLost();
  });

  it('with traffic: the abort is decided within the deadline and one interval, and carried out once routes can be written, without a restart', async () => {
    const [since, slot, lives, stable] = [Date.now(), world.freeSlot, world.controller.lives, world.status.stable];
    const commit = await world.commit({ crashAfterMs: 6_000 }, 'Crashes with traffic');
    await world.weight(slot, 20, since);
    const reopen = await refuseRoutes(world);
    const refusedFrom = Date.now();
    const { at, ending } = await decided(since);
    expect(ending).toMatchObject({ result: 'Failed' });
    expect(at - refusedFrom, 'ms until the abort was decided').toBeLessThanOrEqual(DEADLINE_S * 1000 + INTERVAL_MS);
    await world.until('a refused write', () => world.canary?.status?.run?.ending !== undefined && Date.now() - at > 3_000);
    expect(world.weightsOf(slot, since)).toEqual([20]);
    await reopen();
    const reopened = Date.now();
    const entry = await world.ended(commit);
    expect(Date.parse(entry.endedAt) - reopened, 'ms from the end of the refusals to the end of the run').toBeLessThan(5_000);
    expect(entry).toMatchObject({ result: 'Failed', weights: [20] });
    expect(world.weightsOf(slot, since)).toEqual([20, 0]);
    expect(world.controller.lives).toBe(lives);
    expect(world.status.stable).toMatchObject({ revision: stable?.revision, slot: stable?.slot });
    await world.assertTold(entry.revision, ['Started', 'Failed']);
  });
});

describe('T3: one stable pod is unready when a third version is committed', () => {
  /** Of the stable version's pods: a replaced one is unready for so long. */
  const STARTUP_MS = 15_000;
  let world: World;
  beforeAll(async () => {
    world = await World.start({ rps: 100, analysis: { interval: '5s', stepWeights: [30, 60] } });
  });
  afterAll(async () => {
    await world?.stop();
  });

  it('weights wait for pods, and the pods of the replaced version outlive its route', async () => {
    const slow = await world.ended(await world.commit({ startupMs: STARTUP_MS }, 'A: slow to start'));
    expect(slow.result).toBe('Succeeded');
    const [since, slot, stable] = [Date.now(), world.freeSlot, world.status.stable];
    const second = await world.commit({}, 'B: soon replaced');
    await world.weight(slot, 30, since);
    const { items } = await world.plane.client.list(Resources.Pod, {
      namespace: 'default',
      labelSelector: `sluice.dev/slot=${stable?.slot}`,
    });
    await world.plane.client.delete(Resources.Pod, 'default', items[0]?.metadata.name ?? '');
    await world.until('an unready stable pod', () => world.recorder.ready(stable?.slot ?? 'blue', Infinity) === REPLICAS - 1);
    const third = await world.commit({}, 'C: the one that stays');
    const replaced = await world.ended(second);
    expect(replaced).toMatchObject({ result: 'Superseded', weights: [30] });
    const entry = await world.ended(third);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [30, 60, 100] });
    // 0 came only when both stable pods could take it: the invariants below count the ready pods at each write.
    expect(world.weightsOf(slot, since)).toEqual([30, 0, 30, 60, 100]);
    const [given, taken] = world.recorder.changes(since);
    expect((taken?.at ?? 0) - (given?.at ?? 0), 'ms that B kept its weight while a stable pod was missing').toBeGreaterThan(
      STARTUP_MS / 2,
    );
    world.recorder.assertInvariants(REPLICAS);
    await world.assertTold(replaced.revision, ['Started', 'Superseded']);
    await world.assertTold(entry.revision, ['Started', 'Succeeded']);
    world.assertNothingLost();
  });
});
