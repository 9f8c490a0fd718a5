import { expect } from 'vitest';
import { canaryStatus } from '../../src/api/index.js';
import { blue, slotWith, type Situation } from './builders.js';
import { sentences } from './sentences.js';

const deleted = (canary: Situation): Situation => canary.sees({ deleting: true });
const target = (readyReplicas: number, overlaid = false): NonNullable<Situation['observed']['target']> => ({ replicas: overlaid ? 0 : 2, readyReplicas, overlaid, userReplicas: 2 });
const marked = { ...target(2), marked: 2 };
const gone = { replicas: 0, ready: 0, endpoints: 0, pods: 0, exceeded: false };
const empty = { blue: gone, green: gone };
const kinds = (canary: Situation): string[] => canary.decision.effects.map((effect) => effect.type);
/** The target serves by itself since a while; the routes are back. */
function returned(canary: Situation): Situation {
  deleted(canary).decide().sees({ target: target(2) }).decide().later(5).decide();
  return canary.sees({ routes: { consistent: false } }).decide().later(5).decide();
}

/** Everything of the slots is gone, and the target serves. */
function given(canary: Situation): void {
  canary.sees({ slots: empty, target: marked, routes: { consistent: false } }).selects('marked').decide().later(5).decide().later(5).decide();
}

