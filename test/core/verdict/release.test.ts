import { expect } from 'vitest';
import type { Windows } from '../../../src/core/evidence.js';
import type { WindowsNeed } from '../../../src/core/observation.js';
import { Situation, spec, T0 } from '../builders.js';
import { sentences } from '../sentences.js';

const GRID = 5_000;
type Sides = { canary: [total: number, bad: number]; stable: [total: number, bad: number] };

/** Every window has these counts; the stable version alone before the release. */
const always =
  (sides: Sides) =>
  ({ of, from, to }: WindowsNeed): Windows => {
    const windows = [];
    for (let end = Math.ceil(from / GRID) * GRID + GRID; end <= to; end += GRID)
      windows.push({ to: end, canary: of === 'run' ? side(sides.canary) : side([0, 0]), stable: of === 'run' ? side(sides.stable) : side([500, (end / GRID) % 2]) });
    return windows.length > 0 ? { kind: 'Windows', gridMs: GRID, bounds: [0], windows, query: 'q' } : { kind: 'NoData', query: 'q', message: 'no window is complete yet' };
  };
const side = ([total, bad]: [number, number]) => ({ total, bad: [bad] });
const healthy: Sides = { canary: [100, 0], stable: [400, 0] };
const failing: Sides = { canary: [100, 5], stable: [400, 0] };

const compared = (more: object = {}, analysis: object = {}) =>
  new Situation(spec({ progressDeadlineSeconds: 600, analysis: { interval: '60s', stepWeights: [20, 50], verdict: { method: 'sequential', alpha: 0.01, maxRegression: { ratio: 1.5, difference: 0.1 }, minSamples: 50, beta: 0.05, ...more }, evaluate: '5s', ...analysis } }));

