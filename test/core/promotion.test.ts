import { expect } from 'vitest';
import { blue, slotWith, type Situation } from './builders.js';
import { sentences } from './sentences.js';

/** All traffic is at b2 in green; the drain has begun. */
function finalising(canary: Situation): Situation {
  return canary.running(50, 10).decide().settle().decide().settle().decide();
}

sentences('promoting', {
  'all traffic moves only when the new pods can carry it': (canary) => {
    canary.with({ replicas: 4 }).blue(slotWith('a1', 4)).wants('b2').green(slotWith('b2', 4)).decide().weights(50);
    if (canary.status.step) canary.status.step.weight = 50;
    canary.decide().later(10).green(slotWith('b2', 4, 3)).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress).toEqual({ reason: 'ScalingUp', message: 'weight 100 % waits: slot green has 3 of 4 ready pods that 100 % of the traffic needs (4 of 4 pods)' });
    expect(canary.green(slotWith('b2', 4)).decide().written).toEqual(blue(0));
  },
  'callers outside the mesh get both versions first, then the new one after a drain': (canary) => {
    canary.running(50, 10).decide().settle().decide();
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue', 'green'] }]);
    canary.settle().decide().later(4).decide();
    expect(canary.effects('selectService')).toEqual([]);
    expect(canary.later(1).decide().effects('selectService')).toEqual([{ type: 'selectService', slots: ['green'] }]);
  },
  'the slots change roles, and nothing is rebuilt': (canary) => {
    finalising(canary).later(5).decide().settle().decide();
    expect(canary.status.stable).toMatchObject({ revision: 'b2', slot: 'green', commit: 'b2commit' });
    expect(canary.status.phase).toBe('Succeeded');
    expect(canary.effects('fillSlot')).toEqual([]);
    expect(canary.effects('scaleSlot')).toEqual([]);
  },
  'the old version stays warm, so that going back is one weight write, then goes': (canary) => {
    finalising(canary).later(5).decide().settle().decide();
    expect(canary.later(59).decide().effects('scaleSlot')).toEqual([]);
    expect(canary.later(1).decide().effects('scaleSlot')).toMatchObject([{ slot: 'blue', replicas: 0 }]);
  },
  'kubectl wait --for=condition=promoted is answered, and names the revision': (canary) => {
    expect(canary.running(20).condition('Promoted')).toMatchObject({ status: 'Unknown', message: 'revision b2 is being released' });
    canary.pass(120);
    expect(canary.condition('Promoted')).toMatchObject({ status: 'True', reason: 'Succeeded', message: 'revision b2 is the stable one' });
  },
  'the ending says on what evidence': (canary) => {
    canary.running(20).pass(120);
    expect(canary.ended).toBe('Succeeded Promoted');
    expect(canary.status.history?.[0]?.message).toContain('success rate 100 % >= 99 % over 500 requests');
  },
  'when the last pod of the new version dies before the end, traffic goes back': (canary) => {
    finalising(canary).green(slotWith('b2', 2, 0, { failure: 'OOMKilled' })).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.status.run?.ending).toMatchObject({ result: 'Failed', message: 'no pod of the promoted revision is ready any more: OOMKilled' });
  },
  'with nobody ready anywhere nothing is written': (canary) => {
    finalising(canary).green(slotWith('b2', 2, 0)).blue(slotWith('a1', 2, 0)).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.effects('selectService')).toEqual([]);
    expect(canary.condition('Ready')).toMatchObject({ status: 'False', reason: 'NoReadyEndpoints' });
  },
  'weights that somebody resets during the drain come back': (canary) => {
    expect(finalising(canary).weights(50).decide().written).toEqual(blue(0));
  },
  'a Service that somebody resets during the drain drains again': (canary) => {
    finalising(canary).later(4).selects('blue').decide();
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue', 'green'] }]);
    canary.settle().decide().later(4).decide();
    expect(canary.effects('selectService')).toEqual([]);
    expect(canary.later(1).decide().effects('selectService')).toEqual([{ type: 'selectService', slots: ['green'] }]);
  },
  'without any Service of mine, promotion ends all the same': (canary) => {
    finalising(canary).selects('none').later(5).decide();
    expect(canary.later(5).decide().status.stable?.revision).toBe('b2');
  },
  'spec.skipAnalysis promotes without steps, but never without capacity': (canary) => {
    canary.with({ skipAnalysis: true }).wants('b2').decide().green(slotWith('b2', 2, 1)).decide();
    expect(canary.written).toBeUndefined();
    canary.green(slotWith('b2', 2)).pass(60);
    expect(canary.ended).toBe('Succeeded AnalysisSkipped');
  },
  'a version is judged after all when skipAnalysis is taken back before it has any traffic': (canary) => {
    canary.with({ skipAnalysis: true }).wants('b2').decide().green(slotWith('b2', 2)).decide();
    expect(canary.written).toEqual(blue(0));
    canary.with({}).decide();
    expect(canary.written).toEqual(blue(80));
    canary.settle().later(10).pass(120);
    expect(canary.ended).toBe('Succeeded Promoted');
  },
  'once it has all traffic, that is too late': (canary) => {
    canary.with({ skipAnalysis: true }).wants('b2').decide().green(slotWith('b2', 2)).decide().settle().with({}).pass(60);
    expect(canary.ended).toBe('Succeeded AnalysisSkipped');
  },
  'what had been stable before is not judged again for that': (canary) => {
    canary.status.knownGood = ['a1', 'b2'];
    canary.wants('b2').decide().green(slotWith('b2', 2)).decide();
    expect(canary.decide().written).toEqual(blue(0));
  },
});
