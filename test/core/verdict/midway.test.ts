import { expect } from 'vitest';
import { bound } from '../../../src/core/bounds.js';
import type { Windows } from '../../../src/core/evidence.js';
import type { WindowsNeed } from '../../../src/core/observation.js';
import { slotWith, type Situation } from '../builders.js';
import { sentences } from '../sentences.js';

const GRID = 5_000;
type Counts = [total: number, bad: number];
interface Sides {
  canary: Counts;
  stable: Counts;
}
const HEALTHY: Sides = { canary: [100, 0], stable: [400, 0] };
const FAILING: Sides = { canary: [100, 60], stable: [400, 0] };

/** What was counted in the window that ends at `to`, unix milliseconds; before the release, `stable` alone. */
type Of = (to: number) => Sides;

/** Windows on the one grid, of which all that began at `from` and have ended at `to` are there. */
const counting =
  (of: Of, before: Counts = [500, 1]) =>
  ({ of: part, from, to }: WindowsNeed): Windows => {
    const windows = [];
    for (let end = Math.ceil(from / GRID) * GRID + GRID; end <= to; end += GRID) {
      const { canary, stable } = part === 'run' ? of(end) : { canary: [0, 0] as Counts, stable: before };
      windows.push({ to: end, canary: { total: canary[0], bad: [canary[1]] }, stable: { total: stable[0], bad: [stable[1]] } });
    }
    return windows.length > 0 ? { kind: 'Windows', gridMs: GRID, bounds: [0], windows, query: 'q' } : { kind: 'NoData', query: 'q', message: 'no window is complete yet' };
  };
const always = (sides: Sides) => counting(() => sides);

const compared = (verdict: object = {}, analysis: object = {}, rest: object = {}) => ({
  progressDeadlineSeconds: 600,
  ...rest,
  analysis: { interval: '60s', stepWeights: [20, 50], verdict: { method: 'sequential' as const, alpha: 0.01, maxRegression: { ratio: 1.5, difference: 0.1 }, minSamples: 50, beta: 0.05, ...verdict }, evaluate: '5s', ...analysis },
});
const begin = (canary: Situation, ...args: Parameters<typeof compared>): Situation => canary.with(compared(...args)).running(20);
/** An A/B test of b2 with a control arm, whose routes are in force. */
function matching(canary: Situation, verdict: object = {}): Situation {
  const control = { control: { endpoints: 2 } };
  canary.with(compared(verdict, { stepWeights: undefined, control: true, iterations: 5, match: [{ headers: { 'x-canary': { exact: 'yes' } } }] }));
  canary.blue(slotWith('a1', 2, 2, control)).green(slotWith('b2', 2, 2, control)).decide().later(30).wants('b2').decide();
  const written = canary.effects('setWeights').at(-1);
  expect(written?.extras?.match?.control).toBe(true);
  canary.sees({ routes: { weights: written?.weights ?? { blue: 100, green: 0 }, consistent: true, ...(written?.extras ? { extras: written.extras } : {}) } });
  return canary.decide();
}
const total = ({ status }: Situation): number => status.verdict?.streams[0]?.canary.total ?? 0;
const evidence = ({ status }: Situation): number => Math.max(...(status.verdict?.streams[0]?.ratio ?? [0]));
const endings = ({ status }: Situation): number => (status.messages ?? []).filter(({ event }) => event === 'Failed' || event === 'Succeeded' || event === 'Superseded' || event === 'Cancelled').length;