sentences('a version that is compared with the one that it replaces', {
  'is taken back within seconds when it fails more, long before its check is due': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always(failing);
    canary.pass(20);
    expect(canary.ended).toBe('Failed Regression');
    expect(canary.status.history?.[0]?.message).toMatch(/^failed requests: canary 5 % of \d+, stable 0 % of [\d,]+, a difference of [\d.]+ to [\d.]+ points; chance would show this of a version that is not worse in 1 in [\d,]+ runs$/);
    expect(canary.status.quarantined?.[0]?.revision).toBe('b2');
  },
  'goes on by its plan while it is as good, and is promoted': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always(healthy);
    canary.pass(59);
    expect(canary.status.step?.weight).toBe(20);
    canary.pass(70);
    expect(canary.status.step?.weight ?? 100).toBeGreaterThan(20);
    canary.pass(120);
    expect(canary.ended).toBe('Succeeded Promoted');
  },
  'is not taken back when both fail': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always({ canary: [100, 30], stable: [400, 120] });
    canary.pass(50);
    expect(canary.status.run?.ending).toBeUndefined();
  },
  'waits for requests where there are few, and says how many are missing': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always({ canary: [1, 0], stable: [4, 0] });
    canary.pass(61);
    expect(canary.status.step?.weight).toBe(20);
    expect(canary.progress).toEqual({ reason: 'NotEnoughData', message: expect.stringMatching(/^\d+ more requests to the canary are needed before it can be compared with the stable version \(analysis.verdict.minSamples 50\)$/) as unknown });
    expect(canary.status.verdict?.missing).toBeGreaterThan(30);
    canary.pass(260);
    expect(canary.status.step?.weight ?? 100).toBeGreaterThan(20);
  },
  'is still judged by its thresholds': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always(healthy);
    canary.answers({ kind: 'Value', value: 90, samples: 500, query: 'q', from: 0, to: 1 });
    canary.pass(130);
    expect(canary.ended).toBe('Failed ChecksFailed');
  },
  'is taken back in the middle of a hold, by a person or by suspend': (canary) => {
    Object.assign(canary, compared());
    canary.running(20).act('hold').decide();
    canary.windows = always(failing);
    canary.pass(20);
    expect(canary.ended).toBe('Failed Regression');
  },
  'keeps its step while it cannot be compared, and says why': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = () => ({ kind: 'Error', query: 'q', message: 'connection refused', permanent: false });
    canary.pass(120);
    expect(canary.status.step?.weight).toBe(20);
    expect(canary.progress).toEqual({ reason: 'MetricsUnavailable', message: 'the versions could not be compared: request-success-rate: connection refused' });
  },
  'leaves steps early once it is shown to be as good, where that is asked for': (canary) => {
    Object.assign(canary, compared({ fast: true }));
    canary.running(20);
    canary.windows = always({ canary: [500, 0], stable: [2000, 1] });
    canary.pass(30);
    expect(canary.status.step?.weight ?? 100).toBeGreaterThan(20);
  },
  'never leaves a step early when it is not asked for': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always({ canary: [500, 0], stable: [2000, 1] });
    canary.pass(50);
    expect(canary.status.step?.weight).toBe(20);
  },
  'shows health anew in each step': (canary) => {
    Object.assign(canary, compared({ fast: true }, { stepWeights: [20, 40, 60] }));
    canary.running(20);
    canary.windows = always({ canary: [300, 0], stable: [1200, 1] });
    canary.pass(16);
    const { step, verdict } = canary.status;
    expect(step?.weight).toBe(40);
    expect(verdict?.streams[0]?.health).toBeLessThan(3);
  },
  'is judged the same when the controller forgets what it had not stored yet': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always({ canary: [100, 1], stable: [400, 1] });
    canary.pass(10);
    const stored = structuredClone(canary.status);
    canary.pass(25).later(5).decide();
    const inMemory = canary.status.verdict?.streams[0];
    canary.status = stored;
    canary.decide();
    const read = canary.status.verdict?.streams[0];
    expect(read?.canary).toEqual(inMemory?.canary);
    expect(read?.until).toBe(inMemory?.until);
    for (const [index, value] of (read?.ratio ?? []).entries()) expect(value).toBeCloseTo(inMemory?.ratio[index] ?? Number.NaN, 2);
  },
  'does not count a window twice, however often it is looked at': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always({ canary: [100, 0], stable: [400, 0] });
    canary.pass(22);
    for (let look = 0; look < 5; look += 1) canary.decide();
    expect(canary.status.verdict?.streams[0]?.canary.total).toBe(400);
  },
  'counts from its own weight on, not what came before the step was in force': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always(healthy);
    canary.pass(12);
    expect(canary.status.verdict?.streams[0]?.canary.total).toBe(200);
    expect(canary.status.verdict?.streams[0]?.dispersion.windows).toBeGreaterThan(100);
  },
  'starts without evidence when it is another revision': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always(healthy);
    canary.pass(12);
    canary.wants('c3');
    canary.windows = () => ({ kind: 'NoData', query: 'q', message: 'no window is complete yet' });
    canary.pass(30);
    expect(canary.status.canary?.revision).toBe('c3');
    expect(canary.status.verdict?.streams ?? []).toEqual([]);
  },
  'is compared by latency as well: by the bucket of its bound, after the warm-up': (canary) => {
    Object.assign(canary, compared({}, { warmup: '30s', metrics: [{ name: 'request-duration', thresholdRange: { max: 400 } }] }));
    canary.running(20);
    canary.windows = (need) => {
      const base = always({ canary: [100, 40], stable: [400, 2] })(need);
      return base.kind === 'Windows' ? { ...base, bounds: [100, 500, 1000], windows: base.windows.map(({ to, canary: one, stable }) => ({ to, canary: { ...one, bad: [90, one.bad[0] ?? 0, 0] }, stable: { ...stable, bad: [380, stable.bad[0] ?? 0, 0] } })) } : base;
    };
    canary.metrics = [{ metric: 'request-duration', measurement: { kind: 'Value', value: 20, samples: 500, query: 'q', from: 0, to: 1 } }];
    canary.pass(28);
    expect(canary.status.run?.ending).toBeUndefined();
    expect(canary.status.verdict?.streams.map(({ bound }) => bound)).toEqual([500]);
    canary.pass(25);
    expect(canary.ended).toBe('Failed Regression');
    expect(canary.status.history?.[0]?.message).toContain('slow requests (over 500 ms)');
  },
  'is compared at the bounds of the stable version’s own latencies where none is given': (canary) => {
    Object.assign(canary, compared({}, { metrics: [{ name: 'request-duration' }] }));
    canary.running(20);
    canary.windows = (need) => {
      const base = always(healthy)(need);
      // Stable: half over 50 ms, a tenth over 100 ms, one in a hundred over 500 ms.
      return base.kind === 'Windows' ? { ...base, bounds: [10, 50, 100, 500, 1000], windows: base.windows.map(({ to, canary: one, stable }) => ({ to, canary: { ...one, bad: [one.total, 50, 10, 1, 0] }, stable: { ...stable, bad: [stable.total, stable.total * 0.5, stable.total * 0.1, stable.total * 0.01, 0] } })) } : base;
    };
    canary.pass(12);
    expect(canary.status.verdict?.streams.map(({ bound }) => bound)).toEqual([50, 100, 500]);
  },
  'asks for the ten minutes before its first weight once, and for nothing twice': (canary) => {
    Object.assign(canary, compared());
    canary.running(20);
    canary.windows = always(healthy);
    canary.later(12).decide();
    expect(canary.asked.windows.map(({ of, from }) => [of, Math.round((canary.now - from) / 1000)])).toEqual([
      ['baseline', 612],
      ['run', 12],
    ]);
    canary.later(10).decide();
    expect(canary.asked.windows.map(({ of, from }) => [of, (from - T0) / 1000])).toEqual([['run', 10]]);
  },
  'looks at the copies’ own proxies where it is judged on copies': (canary) => {
    Object.assign(canary, compared({}, { mirror: true }));
    canary.wants('b2').pass(8);
    expect(canary.status.step?.weight).toBe(0);
    canary.windows = always(healthy);
    canary.later(10).decide();
    expect(canary.asked.windows.every(({ reporter }) => reporter === 'destination')).toBe(true);
  },
});

