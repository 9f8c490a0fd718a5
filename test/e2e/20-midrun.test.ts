import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FIRST_VERSION } from '../../src/sandbox/bookinfo.js';
import { Resources } from '../../src/kube/index.js';
import { World } from './harness.js';

interface VirtualServiceSpec {
  http: { route: { destination: { host: string }; weight: number }[] }[];
}

function newest(world: World): VirtualServiceSpec {
  const version = world.recorder.virtualServices.at(-1);
  if (!version) throw new Error('no VirtualService was recorded');
  return version.object['spec'] as VirtualServiceSpec;
}

/** What `Progressing` said in every status that was stored since then, and at the end. */
function reasonsSince(world: World, since: number): string[] {
  const stored = world.recorder.canaries.filter(({ at }) => at >= since).flatMap(({ object }) => object.status?.conditions ?? []);
  const reasons = stored.filter(({ type }) => type === 'Progressing').map(({ reason }) => reason);
  return [...reasons, world.progressing?.reason ?? ''];
}

const STEPS = [20, 50, 80];
/** How long Prometheus is away: longer than a step. */
const OUTAGE_MS = 8_000;

describe('what happens in the middle of a release', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({ rps: 120, analysis: { interval: '4s', stepWeights: STEPS } });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  it('Git goes back to the stable revision: the run is Cancelled, without an alarm', async () => {
    const [since, slot, stable] = [Date.now(), world.freeSlot, world.status.stable];
    const commit = await world.commit({}, 'Soon reverted');
    await world.weight(slot, 50, since);
    await world.sandbox.repository.release(FIRST_VERSION, 'Revert "Soon reverted"');
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Cancelled', reason: 'BackToStable', weights: [20, 50] });
    expect(world.weightsOf(slot, since)).toEqual([20, 50, 0]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(1);
    await world.assertTold(entry.revision, ['Started', 'Cancelled']);
    expect(world.status.quarantined ?? []).toEqual([]);
    expect(world.status.stable).toMatchObject({ revision: stable?.revision, slot: stable?.slot });
  });

  it('a newer commit: weight 0 first, then the newer revision runs from its first step', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const first = await world.commit({}, 'Soon superseded');
    await world.weight(slot, 50, since);
    const second = await world.commit({}, 'The newer one');
    const old = await world.ended(first);
    expect(old).toMatchObject({ result: 'Superseded', reason: 'NewRevision', weights: [20, 50] });
    const entry = await world.ended(second);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [...STEPS, 100] });
    expect(world.weightsOf(slot, since)).toEqual([20, 50, 0, ...STEPS, 100]);
    expect(world.status.stable).toMatchObject({ revision: entry.revision, slot, commit: second });
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(1 + STEPS.length);
    await world.assertTold(old.revision, ['Started', 'Superseded']);
    await world.assertTold(entry.revision, ['Started', 'Succeeded']);
    // The superseded one may come again; it is not a failure.
    expect(world.status.quarantined ?? []).toEqual([]);
  });

  it('Prometheus goes away: the weight is held, and the release goes on when it is back', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.commit({}, 'During an outage');
    await world.weight(slot, 20, since);
    await world.sandbox.prometheus?.stop();
    const down = Date.now();
    try {
      await world.until('the hold', () => world.progressing?.reason === 'MetricsUnavailable');
      const held = Date.now();
      await world.until('the outage to last', () => Date.now() - down > OUTAGE_MS);
      expect(new Set(reasonsSince(world, held)), 'reasons while it is held').toEqual(new Set(['MetricsUnavailable']));
      expect(world.progressing?.message).toMatch(/^request-(success-rate|duration): the metrics server .+/);
      expect(world.status).toMatchObject({ phase: 'Progressing', canaryWeight: 20, failedChecks: 0 });
      expect(world.weightsOf(slot, since)).toEqual([20]);
    } finally {
      await world.sandbox.prometheus?.start();
    }
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Succeeded', reason: 'Promoted', weights: [...STEPS, 100] });
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(STEPS.length);
    await world.assertTold(entry.revision, ['Started', 'Succeeded']);
  });

  it('somebody else resets the weights: they come back at once', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.commit({}, 'With an intruder');
    const step = await world.weight(slot, 50, since);
    const http = structuredClone(newest(world).http);
    for (const { route } of http)
      for (const share of route) share.weight = share.destination.host === `reviews-${slot}` ? 10 : 90;
    await world.plane.client.patch(Resources.VirtualService, 'default', 'reviews', { spec: { http } }, 'merge', {
      fieldManager: 'intruder',
    });
    const reset = await world.until('the reset', () => world.recorder.splits(since).find((split) => split[slot] === 10));
    const back = await world.until('the weights to come back', () =>
      world.recorder.splits(since).find((split) => split.order > reset.order),
    );
    expect(back[slot]).toBe(50);
    expect(back.at - reset.at).toBeLessThan(2_000);
    expect(reset.order).toBeGreaterThan(step.order);
    const entry = await world.ended(commit);
    expect(entry.result).toBe('Succeeded');
    expect(world.weightsOf(slot, since)).toEqual([20, 50, 10, 50, 80, 100]);
  });

  it('lost no request, wrote no impossible route, and split as the weights said in all of it', async () => {
    await world.assertTruths();
    world.assertPooledSplit();
  });
});
