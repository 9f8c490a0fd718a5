import { describe, expect, it } from 'vitest';
import { spec } from './builders.js';
import { World } from './world.js';

/** An adopted Canary in a cluster that is late but kind; every write is audited. */
function world(over: Parameters<typeof spec>[0] = {}): World {
  const made = new World({ spec: spec(over) });
  made.pass(30_000);
  return made;
}
const green = (at: World): number | undefined => at.routes.now?.green;
const reason = (at: World): string | undefined => at.status.conditions?.find((item) => item.type === 'Progressing')?.reason;
const endings = (at: World): string[] => (at.status.history ?? []).map((entry) => `${entry.revision} ${entry.result}`).reverse();
/** The world goes on until the canary has this weight. */
function until(at: World, weight: number): void {
  for (let second = 0; green(at) !== weight; second += 1) {
    if (second > 120) throw new Error(`the canary never had ${weight} %: ${at.auditor.timeline.slice(-10).join('\n')}`);
    at.pass(1_000);
  }
}
const lines = (at: World, text: string): string[] => at.auditor.timeline.filter((line) => line.includes(text));

/** The table "What happens when…" of the design, row by row. */
describe('what happens when', () => {
  it('a new revision comes during a run: weight 0 first, a drain, then a run of its own; the old one is Superseded', () => {
    const at = world();
    at.commit('b2');
    until(at, 20);
    at.commit('c3');
    at.pass(300_000);
    expect(endings(at)).toEqual(['b2 Superseded', 'c3 Succeeded']);
    const timeline = at.auditor.timeline.join('\n');
    const back = timeline.indexOf('setWeights 100/0', timeline.indexOf('commit c3'));
    const emptied = timeline.indexOf('scaleSlot green  0');
    expect(back).toBeGreaterThan(0);
    expect(emptied).toBeGreaterThan(back);
    expect(timeline.indexOf('fillSlot green c3')).toBeGreaterThan(emptied);
  });

  it('Git goes back to the stable revision mid-run: the run is Cancelled, no alarm', () => {
    const at = world();
    at.commit('b2');
    until(at, 20);
    at.commit('a1');
    at.pass(300_000);
    expect(endings(at)).toEqual(['b2 Cancelled']);
    expect(at.status.quarantined).toBeUndefined();
    expect(green(at)).toBe(0);
  });

  it('Git goes back to a recent known-good revision: straight back to it without analysis, never without capacity', () => {
    const at = world();
    at.commit('b2');
    at.pass(300_000);
    at.commit('a1');
    at.pass(300_000);
    expect(endings(at)).toEqual(['b2 Succeeded', 'a1 Succeeded']);
    expect(at.status.history?.[0]).toMatchObject({ reason: 'KnownGood', weights: [100] });
    expect(at.status.stable?.revision).toBe('a1');
  });

  it('the stable version is itself broken: a healthy canary still progresses', () => {
    const at = world();
    at.outage('blue', 2, 10_000_000);
    at.commit('b2');
    at.pass(300_000);
    expect(endings(at)).toEqual(['b2 Succeeded']);
  });

  it('the stable version is itself broken: traffic never returns to a destination with no ready endpoint', () => {
    const at = world();
    at.commit('b2');
    until(at, 20);
    at.outage('blue', 2, 60_000);
    at.pass(1_000);
    expect(green(at)).toBe(100);
    at.act('abort');
    at.pass(50_000);
    expect(green(at)).toBe(100);
    at.pass(30_000);
    expect(green(at)).toBe(0);
    expect(endings(at)).toEqual(['b2 Failed']);
  });

  it('the failed revision is applied again by a resync: nothing, until somebody says retry', () => {
    const at = world();
    at.versions.set('d4', { startup: 1_000, errors: 7, latency: 20 });
    at.commit('d4');
    at.pass(300_000);
    expect(endings(at)).toEqual(['d4 Failed']);
    at.restart();
    at.pass(300_000);
    expect(endings(at)).toEqual(['d4 Failed']);
    expect(reason(at)).toBe('Quarantined');
    at.versions.set('d4', { startup: 1_000, errors: 0, latency: 20 });
    at.act('retry');
    at.pass(300_000);
    expect(endings(at)).toEqual(['d4 Failed', 'd4 Succeeded']);
  });

  it('someone else resets the weights: restored within one reconcile', () => {
    const at = world();
    at.commit('b2');
    until(at, 20);
    at.outsiderSetsWeights(100);
    at.pass(1);
    expect(green(at)).toBe(20);
  });

  it('the metrics server is down: hold, reason MetricsUnavailable, and the deadline still runs', () => {
    const at = world();
    at.commit('b2');
    until(at, 20);
    at.metrics = 'down';
    at.pass(15_000);
    expect(reason(at)).toBe('MetricsUnavailable');
    expect(green(at)).toBe(20);
    at.pass(120_000);
    expect(endings(at)).toEqual(['b2 Failed']);
    expect(at.status.history?.[0]?.reason).toBe('ProgressDeadlineExceeded');
  });

  it('the metrics server comes back in time: the run goes on', () => {
    const at = world();
    at.commit('b2');
    until(at, 20);
    at.metrics = 'down';
    at.pass(40_000);
    at.metrics = 'up';
    at.pass(300_000);
    expect(endings(at)).toEqual(['b2 Succeeded']);
  });

  it('the weights were written but proxies lag: drainFor passes before any pod of the old destination goes', () => {
    const at = world({ revisions: { warmFor: '0s' } });
    at.commit('b2');
    at.pass(300_000);
    const time = (text: string): number => Number(lines(at, text).at(-1)?.trim().split(/\s+/)[0]);
    expect(time('scaleSlot blue  0') - time('setWeights 0/100')).toBeGreaterThanOrEqual(5);
    expect(time('scaleSlot blue  0') - time('selectService green')).toBeGreaterThanOrEqual(5);
  });

  it('kubectl rollout restart: the pods of the stable slot are replaced, and callers always find one', () => {
    const at = world();
    at.rolloutRestart();
    at.pass(60_000);
    expect(lines(at, 'restartSlot blue')).toHaveLength(1);
    expect(at.slots.blue.alive(at.now).every((pod) => pod.created >= Date.parse(at.targetState.restartedAt ?? ''))).toBe(true);
    expect(endings(at)).toEqual([]);
    at.commit('b2');
    at.pass(300_000);
    expect(endings(at)).toEqual(['b2 Succeeded']);
    expect(lines(at, 'restartSlot')).toHaveLength(1);
  });
});