sentences('what goes back to Git after a regression', {
  'is a revert when the evidence is beyond 1 in 1,000': (canary) => {
    Object.assign(canary, compared());
    canary.with({ ...canary.spec, onRollback: { git: 'revert' } } as Parameters<typeof spec>[0]);
    canary.running(20);
    canary.wants('b2', { provenance: { commit: 'b2commit', source: 'default/app' } });
    Object.assign(canary.status.canary ?? {}, { commit: 'b2commit', source: 'default/app' });
    canary.windows = always({ canary: [100, 60], stable: [400, 0] });
    canary.pass(30);
    expect(canary.status.writeBacks?.[0]).toMatchObject({ kind: 'revert', state: 'Pending' });
  },
  'waits until the requests that were on their way are counted, no longer, and traffic does not wait for it': (canary) => {
    Object.assign(canary, compared());
    canary.with({ ...canary.spec, onRollback: { git: 'revert' } } as Parameters<typeof spec>[0]);
    canary.running(20);
    canary.windows = always({ canary: [100, 60], stable: [400, 0] });
    canary.pass(11);
    expect(canary.status.run?.ending?.reason).toBe('Regression');
    expect(canary.observed.routes.weights).toEqual({ blue: 100, green: 0 });
    expect(canary.progress.message).toContain('its last requests are being counted, for the revert in Git');
    canary.windows = () => ({ kind: 'Error', query: 'q', message: 'connection refused', permanent: false });
    canary.pass(16);
    expect(canary.ended).toBe('Failed Regression');
  },
  'is nothing, with the reason, when it is less than that': (canary) => {
    Object.assign(canary, compared({ alpha: 0.2 }));
    canary.with({ ...canary.spec, onRollback: { git: 'revert' } } as Parameters<typeof spec>[0]);
    canary.running(20);
    canary.wants('b2', { provenance: { commit: 'b2commit', source: 'default/app' } });
    Object.assign(canary.status.canary ?? {}, { commit: 'b2commit', source: 'default/app' });
    canary.windows = (need) => always(canary.status.run?.ending ? { canary: [0, 0], stable: [500, 0] } : { canary: [100, 3], stable: [400, 0] })(need);
    canary.pass(30);
    expect(canary.ended).toBe('Failed Regression');
    expect(canary.status.writeBacks?.[0]).toMatchObject({ state: 'Skipped', message: expect.stringContaining('enough to take the version back, not to change Git (1 in 1000)') as unknown });
  },
});
