import { expect } from 'vitest';
import { canaryStatus } from '../../src/api/index.js';
import { blue, emptySlot, slotWith, spec, type Situation } from './builders.js';
import { sentences } from './sentences.js';

const subsets = (canary: Situation): Situation => canary.with({ service: { routing: 'subsets' } }).selects('slots');
const kinds = (canary: Situation): string[] => canary.decision.effects.map((effect) => effect.type);
const target = { replicas: 2, readyReplicas: 2, overlaid: false, userReplicas: 2 };
const unprepared = { consistent: false, prepared: false };

/** A Deployment that runs by itself, and a Canary that has just been applied; its slot is ready. */
function fresh(canary: Situation): Situation {
  subsets(canary).status = canaryStatus.parse({});
  return canary.blue(slotWith('a1', 2)).green(emptySlot()).selects('target').sees({ target, routes: unprepared });
}
const prepared = (canary: Situation): Situation => fresh(canary).decide().sees({ routes: { consistent: false, prepared: true } }).decide();

sentences('with routing: subsets', {
  'the subsets are made before any route names them': (canary) => {
    fresh(canary).decide();
    expect(kinds(canary)).toContain('prepareRoutes');
    expect(canary.written).toBeUndefined();
  },
  'proxies get time to learn of the subsets, however long the pods have been ready': (canary) => {
    fresh(canary).decide().later(60).decide();
    expect(canary.written).toBeUndefined();
    canary.sees({ routes: { consistent: false, prepared: true } }).decide();
    expect(kinds(canary)).not.toContain('prepareRoutes');
    expect(canary.written).toBeUndefined();
    expect(canary.later(5).decide().written).toEqual(blue(100));
  },
  'subsets that somebody takes away meanwhile start that time again': (canary) => {
    prepared(canary).later(3).sees({ routes: unprepared }).decide();
    expect(kinds(canary)).toContain('prepareRoutes');
    canary.sees({ routes: { consistent: false, prepared: true } }).decide().later(3).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.later(2).decide().written).toEqual(blue(100));
  },
  'a rule that hides the subsets from some callers is a matter for a person, and nothing is adopted': (canary) => {
    const message = 'DestinationRule web/reviews hides the subsets; delete it';
    fresh(canary).sees({ problems: [{ reason: 'SubsetsHidden', message }] }).decide();
    expect(canary.condition('Stalled')).toMatchObject({ status: 'True', reason: 'SubsetsHidden', message });
    expect(kinds(canary)).toEqual([]);
  },
  'my own pods stop only when the Service selects both slots': (canary) => {
    prepared(canary).later(5).decide().weights(100).decide().later(5).decide();
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue'] }]);
    expect(kinds(canary)).not.toContain('overlayTarget');
    canary.selects('slots').decide().later(5).decide();
    expect(kinds(canary)).toContain('overlayTarget');
    expect(canary.status.phase).toBe('Initialized');
  },
  'a rule that appears later holds the next release, never the way back of the one under way': (canary) => {
    const problems = [{ reason: 'SubsetsHidden' as const, message: 'DestinationRule web/reviews hides the subsets; delete it' }];
    subsets(canary).running(20).sees({ problems }).act('abort').decide();
    expect(canary.written).toEqual(blue(100));
    canary.weights(100).decide();
    expect(canary.ended).toBe('Failed Aborted');
    canary.wants('c3').later(5).decide();
    expect(canary.status.run).toBeUndefined();
    expect(canary.progress.reason).toBe('SubsetsHidden');
  },
  'a promotion moves no Service: it selects both slots already': (canary) => {
    subsets(canary).running(50).act('promote').decide().weights(0).decide();
    expect(canary.status.phase).toBe('Finalising');
    expect(kinds(canary)).not.toContain('selectService');
    canary.later(5).decide();
    expect(canary.ended).toBe('Succeeded PromotedByUser');
    expect(kinds(canary)).not.toContain('selectService');
  },
  'other Services that select my pods follow the promotion as ever': (canary) => {
    subsets(canary).selects('blue').running(50).act('promote').decide().weights(0).decide();
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue', 'green'] }]);
    canary.selects('both').decide().later(5).decide();
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['green'] }]);
  },
  'a slot without weight is emptied although the Service selects it': (canary) => {
    subsets(canary).running(20).act('abort').decide().weights(100).decide().later(5).decide();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 0 }]);
  },
  'a slot is not emptied while no route divides the callers of the Service': (canary) => {
    subsets(canary).green(slotWith('b2', 2)).sees({ routes: { consistent: false } }).decide().later(600).decide();
    expect(canary.effects('scaleSlot')).toEqual([]);
    expect(canary.written).toEqual(blue(100));
  },
  'a Service that somebody narrowed to one slot is widened again': (canary) => {
    subsets(canary).selects(undefined).decide();
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue'] }]);
  },
  'deletion gives the routes back first; the subsets stay until nobody can send by them': (canary) => {
    subsets(canary).sees({ deleting: true }).decide().sees({ target }).decide().later(5).decide();
    expect(canary.effects('releaseRoutes')).toEqual([{ type: 'releaseRoutes', keepRules: true }]);
    canary.sees({ routes: { consistent: false, prepared: true } }).decide().later(5).decide();
    expect(kinds(canary)).toEqual(['markTarget']);
    canary.sees({ target: { ...target, marked: 2 } }).decide();
    expect(kinds(canary)).toEqual(['selectTarget']);
    canary.selects('marked').decide();
    expect(kinds(canary)).toEqual([]);
    canary.later(5).decide();
    expect(kinds(canary)).toEqual(['deleteSlots']);
    canary.sees({ slots: { blue: emptySlot(), green: emptySlot() } }).decide();
    expect(canary.effects('releaseRoutes')).toEqual([{ type: 'releaseRoutes' }]);
    expect(kinds(canary).slice(-3)).toEqual(['releaseServices', 'unmarkTarget', 'removeFinalizer']);
  },
  'is not the default': () => {
    expect(spec().service.routing).toBe('services');
  },
});