sentences('evidence, while something else happens', {
  'is complete again after a metrics server that was down for three minutes': (canary) => {
    begin(canary, {}, { stepWeights: [20], interval: '300s' });
    canary.windows = always(HEALTHY);
    canary.pass(20);
    canary.windows = () => ({ kind: 'Error', query: 'q', message: 'connection refused', permanent: false });
    canary.pass(180);
    expect(canary.status.verdict?.error).toContain('connection refused');
    canary.windows = always(HEALTHY);
    canary.pass(20);
    expect(canary.status.verdict?.error).toBeUndefined();
    // 220 s, of which the last window may not have been looked at yet.
    expect(total(canary)).toBeGreaterThanOrEqual(4200);
    expect(total(canary)).toBeLessThanOrEqual(4400);
  },
  'has no window in which somebody else had set the weight': (canary) => {
    begin(canary);
    canary.windows = always(HEALTHY);
    canary.pass(12);
    const reset = canary.now;
    canary.weights(30).decide();
    expect(canary.written).toEqual({ blue: 80, green: 20 });
    const back = canary.later(9).now;
    canary.sees({ routes: { weights: { blue: 80, green: 20 }, consistent: true, since: back } });
    canary.windows = counting((to) => (to > reset && to - GRID < back ? FAILING : HEALTHY));
    canary.pass(30);
    expect(canary.status.run?.ending).toBeUndefined();
    expect(canary.status.verdict?.streams[0]?.canary.bad).toBe(0);
    expect(total(canary)).toBeGreaterThan(500);
  },
  'does not grow while all traffic is with the canary because no stable pod is left': (canary) => {
    begin(canary);
    canary.windows = always(HEALTHY);
    canary.pass(12);
    const before = total(canary);
    canary.blue(slotWith('a1', 2, 0)).decide().settle();
    canary.windows = always({ canary: [500, 100], stable: [0, 0] });
    canary.pass(20);
    expect(canary.observed.routes.weights?.green).toBe(100);
    expect(total(canary)).toBe(before);
    expect(canary.status.run?.ending?.reason).not.toBe('Regression');
  },
  'is kept over a plan that has this step no more, and counts on': (canary) => {
    begin(canary);
    canary.windows = always(HEALTHY);
    canary.pass(12);
    const before = total(canary);
    canary.with(compared({}, { stepWeights: [40] })).pass(12);
    expect(canary.status.verdict?.streams).toHaveLength(1);
    expect(total(canary)).toBeGreaterThan(before);
  },
  'begins anew against another maxRegression, and keeps what was counted': (canary) => {
    begin(canary);
    canary.windows = always({ canary: [100, 1], stable: [400, 2] });
    canary.pass(22);
    const [before, counted] = [evidence(canary), total(canary)];
    expect(before).not.toBe(0);
    canary.with(compared({ maxRegression: { ratio: 3, difference: 1 } }));
    canary.windows = () => ({ kind: 'NoData', query: 'q', message: 'no window is complete yet' });
    canary.pass(6);
    expect(evidence(canary)).toBe(0);
    expect(total(canary)).toBe(counted);
  },
  'is judged by another alpha from the next look on': (canary) => {
    begin(canary, { alpha: 0.0001 });
    canary.windows = counting((to) => (to - canary.now > -1e9 && total(canary) < 200 ? { canary: [100, 4], stable: [400, 0] } : HEALTHY));
    canary.pass(12);
    expect(canary.status.run?.ending).toBeUndefined();
    canary.with(compared({ alpha: 0.05 }));
    canary.windows = () => ({ kind: 'NoData', query: 'q', message: 'no window is complete yet' });
    canary.pass(12);
    expect(canary.ended).toBe('Failed Regression');
  },
  'of a metric that is no longer asked for is dropped, and of a new one begins with its own ten minutes before': (canary) => {
    begin(canary, {}, { metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }, { name: 'request-duration', thresholdRange: { max: 500 } }] });
    canary.windows = always(HEALTHY);
    canary.pass(12);
    canary.with(compared({}, { metrics: [{ name: 'request-duration', thresholdRange: { max: 500 } }] })).pass(6);
    expect(canary.status.verdict?.streams.map(({ metric }) => metric)).toEqual(['request-duration']);
    canary.with(compared({}, { metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }, { name: 'request-duration', thresholdRange: { max: 500 } }] })).later(6).decide();
    expect(canary.asked.windows.map(({ metric, of }) => `${metric} ${of}`)).toEqual(['request-success-rate baseline', 'request-success-rate run', 'request-duration run']);
  },
  'is of the bound that the spec gives: with another one it begins anew': (canary) => {
    const metrics = (max: number) => ({ metrics: [{ name: 'request-duration', thresholdRange: { max } }] });
    begin(canary, {}, metrics(400));
    canary.windows = (need) => {
      const base = always(HEALTHY)(need);
      return base.kind === 'Windows' ? { ...base, bounds: [100, 500, 1000], windows: base.windows.map((window) => ({ ...window, canary: { total: 100, bad: [50, 5, 0] }, stable: { total: 400, bad: [200, 20, 0] } })) } : base;
    };
    canary.pass(12);
    expect(canary.status.verdict?.streams.map(({ bound: one }) => one)).toEqual([500]);
    canary.with(compared({}, metrics(100))).pass(6);
    expect(canary.status.verdict?.streams.map(({ bound: one }) => one)).toEqual([100]);
  },
  'waits for the ten minutes before: without them, clusters of errors would count as so many facts': (canary) => {
    begin(canary);
    canary.windows = (need) => (need.of === 'baseline' ? { kind: 'Error', query: 'q', message: 'out of memory', permanent: false } : always(FAILING)(need));
    canary.pass(30);
    expect(canary.status.verdict?.streams).toEqual([]);
    expect(canary.status.run?.ending).toBeUndefined();
    canary.windows = always(FAILING);
    canary.pass(15);
    expect(canary.ended).toBe('Failed Regression');
  },
  'has nothing of what its slot served before the version that is stable now': (canary) => {
    canary.with(compared()).running(20);
    const promoted = { run: 'a1-1', revision: 'a1', result: 'Succeeded' as const, reason: 'Promoted', message: '', weights: [20, 50, 100], startedAt: new Date(canary.now - 120_000).toISOString(), endedAt: new Date(canary.now - 60_000).toISOString() };
    canary.status.history = [promoted];
    canary.windows = always(HEALTHY);
    canary.later(12).decide();
    expect(canary.asked.windows.map(({ of, from }) => [of, Math.round((canary.now - from) / 1000)])).toEqual([
      ['baseline', 132],
      ['run', 12],
    ]);
  },
  'is of the control arm where requests are matched': (canary) => {
    matching(canary);
    canary.windows = always(HEALTHY);
    canary.later(12).decide();
    expect(canary.asked.windows.filter(({ of }) => of === 'run').map(({ control }) => control)).toEqual([true]);
  },
  'is looked at every ten seconds where nothing else is said': (canary) => {
    begin(canary, {}, { evaluate: undefined });
    canary.windows = always(HEALTHY);
    canary.pass(25);
    const ahead = Date.parse(canary.status.verdict?.next ?? '') - canary.now;
    expect(ahead).toBeGreaterThan(0);
    expect(ahead).toBeLessThanOrEqual(11_000);
  },
  'that needs a quarter of an hour is not asked about every five seconds': (canary) => {
    begin(canary, {}, {}, { progressDeadlineSeconds: 3600 });
    canary.windows = counting((to) => ({ canary: [(to / GRID) % 4 === 0 ? 1 : 0, 0], stable: [10, 0] }));
    canary.pass(65);
    expect(canary.progress.reason).toBe('NotEnoughData');
    expect(Date.parse(canary.status.nextStepTime ?? '') - canary.now).toBeGreaterThan(30_000);
  },
  'does not hold up a person who promotes': (canary) => {
    begin(canary);
    canary.windows = always({ canary: [1, 0], stable: [4, 0] });
    canary.pass(12).act('promote').pass(30);
    expect(canary.ended).toBe('Succeeded PromotedByUser');
  },
  'never has a window that overlaps one of another grid': (canary) => {
    begin(canary);
    canary.windows = always(HEALTHY);
    canary.pass(22);
    const until = Date.parse(canary.status.verdict?.streams[0]?.until ?? '');
    const wide = 15_000;
    canary.windows = ({ to }) => ({ kind: 'Windows', gridMs: wide, bounds: [0], windows: [1, 2].map((part) => ({ to: until + 5_000 + (part - 1) * wide, canary: { total: 300, bad: [0] }, stable: { total: 1200, bad: [0] } })).filter((window) => window.to <= to), query: 'q' });
    const before = total(canary);
    canary.pass(25);
    expect(total(canary)).toBe(before + 300);
  },
});

