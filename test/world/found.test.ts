import { expect, it, vi } from 'vitest';
import { play, type Schedule } from './schedules.js';
import type { World } from './world.js';

// Hours of the world are seconds here, and more of them on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

/** Schedules that a soak found once, as small as they could be made. */
const CALM: Schedule['setting'] = { seed: 1, election: false, ownRoutes: false, tool: 'sluice', webhooks: false, replicas: 1, proxyLag: 0, watchLag: 0, faults: [], subsets: false };

/** What the receiver got, in its order. */
const told = ({ auditor }: World): string[] => auditor.runs.messages.map(({ event }) => event);

it('a share that was decided for fewer pods is not written once more are asked for', async () => {
  const world = await play({
    setting: { ...CALM, seed: 60_857_089 },
    happenings: [
      { afterMs: 3_000, what: { type: 'act', verb: 'abort' } },
      { afterMs: 9_029, what: { type: 'metrics', state: 'up' } },
      { afterMs: 10_500, what: { type: 'config', stars: '4' } },
      { afterMs: 12_527, what: { type: 'apiDown', forMs: 11_462 } },
      { afterMs: 4_398, what: { type: 'scale', replicas: 0 } },
      { afterMs: 2_064, what: { type: 'scale', replicas: 3 } },
    ],
  });
  expect(told(world)).toEqual(['Initialized', 'Started', 'Succeeded']);
});

it('caches that catch up one by one after an outage make no version that never was', async () => {
  const world = await play({
    setting: { ...CALM, seed: 1_538_194_438, ownRoutes: true, faults: [[19, 'conflict']] },
    happenings: [
      { afterMs: 18_130, what: { type: 'config', stars: '4' } },
      { afterMs: 1_342, what: { type: 'commit', image: 'g7' } },
      { afterMs: 6_848, what: { type: 'apiDown', forMs: 18_478 } },
      { afterMs: 9_917, what: { type: 'commit', image: 'a1' } },
      { afterMs: 5_447, what: { type: 'outsider', blue: 87 } },
    ],
  });
  expect(told(world)).toEqual(['Initialized', 'Started', 'Succeeded']);
});

it('a deleted Canary gets the pods that somebody asks for while its traffic returns', async () => {
  const world = await play({
    setting: { ...CALM, seed: 90_193_618, control: true },
    happenings: [
      { afterMs: 4_249, what: { type: 'routesFail', forMs: 500 } },
      { afterMs: 0, what: { type: 'delete' } },
      { afterMs: 0, what: { type: 'scale', replicas: 2 } },
    ],
  });
  expect(world.canary).toBeUndefined();
});

it('the last message of a deleted Canary is told when its receiver is back', async () => {
  const world = await play({
    setting: { ...CALM, seed: 937_397_128, control: true },
    happenings: [
      { afterMs: 0, what: { type: 'receiverDown', forMs: 34_235 } },
      { afterMs: 3_000, what: { type: 'delete' } },
      { afterMs: 27_955, what: { type: 'commit', image: 'a1' } },
    ],
  });
  expect(told(world)).toEqual(['Initialized', 'Started', 'Cancelled']);
});

it('a slot that somebody led callers to while the controller was stopped keeps its pods', async () => {
  const world = await play({
    setting: { ...CALM, seed: 1_344_543_808, proxyLag: 4_000, watchLag: 1_500, control: true },
    happenings: [
      { afterMs: 44_861, what: { type: 'stop', forMs: 27_081 } },
      { afterMs: 20_685, what: { type: 'outsider', blue: 60 } },
    ],
  });
  expect(told(world)).toEqual(['Initialized', 'Started', 'Succeeded']);
});

it('a Service of the control arm that somebody deleted is made again while the routes cannot be written', async () => {
  const world = await play({
    setting: { ...CALM, seed: 5, replicas: 2, control: true },
    happenings: [
      { afterMs: 6_000, what: { type: 'routesFail', forMs: 85_000 } },
      { afterMs: 14_000, what: { type: 'evict', of: 'blue', pods: 1 } },
      { afterMs: 80_000, what: { type: 'metrics', state: 'up' } },
    ],
  });
  expect(told(world)).toContain('Started');
});

it('an abort whose status could not be stored is asked for still', async () => {
  const world = await play({
    setting: { ...CALM, faults: [[27, 'error']] },
    happenings: [
      { afterMs: 46_000, what: { type: 'commit', image: 'b2' } },
      { afterMs: 20_000, what: { type: 'act', verb: 'abort' } },
      { afterMs: 20_000, what: { type: 'metrics', state: 'up' } },
    ],
  });
  expect(told(world)).toEqual(['Initialized', 'Started', 'Failed']);
});

it('an adoption that cannot go on puts right what somebody else does to the routes', async () => {
  const world = await play({
    setting: { ...CALM, seed: 1_292_823_643, proxyLag: 4_000, watchLag: 1_500 },
    happenings: [
      { afterMs: 31_758, what: { type: 'configMissing', missing: true } },
      { afterMs: 18_875, what: { type: 'outsider', blue: 71 } },
      { afterMs: 29_997, what: { type: 'outsider', blue: 96 } },
    ],
  });
  expect(told(world)).toEqual(['Initialized']);
});

it('callers of a stable version that is down get a canary with fewer pods than they need', async () => {
  const world = await play({
    setting: { ...CALM, seed: 2_147_483_620, replicas: 3, control: true },
    happenings: [
      { afterMs: 6_242, what: { type: 'outage', of: 'blue', pods: 3, forMs: 87_366 } },
      { afterMs: 36_727, what: { type: 'skipAnalysis', on: true } },
    ],
  });
  expect(told(world)).toContain('Started');
});

it('a release is not late for the time in which no controller looked', async () => {
  const world = await play({
    setting: { ...CALM, seed: 2_147_483_638, election: true, ownRoutes: true, webhooks: true, replicas: 3, proxyLag: 1_000, watchLag: 300, control: true, faults: [[22, 'lostAnswer'], [26, 'killBefore'], [28, 'pauseBefore']] },
    happenings: [{ afterMs: 29_998, what: { type: 'kill' } }],
  });
  expect(told(world)).not.toContain('Failed');
});
