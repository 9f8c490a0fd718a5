import { expect } from 'vitest';
import { blue, slotWith, type Situation } from './builders.js';
import { sentences } from './sentences.js';

const target = (userReplicas: number, more: Partial<NonNullable<Situation['observed']['target']>> = {}): NonNullable<Situation['observed']['target']> => ({ replicas: 0, readyReplicas: 0, overlaid: true, userReplicas, ...more });

sentences('how many pods', {
  'kubectl scale canary/reviews scales the stable slot': (canary) => {
    canary.with({ replicas: 5 }).decide();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'blue', replicas: 5 }]);
    expect(canary.status.seededReplicas).toBe(5);
  },
  'a replace of the Canary that drops spec.replicas does not drop production to one pod': (canary) => {
    canary.with({ replicas: undefined }).status.seededReplicas = 7;
    canary.blue(slotWith('a1', 7)).decide();
    expect(canary.effects('seedReplicas')).toEqual([{ type: 'seedReplicas', replicas: 7 }]);
    expect(canary.effects('scaleSlot')).toEqual([]);
  },
  'another number in the Deployment in Git is taken over': (canary) => {
    canary.sees({ target: target(4) }).decide();
    expect(canary.effects('seedReplicas')).toEqual([{ type: 'seedReplicas', replicas: 4 }]);
    canary.with({ replicas: 4 }).decide();
    expect(canary.status.targetReplicas).toBe(4);
    expect(canary.effects('seedReplicas')).toEqual([]);
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'blue', replicas: 4 }]);
  },
  'while another number is taken over, no pod goes for the sake of the old one': (canary) => {
    canary.sees({ target: target(4) }).blue(slotWith('a1', 3)).decide();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'blue', replicas: 4 }]);
  },
  'the number in Git does not undo what an autoscaler set since': (canary) => {
    canary.with({ replicas: 9 }).blue(slotWith('a1', 9)).sees({ target: target(2) }).decide();
    expect(canary.effects('seedReplicas')).toEqual([]);
    expect(canary.effects('scaleSlot')).toEqual([]);
  },
  'a 0 on the target without its memo may be ours, and is nobody’s wish': (canary) => {
    canary.sees({ target: target(0, { overlaid: false }) }).decide();
    expect(canary.effects('seedReplicas')).toEqual([]);
    expect(canary.effects('overlayTarget')).toHaveLength(1);
  },
  'a sync that scales the target up is put right at once': (canary) => {
    canary.sees({ target: target(2, { replicas: 2 }) }).decide();
    expect(canary.effects('overlayTarget')).toHaveLength(1);
  },
  'somebody who asks for 0 pods gets 0': (canary) => {
    canary.with({ replicas: 0 }).decide();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'blue', replicas: 0 }]);
  },
  'but not in the middle of a run': (canary) => {
    canary.running(20).with({ replicas: 0 }).decide();
    expect(canary.effects('scaleSlot')).toEqual([]);
    expect(canary.progress.reason).toBe('NoReplicas');
  },
  'a proportional canary has what each weight needs, and all pods before everything moves to it': (canary) => {
    canary.with({ replicas: 10, analysis: { canaryReplicas: 'proportional', stepWeights: [20, 50] } }).blue(slotWith('a1', 10));
    expect(canary.wants('b2').decide().effects('fillSlot')).toMatchObject([{ slot: 'green', replicas: 2 }]);
    expect(canary.green(slotWith('b2', 2)).decide().written).toEqual(blue(80));
    canary.weights(80).decide().later(10).decide();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 5 }]);
    expect(canary.written).toBeUndefined();
    expect(canary.green(slotWith('b2', 5)).decide().written).toEqual(blue(50));
    canary.weights(50).decide().later(10).decide();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 10 }]);
    expect(canary.written).toBeUndefined();
    expect(canary.green(slotWith('b2', 10)).decide().written).toEqual(blue(0));
  },
  'a proportional canary has all pods where copies of everything, or requests by a match, lead': (canary) => {
    const match = [{ headers: { user: { exact: 'jason' } } }];
    for (const analysis of [{ mirror: true, stepWeights: [20] }, { stepWeights: undefined, steps: [{ weight: 10, match, approve: false }] }]) {
      const other = canary.with({ replicas: 4, analysis: { ...analysis, canaryReplicas: 'proportional' } }).blue(slotWith('a1', 4)).wants('b2').decide();
      expect(other.effects('fillSlot')).toMatchObject([{ slot: 'green', replicas: 4 }]);
    }
  },
  'an autoscaler reads only the pods that have weight': (canary) => {
    expect(canary.green(slotWith('z9', 2)).decide().status).toMatchObject({ replicas: 2, selector: 'sluice.dev/canary=reviews,sluice.dev/slot in (blue)' });
    canary.green(slotWith('b2', 2)).running(20);
    expect(canary.status).toMatchObject({ replicas: 4, selector: 'sluice.dev/canary=reviews,sluice.dev/slot in (blue,green)' });
  },
  'a warm slot goes when its time is over, and not before its drain': (canary) => {
    canary.green(slotWith('z9', 2)).status.slots = { blue: {}, green: { warmUntil: '2030-01-01T00:00:10.000Z', unroutedSince: '2030-01-01T00:00:00.000Z' } };
    expect(canary.decide().effects('scaleSlot')).toEqual([]);
    expect(canary.wakesIn).toBe(10);
    expect(canary.later(10).decide().effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 0 }]);
  },
});