/** A run of b2 that was just taken back by a verdict, and whose last requests are being counted for the revert in Git. */
function counted(canary: Situation): Situation {
  begin(canary, {}, {}, { onRollback: { git: 'revert' } });
  canary.windows = always(FAILING);
  canary.pass(11);
  expect(canary.status.run?.ending?.reason).toBe('Regression');
  expect(canary.status.history ?? []).toEqual([]);
  canary.windows = () => ({ kind: 'Error', query: 'q', message: 'connection refused', permanent: false });
  return canary;
}

sentences('a run whose last requests are being counted', {
  'ends once, with its one message, though the metrics server is dead': (canary) => {
    counted(canary).pass(30);
    expect(canary.ended).toBe('Failed Regression');
    expect(canary.status.history).toHaveLength(1);
    expect(endings(canary)).toBe(1);
  },
  'ends as what it was when it is aborted meanwhile': (canary) => {
    counted(canary).act('abort').pass(30);
    expect(canary.ended).toBe('Failed Regression');
    expect(canary.status.history).toHaveLength(1);
    expect(endings(canary)).toBe(1);
  },
  'ends as what it was when another commit comes, which is released then': (canary) => {
    counted(canary).wants('c3').pass(30);
    expect(canary.status.history?.map(({ revision, reason }) => `${revision} ${reason}`)).toEqual(['b2 Regression']);
    expect(canary.status.canary?.revision).toBe('c3');
    expect(canary.status.verdict?.streams ?? []).toEqual([]);
  },
  'ends when its Canary is deleted': (canary) => {
    counted(canary).sees({ deleting: true }).pass(30);
    expect(canary.status.history?.map(({ reason }) => reason)).toEqual(['Regression']);
    expect(canary.status.run).toBeUndefined();
  },
  'ends when the verdict is taken out of the spec meanwhile': (canary) => {
    counted(canary).with({ onRollback: { git: 'revert' }, analysis: { interval: '60s', stepWeights: [20, 50] } }).pass(1);
    expect(canary.ended).toBe('Failed Regression');
  },
});