sentences('deleting a Canary', {
  'the target gets its pods back before anything else changes': (canary) => {
    deleted(canary).decide();
    expect(canary.effects('restoreTarget')).toEqual([{ type: 'restoreTarget', replicas: 2 }]);
    expect(kinds(canary)).not.toContain('releaseRoutes');
    expect(canary.progress).toEqual({ reason: 'TakingBack', message: '0 of 2 pods of Deployment reviews are ready' });
  },
  'as many as serve now, if an autoscaler has raised the number': (canary) => {
    deleted(canary.with({ replicas: 7 }).blue(slotWith('a1', 7))).decide();
    expect(canary.effects('restoreTarget')).toEqual([{ type: 'restoreTarget', replicas: 7 }]);
  },
  'routes follow when proxies know the pods, then the Services, then the slots go': (canary) => {
    deleted(canary).decide().sees({ target: target(2) }).decide();
    expect(kinds(canary)).toEqual([]);
    canary.later(5).decide();
    expect(kinds(canary)).toEqual(['releaseRoutes']);
    canary.sees({ routes: { consistent: false } }).decide();
    expect(kinds(canary)).toEqual([]);
    canary.later(5).decide();
    expect(kinds(canary)).toEqual(['markTarget']);
    canary.sees({ target: marked }).decide();
    expect(kinds(canary)).toEqual(['selectTarget']);
    canary.selects('marked').decide();
    expect(kinds(canary)).toEqual([]);
    canary.later(5).decide();
    expect(kinds(canary)).toEqual(['deleteSlots']);
    canary.sees({ slots: empty }).decide();
    expect(kinds(canary).slice(-3)).toEqual(['releaseServices', 'unmarkTarget', 'removeFinalizer']);
  },
  'no pod of a slot is stopped while a Service still selects it by my labels': (canary) => {
    returned(canary).sees({ target: marked }).selects('target').decide().later(60).decide();
    expect(kinds(canary)).toEqual(['selectTarget']);
    canary.selects('marked').decide().later(3).selects('target').decide();
    expect(kinds(canary)).toEqual(['selectTarget']);
    canary.selects('marked').decide().later(3).decide();
    expect(kinds(canary)).toEqual([]);
    canary.later(2).decide();
    expect(kinds(canary)).toEqual(['deleteSlots']);
  },
  'a pod that the target gets meanwhile is marked too, without waiting anew': (canary) => {
    returned(canary).sees({ target: marked }).selects('marked').decide().later(3).sees({ target: { ...marked, readyReplicas: 3 } }).decide();
    expect(kinds(canary)).toEqual(['markTarget']);
    canary.later(2).sees({ target: { ...marked, readyReplicas: 3, marked: 3 } }).decide();
    expect(kinds(canary)).toEqual(['deleteSlots']);
  },
  'a run under way is cancelled first, and its pods go before the Service selects by my labels again': (canary) => {
    deleted(canary.running(20)).decide();
    expect(canary.written).toEqual(blue(100));
    expect(kinds(canary)).not.toContain('restoreTarget');
    canary.settle().decide();
    expect(canary.ended).toBe('Cancelled CanaryDeleted');
    expect(canary.progress.reason).toBe('EmptyingSlot');
    canary.later(5).decide().settle().decide();
    expect(kinds(canary)).toContain('restoreTarget');
  },
  'a template in Git that is not the stable one is pointed out before it serves': (canary) => {
    deleted(canary.wants('b2')).decide();
    expect(canary.said).toEqual(['Released: reviews gives the target back with revision b2 of Git, which is not the stable a1: it was not analysed']);
  },
  'a template that cannot start keeps the slots serving, and says what to do': (canary) => {
    deleted(canary.wants('b2')).decide().later(3600).sees({ target: target(0) }).decide();
    expect(kinds(canary)).toEqual([]);
    expect(canary.progress.message).toContain('they are of revision b2, not of the stable a1, which serves meanwhile: if they cannot start, apply a template that can');
  },
  'it ends when the target is gone': (canary) => {
    deleted(canary);
    delete canary.observed.target;
    canary.decide();
    expect(kinds(canary)).toEqual(['releaseRoutes']);
    canary.sees({ routes: { consistent: false } }).decide().later(5).decide().selects('target').decide().later(5).decide();
    expect(kinds(canary)).toEqual(['deleteSlots']);
    canary.sees({ slots: empty }).decide();
    expect(kinds(canary)).toContain('removeFinalizer');
  },
  'it ends when all Services are gone': (canary) => {
    returned(canary).selects('none').decide().later(5).decide().sees({ slots: empty }).decide();
    expect(kinds(canary)).toContain('removeFinalizer');
  },
  'it ends when the VirtualService is gone': (canary) => {
    deleted(canary).sees({ routes: { consistent: false }, target: marked }).decide().later(5).decide().later(5).decide().selects('marked').decide().later(5).decide().sees({ slots: empty }).decide();
    expect(kinds(canary)).toContain('removeFinalizer');
  },
  'it ends when the VirtualService goes in the middle of a run': (canary) => {
    deleted(canary.running(20)).sees({ routes: { consistent: false } }).decide();
    expect(canary.ended).toBe('Cancelled CanaryDeleted');
    expect(canary.written).toBeUndefined();
  },
  'it ends when somebody takes the routes away while the Services select both slots': (canary) => {
    deleted(canary.green(slotWith('b2', 2)).sees({ routes: { consistent: false } }).selects('both')).decide();
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue'] }]);
    canary.selects('blue').decide().later(5).decide();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 0 }]);
  },
  'callers of slots without a ready pod are led to the target as soon as its pods are ready': (canary) => {
    deleted(canary.with({ replicas: 0 }).blue(slotWith('a1', 0))).decide().sees({ target: target(2) }).decide();
    expect(kinds(canary)).toContain('releaseRoutes');
  },
  'it ends when somebody leads callers to the emptied slot meanwhile': (canary) => {
    deleted(canary.running(20)).decide().settle().decide().weights(70).selects(undefined).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue'] }]);
  },
  'a Canary that never adopted anything just goes': (canary) => {
    canary.status = canaryStatus.parse({});
    deleted(canary).decide();
    expect(kinds(canary)).toEqual(['releaseRoutes', 'releaseServices', 'deleteSlots', 'removeFinalizer']);
  },
  'in a namespace that is being deleted it ends with the last Deployment, in the middle of a run too': (canary) => {
    deleted(canary.running(20));
    delete canary.observed.target;
    canary.sees({ slots: empty }).decide();
    expect(canary.ended).toBe('Cancelled CanaryDeleted');
    expect(kinds(canary)).not.toContain('removeFinalizer');
    canary.status.messages = [];
    canary.decide();
    expect(kinds(canary).at(-1)).toBe('removeFinalizer');
  },
  'budgets and autoscalers speak of the target again before the slots go': (canary) => {
    returned(canary).sees({ attached: false, target: marked }).selects('marked').decide();
    expect(kinds(canary)).toContain('attach');
    canary.later(5).decide();
    expect(kinds(canary)).toEqual(['attach', 'deleteSlots']);
  },
  'pods that somebody asks for while traffic returns are made, so that it can return': (canary) => {
    deleted(canary.running(20)).with({ replicas: 3 }).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'blue', replicas: 3 }]);
    canary.settle().decide();
    expect(canary.written).toEqual(blue(100));
  },
  'how its last run ended is told before it goes': (canary) => {
    deleted(canary.running(20)).decide();
    canary.settle().decide().later(5).decide().settle().decide();
    given(canary);
    expect(kinds(canary)).not.toContain('removeFinalizer');
    expect(canary.status.phase).toBe('Terminating');
    expect(canary.progress).toEqual({ reason: 'Telling', message: expect.stringMatching(/^everything is given back; until \S+Z the Canary waits for the message Started to all and the message Cancelled to all$/) as string });
    canary.status.messages = [];
    canary.decide();
    expect(kinds(canary).at(-1)).toBe('removeFinalizer');
    expect(canary.said).toEqual(['Released: reviews given back: Deployment reviews serves by itself']);
  },
  'a receiver that is away keeps it for a minute at most': (canary) => {
    returned(canary.wants('b2').decide().wants('a1')).sees({ slots: empty, target: marked }).selects('marked').decide();
    expect(canary.status.messages).toHaveLength(2);
    canary.later(59).decide();
    expect(kinds(canary)).not.toContain('removeFinalizer');
    expect(canary.wakesIn).toBe(1);
    canary.later(1).decide();
    expect(kinds(canary).at(-1)).toBe('removeFinalizer');
  },
  'a revert that is on its way to Git is waited for, too': (canary) => {
    canary.status.writeBacks = [{ kind: 'revert', state: 'Pending', run: 'b2-1', revision: 'b2', at: canary.status.adoptedAt ?? '' }];
    returned(canary).sees({ slots: empty, target: marked }).selects('marked').decide();
    expect(canary.progress.message).toContain('the revert in Git');
    canary.status.writeBacks = [];
    canary.decide();
    expect(kinds(canary).at(-1)).toBe('removeFinalizer');
  },
  'what people asked for is answered before it goes': (canary) => {
    deleted(canary.act('hold')).decide();
    expect(canary.effects('finishAction')).toMatchObject([{ result: 'Refused' }]);
  },
});
