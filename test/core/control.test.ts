/** `analysis.control`: part of the matching requests stays on the stable version, by a Service that tells them apart. */
import { describe, expect, it } from 'vitest';
import type { CanarySpec } from '../../src/api/index.js';
import type { RouteExtras } from '../../src/core/evidence.js';
import { canaryNames, comparedService } from '../../src/core/names.js';
import type { SlotObservation } from '../../src/core/observation.js';
import { outdated, type Traffic } from '../../src/core/outdated.js';
import { compilePlan, stepWords } from '../../src/core/plan.js';
import { controlService } from '../../src/core/services.js';
import { badMetrics, blue, Situation, slotWith, spec } from './builders.js';

const jason = [{ headers: { 'end-user': { exact: 'jason' } } }];
type Analysis = Partial<CanarySpec['analysis']>;

function specOf(analysis: Analysis, service: Partial<CanarySpec['service']> = {}): CanarySpec {
  const base = spec({ service });
  const { stepWeights: _, ...rest } = base.analysis;
  return { ...base, analysis: { ...rest, ...analysis } };
}
const AB: Analysis = { iterations: 2, match: jason, control: true };
const withArm = (revision: string, endpoints = 2, ready = 2): SlotObservation => slotWith(revision, 2, ready, { control: { endpoints } });

/** An A/B test of b2, whose pods and whose control arm are ready; `seconds` ago the arm's Service was first seen. */
function releasing(seconds: number, analysis = AB): Situation {
  const situation = new Situation(specOf(analysis)).blue(withArm('a1')).green(slotWith('b2', 2, 2, { control: { endpoints: 2 } }));
  return situation.decide().later(seconds).wants('b2').decide();
}
function obeyed(situation: Situation): Situation {
  const written = situation.effects('setWeights').at(-1);
  if (written) situation.observed.routes = { weights: written.weights, consistent: true, ...(written.extras ? { extras: written.extras } : {}) };
  return situation;
}
const written = (situation: Situation): RouteExtras | undefined => situation.effects('setWeights').at(-1)?.extras;
const arm = { slot: 'green', match: { when: jason, weight: 50, control: true } };

describe('a plan with a control arm', () => {
  it.each<[string, Analysis, (string | undefined)[]]>([
    ['halves the matching requests of an A/B test', { iterations: 5, match: jason }, ['50 arm']],
    ['divides them by the weights, and has no arm where the canary gets all of them', { stepWeights: [10, 50, 100], match: jason }, ['10 arm', '50 arm', '100']],
    ['halves them in a step that matches, and leaves other steps alone', { steps: [{ weight: 0, match: jason }, { weight: 20 }] }, ['50 arm', undefined]],
    ['has none where the canary gets other requests or copies too', { steps: [{ weight: 0, mirror: 50, match: jason }, { weight: 20, match: jason }] }, ['100', '100']],
  ])('%s', (_, analysis, matches) => {
    const { analysis: base } = specOf({});
    const plan = compilePlan({ ...base, ...analysis, control: true });
    expect(plan.map(({ match }) => match && `${match.weight}${match.control ? ' arm' : ''}`)).toEqual(matches);
    const without = compilePlan({ ...base, ...analysis });
    expect(plan.map(({ match: _match, ...rest }) => rest)).toEqual(without.map(({ match: _match, ...rest }) => rest));
    expect(without.some(({ match }) => match?.control)).toBe(false);
  });

  it('says so', () => {
    const { analysis } = specOf(AB);
    expect(compilePlan(analysis).map((step) => stepWords(step))).toEqual(['weight 0 %, 50 % of the requests with end-user: jason (the others of them are its control arm)']);
  });
});