/** Latencies by buckets of 10, 50, 100 and 500 ms: half, a tenth and a hundredth of all requests take longer than the first three. */
const latencies = (of: Of) => (need: WindowsNeed): Windows => {
  const base = counting(of, [0, 0])(need);
  const by = ({ total: all }: { total: number }, slow: number) => ({ total: all, bad: [all * slow, (all * slow) / 5, (all * slow) / 50, 0] });
  return base.kind === 'Windows' ? { ...base, bounds: [10, 50, 100, 500], windows: base.windows.map(({ to, canary, stable }) => ({ to, canary: by(canary, canary.bad[0] ? 1 : 0.5), stable: by(stable, 0.5) })) } : base;
};

sentences('latency, whose bounds nobody gave', {
  'is cut at what the stable version shows in the run when nobody asked it before, and what chose the bounds is no evidence': (canary) => {
    begin(canary, {}, { metrics: [{ name: 'request-duration' }] });
    canary.metrics = [{ metric: 'request-duration', measurement: { kind: 'Value', value: 20, samples: 500, query: 'q', from: 0, to: 1 } }];
    canary.windows = latencies(() => ({ canary: [100, 1], stable: [400, 0] }));
    canary.pass(6.9);
    expect(canary.status.verdict?.streams.map(({ bound: one, canary: side }) => [one, side.total])).toEqual([
      [10, 0],
      [50, 0],
      [100, 0],
    ]);
    canary.pass(5);
    expect(canary.status.verdict?.streams.map(({ canary: side }) => side.total)).toEqual([100, 100, 100]);
  },
  'waits for the end of the warm-up, while errors count at once': (canary) => {
    begin(canary, {}, { warmup: '30s', metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }, { name: 'request-duration' }] });
    const [errors, slow] = [always(HEALTHY), latencies(() => HEALTHY)];
    canary.windows = (need) => (need.metric === 'request-duration' ? slow(need) : errors(need));
    canary.pass(28);
    const totals = (): number[] => (canary.status.verdict?.streams ?? []).map(({ canary: side }) => side.total);
    expect(totals()[0]).toBeGreaterThanOrEqual(400);
    expect(totals().slice(1)).toEqual([0, 0, 0]);
    expect(canary.status.verdict?.streams[1]?.dispersion.windows).toBeGreaterThan(0);
    canary.pass(20);
    expect(totals()[1]).toBeGreaterThan(0);
  },
});

const FAST: Sides = { canary: [500, 0], stable: [2000, 2] };

