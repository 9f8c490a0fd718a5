import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FIRST_VERSION } from '../../src/sandbox/bookinfo.js';
import { Resources } from '../../src/kube/index.js';
import { REPLICAS, World } from './harness.js';

interface VirtualServiceSpec {
  http: { route: { destination: { host: string }; weight: number }[] }[];
}

const STEPS = [20, 50, 80];
/** How long Prometheus is away: longer than a step. */
const OUTAGE_MS = 8_000;

describe('what happens in the middle of a release', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({ rps: 150, analysis: { interval: '4s', stepWeights: STEPS } });
  });
  afterAll(async () => {
    await world?.stop();
  });

  it('Git goes back to the stable revision: the run is Cancelled, without an alarm', async () => {
    const [since, slot, stable] = [Date.now(), world.freeSlot, world.status.stable];
    const commit = await world.commit({}, 'Soon reverted');
    await world.weight(slot, 50, since);
    await world.sandbox.repository.release(FIRST_VERSION, 'Revert "Soon reverted"');
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Cancelled', reason: 'BackToStable', weights: [20, 50] });
    expect(world.weightsOf(slot, since)).toEqual([20, 50, 0]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(1);
    expect(world.told(entry.revision).map(({ event, severity }) => [event, severity])).toEqual([
      ['Started', 'info'],
      ['Cancelled', 'info'],
    ]);
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
    await world.until('the messages', () => world.told(entry.revision).length === 2);
    expect(world.told(old.revision).map(({ event, severity }) => [event, severity])).toEqual([
      ['Started', 'info'],
      ['Superseded', 'info'],
    ]);
    expect(world.told(entry.revision).map(({ event }) => event)).toEqual(['Started', 'Succeeded']);
    // The superseded one may come again; it is not a failure.
    expect(world.status.quarantined ?? []).toEqual([]);
  });

  it('Prometheus goes away: the weight is held, and the release goes on when it is back', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.commit({}, 'During an outage');
    await world.weight(slot, 20, since);
    await world.sandbox.prometheus?.stop();
    const down = Date.now();
    await world.until('the hold', () => world.progressing?.reason === 'MetricsUnavailable');
    await world.until('the outage to last', () => Date.now() - down > OUTAGE_MS);
    expect(world.progressing).toMatchObject({ reason: 'MetricsUnavailable', message: expect.stringMatching(/^request-(success-rate|duration): .+/) as string });
    expect(world.status).toMatchObject({ phase: 'Progressing', canaryWeight: 20, failedChecks: 0 });
    expect(world.weightsOf(slot, since)).toEqual([20]);
    await world.sandbox.prometheus?.start();
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Succeeded', reason: 'Promoted', weights: [...STEPS, 100] });
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(STEPS.length);
    expect(world.told(entry.revision).map(({ event }) => event)).toEqual(['Started', 'Succeeded']);
  });

  it('somebody else resets the weights: they come back at once', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.commit({}, 'With an intruder');
    const step = await world.weight(slot, 50, since);
    const http = structuredClone((world.recorder.virtualServices.at(-1)?.object['spec'] as VirtualServiceSpec).http);
    for (const { route } of http) for (const share of route) share.weight = share.destination.host === `reviews-${slot}` ? 10 : 90;
    await world.plane.client.patch(Resources.VirtualService, 'default', 'reviews', { spec: { http } }, 'merge', { fieldManager: 'intruder' });
    const reset = await world.until('the reset', () => world.recorder.splits(since).find((split) => split[slot] === 10));
    const back = await world.until('the weights to come back', () => world.recorder.splits(since).find((split) => split.order > reset.order));
    expect(back[slot]).toBe(50);
    expect(back.at - reset.at).toBeLessThan(2_000);
    expect(reset.order).toBeGreaterThan(step.order);
    const entry = await world.ended(commit);
    expect(entry.result).toBe('Succeeded');
    expect(world.weightsOf(slot, since)).toEqual([20, 50, 10, 50, 80, 100]);
  });

  it('lost no request, wrote no impossible route, and split as the weights said in all of it', () => {
    world.assertNothingLost();
    world.recorder.assertInvariants(REPLICAS);
    world.assertPooledSplit();
  });
});