describe('the Services of the control arm', () => {
  it('are one for each slot, which selects that slot for ever', () => {
    const wanted = specOf(AB, { name: 'shop', slots: { blue: 'a', green: 'b' } });
    expect(canaryNames(wanted).control).toEqual({ blue: 'shop-a-control', green: 'shop-b-control' });
    const identity = { name: 'reviews', namespace: 'default', spec: wanted };
    expect(controlService(identity, 'green', undefined)).toMatchObject({ metadata: { name: 'shop-b-control' }, spec: { selector: { 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': 'green' }, ports: [{ port: 9080 }] } });
  });

  it('are named only where they are asked for, and never with subsets', () => {
    expect(canaryNames(specOf({ iterations: 2, match: jason }))).not.toHaveProperty('control');
    expect(canaryNames(specOf(AB, { routing: 'subsets' }))).not.toHaveProperty('control');
  });

  it('have the stable side of a comparison in the steps that name them', () => {
    expect(comparedService(specOf(AB), 'blue', { control: true })).toBe('reviews-blue-control');
    expect(comparedService(specOf(AB), 'blue', {})).toBe('reviews-blue');
    expect(comparedService(specOf(AB), 'blue', undefined)).toBe('reviews-blue');
  });
});

describe('a step with a control arm', () => {
  it('divides the matching requests once proxies had time to learn of the Service', () => {
    const situation = releasing(4);
    expect(situation.effects('setWeights')).toEqual([]);
    expect(situation.progress).toMatchObject({ reason: 'ScalingUp', message: expect.stringContaining('proxies are given time to learn of Service reviews-blue-control') as string });
    expect(situation.wakesIn).toBeLessThanOrEqual(1);
    situation.later(1).decide();
    expect(situation.written).toEqual(blue(100));
    expect(written(situation)).toEqual(arm);
  });

  it('is judged beside the arm, and steps without one are not', () => {
    const situation = obeyed(releasing(5, { steps: [{ weight: 0, match: jason }, { weight: 20 }], control: true }));
    const arms = (): unknown[] => obeyed(situation.later(10).decide()).asked.metrics.map((need) => 'control' in need);
    expect(arms()).toEqual([true]);
    expect(arms()).toEqual([false]);
  });

  it('waits while nobody answers there', () => {
    const situation = releasing(60).blue(withArm('a1', 0)).decide();
    expect(situation.effects('setWeights')).toEqual([]);
    expect(situation.progress.message).toContain('Service reviews-blue-control of the control arm has no ready endpoint');
    situation.blue(withArm('a1')).decide();
    expect(situation.effects('setWeights')).toEqual([]);
    situation.later(5).decide();
    expect(written(situation)).toEqual(arm);
  });

  it('leads nobody to an arm that was lost, and begins again when it has been back for a while', () => {
    const situation = obeyed(releasing(5));
    situation.later(3).blue(slotWith('a1', 2)).decide();
    expect(written(situation)).toEqual({ slot: 'green', match: { when: jason, weight: 50 } });
    obeyed(situation).later(1).decide();
    expect(situation.effects('setWeights')).toEqual([]);
    situation.blue(withArm('a1')).decide();
    expect(situation.effects('setWeights')).toEqual([]);
    situation.later(5).decide();
    expect(written(situation)).toEqual(arm);
    expect(situation.status.iterations).toBe(0);
  });

  it('ends with the release: promoted, taken back or given back, no route names the arm', () => {
    const passed = obeyed(releasing(5));
    obeyed(passed.later(10).decide());
    passed.later(10).decide();
    expect([passed.written, written(passed)]).toEqual([blue(0), undefined]);

    const failed = obeyed(releasing(5));
    failed.metrics = badMetrics;
    obeyed(failed.later(10).decide());
    failed.later(10).decide();
    expect([failed.written, written(failed)]).toEqual([blue(100), undefined]);

    const deleted = obeyed(releasing(5));
    deleted.observed.deleting = true;
    deleted.decide();
    expect([deleted.written, written(deleted)]).toEqual([blue(100), undefined]);
  });

  it('leads the next release to the arm of the slot that then is stable', () => {
    const situation = releasing(5);
    expect(comparedService(situation.spec, situation.status.stable?.slot ?? 'green', { control: true })).toBe('reviews-blue-control');
    situation.observed.slots.green = withArm('b2');
    obeyed(situation);
    for (let i = 0; i < 60 && situation.status.stable?.slot !== 'green'; i += 1) {
      obeyed(situation.later(5).decide());
      for (const { slots } of situation.effects('selectService')) situation.selects(slots.length === 2 ? 'both' : slots[0]);
    }
    expect(situation.status.stable).toMatchObject({ slot: 'green', revision: 'b2' });
    for (let i = 0; i < 60 && situation.status.run === undefined; i += 1) {
      situation.later(5).wants('c3').decide();
      for (const { slot, replicas } of situation.effects('scaleSlot')) situation.observed.slots[slot] = slotWith('a1', replicas);
    }
    situation.blue(slotWith('c3', 2, 2, { control: { endpoints: 2 } })).decide();
    expect(written(situation)).toEqual({ slot: 'blue', match: { when: jason, weight: 50, control: true } });
  });

  it('is not begun on an arm whose pods died between the decision and the write', () => {
    const traffic = (endpoints: number): Traffic => ({ slots: { blue: withArm('a1', endpoints), green: slotWith('b2', 2) }, routes: { weights: blue(100), consistent: true } });
    const effect = { type: 'setWeights', weights: blue(100), extras: { slot: 'green', match: { when: jason, weight: 50, control: true } } } as const;
    expect(outdated({ ...effect, extras: { ...effect.extras, match: { ...effect.extras.match, when: [...jason] } } }, traffic(2), traffic(2))).toBeUndefined();
    expect(outdated({ ...effect, extras: { ...effect.extras, match: { ...effect.extras.match, when: [...jason] } } }, traffic(2), traffic(0))).toContain('control arm of slot blue');
  });
});

describe('Services of a control arm that nobody wants any more', () => {
  const left = (): Situation => new Situation(specOf({ iterations: 2, match: jason })).blue(withArm('a1')).green({ ...slotWith('b2', 0), control: { endpoints: 0 } });
  const removed = (situation: Situation): number => situation.effects('deleteControl').length;

  it('go when nothing can still send to them', () => {
    expect(removed(left().decide())).toBe(1);
    expect(removed(new Situation(specOf(AB)).blue(withArm('a1')).decide())).toBe(0);
    expect(removed(new Situation(specOf({ iterations: 2 })).decide())).toBe(0);
  });

  it('stay while the routes name one, and a drain longer', () => {
    const situation = left();
    situation.observed.routes = { weights: blue(100), consistent: false, reaches: ['blue', 'green'], extras: { slot: 'green', match: { when: jason, weight: 50, control: true } } };
    expect(removed(situation.decide())).toBe(0);
    obeyed(situation).later(4).decide();
    expect(removed(situation)).toBe(0);
    expect(removed(situation.later(5).decide())).toBe(1);
  });

  it('stay during a release', () => {
    const situation = obeyed(releasing(5));
    situation.spec = specOf({ iterations: 2, match: jason });
    expect(removed(situation.later(60).decide())).toBe(0);
  });
});