sentences('a step that may end early', {
  'does not before minSamples': (canary) => {
    begin(canary, { fast: true, minSamples: 1_000_000 });
    canary.windows = always(FAST);
    canary.pass(59);
    expect(canary.status.step?.weight).toBe(20);
  },
  'does not while a metric is unknown': (canary) => {
    begin(canary, { fast: true }, { metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }, { name: 'request-duration', thresholdRange: { max: 500 } }] });
    canary.windows = (need) => (need.metric === 'request-duration' ? { kind: 'NoData', query: 'q', message: 'nothing was counted' } : always(FAST)(need));
    canary.pass(59);
    expect(canary.status.step?.weight).toBe(20);
  },
  'does not while the stable version’s own rate is unknown: everything looks as good as that': (canary) => {
    begin(canary, { fast: true });
    const bad = counting(() => ({ canary: [700, 20], stable: [700, 0] }));
    canary.windows = (need) => (need.of === 'baseline' ? { kind: 'NoData', query: 'q', message: 'nothing was counted' } : bad(need));
    canary.pass(8);
    expect(canary.status.verdict?.streams[0]?.canary.total).toBe(700);
    expect(canary.status.verdict?.streams[0]?.health).toBe(0);
    expect(canary.status.step?.weight).toBe(20);
  },
  'is no healthier because the stable version was worse before the release': (canary) => {
    begin(canary, { fast: true });
    canary.windows = counting(() => ({ canary: [500, 10], stable: [2000, 2] }), [500, 25]);
    canary.pass(25);
    expect(canary.status.verdict?.streams[0]?.health ?? 0).toBeLessThan(0);
    expect(canary.status.step?.weight ?? 20).toBe(20);
  },
  'does not without its webhooks, which are not asked more often than the interval': (canary) => {
    begin(canary, { fast: true }, { threshold: 10, webhooks: [{ name: 'smoke', type: 'rollout', url: 'http://smoke.test' }] });
    canary.hooks = { smoke: { ok: false, message: '500' } };
    canary.windows = always(FAST);
    canary.pass(100);
    expect(canary.status.step?.weight).toBe(20);
    expect(canary.status.failedChecks).toBe(2);
  },
  'counts a failing threshold no more often than the interval': (canary) => {
    begin(canary, { fast: true }, { threshold: 10 });
    canary.windows = always(FAST);
    canary.answers({ kind: 'Value', value: 90, samples: 500, query: 'q', from: 0, to: 1 });
    canary.pass(140);
    expect(canary.status.failedChecks).toBeLessThanOrEqual(3);
    expect(canary.status.failedChecks).toBeGreaterThanOrEqual(2);
  },
  'counts a failing threshold no more often though somebody holds the run and lets it go': (canary) => {
    begin(canary, { fast: true }, { threshold: 10 });
    canary.windows = always(FAST);
    canary.answers({ kind: 'Value', value: 90, samples: 500, query: 'q', from: 0, to: 1 });
    canary.pass(12);
    expect(canary.status.failedChecks).toBe(1);
    for (let time = 0; time < 4; time += 1) canary.act('hold').pass(2).act('resume').pass(2);
    expect(canary.status.failedChecks).toBe(1);
  },
  'needs no more of its iterations, with a control arm': (canary) => {
    matching(canary, { fast: true });
    expect(canary.status.step?.index).toBe(0);
    canary.windows = always(FAST);
    canary.pass(40);
    expect(canary.status.iterations ?? 0).toBeLessThan(5);
    expect(canary.status.run === undefined || canary.status.phase === 'Promoting' || canary.status.phase === 'Finalising').toBe(true);
  },
  'asks for its approval early, and goes on as soon as that comes': (canary) => {
    begin(canary, { fast: true }, { stepWeights: undefined, steps: [{ weight: 20, approve: true }, { weight: 50 }] });
    canary.windows = always(FAST);
    canary.pass(20);
    expect(canary.progress.reason).toBe('WaitingForApproval');
    expect(canary.status.step?.weight).toBe(20);
    canary.act('approve').pass(2);
    expect(canary.status.step?.weight).toBe(50);
  },
});

sentences('the evidence in the status', {
  'stays small with as many metrics as a Canary may have, and its numbers short': (canary) => {
    const names = Array.from({ length: 18 }, (_, index) => `metric-${index}-${'x'.repeat(50)}`);
    canary.sees({ counted: names });
    begin(canary, {}, { metrics: [{ name: 'request-success-rate' }, { name: 'request-duration' }, ...names.map((name) => ({ name, templateRef: { name: 'template' } }))] });
    canary.metrics = ['request-success-rate', 'request-duration', ...names].map((metric) => ({ metric, measurement: { kind: 'Value' as const, value: 100, samples: 500, query: 'q'.repeat(2000), from: 0, to: 1 } }));
    canary.windows = (need) => {
      const base = always({ canary: [100.123456789, 1.000000001], stable: [400.987654321, 2.3333333333] })(need);
      return base.kind === 'Windows' && need.metric === 'request-duration' ? { ...base, bounds: [10, 50, 100, 500], windows: base.windows.map((window) => ({ ...window, canary: { total: 100, bad: [100, 50, 10, 1] }, stable: { total: 400, bad: [400, 200, 40, 4] } })) } : base;
    };
    canary.pass(70);
    expect(canary.status.verdict?.streams).toHaveLength(22);
    const text = JSON.stringify(canary.status.verdict);
    expect(text.length).toBeLessThan(16_000);
    expect(text).not.toMatch(/\d\.\d{5,}|e-\d/);
    bound(canary.status);
    expect(JSON.stringify(canary.status).length).toBeLessThan(31_000);
  },
  'reads the same when it comes back from the server': (canary) => {
    begin(canary);
    canary.windows = counting(() => ({ canary: [1, 0], stable: [1_000_000, 0] }), [500, 0]);
    canary.pass(12);
    expect(canary.status.verdict).toEqual(JSON.parse(JSON.stringify(canary.status.verdict)));
  },
});
