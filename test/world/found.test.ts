import { expect, it, vi } from 'vitest';
import { play, type Schedule } from './schedules.js';

// Hours of the world are seconds here, and more of them on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

/** Schedules that a soak found once, as small as they could be made. */
const CALM: Schedule['setting'] = { seed: 1, election: false, ownRoutes: false, tool: 'sluice', webhooks: false, replicas: 1, proxyLag: 0, watchLag: 0, faults: [], subsets: false };

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
  expect(world.auditor.runs.messages.map(({ event }) => event)).toEqual(['Initialized', 'Started', 'Succeeded']);
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
  expect(world.auditor.runs.messages.map(({ event }) => event)).toEqual(['Initialized', 'Started', 'Succeeded']);
});
