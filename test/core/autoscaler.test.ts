import { expect } from 'vitest';
import { canaryStatus } from '../../src/api/index.js';
import { emptySlot, slotWith, type Situation } from './builders.js';
import { sentences } from './sentences.js';

const NAME = 'HorizontalPodAutoscaler reviews';
/** An autoscaler on memory scales the Canary, and a run has weight on both sides of four pods. */
function shared(canary: Situation, replicas = 4): Situation {
  canary.with({ replicas }).blue(slotWith('a1', replicas)).sees({ autoscaler: { name: NAME, perPod: true }, target: { replicas: 0, readyReplicas: 0, overlaid: true, userReplicas: replicas } });
  canary.status.seededReplicas = replicas;
  canary.status.targetReplicas = replicas;
  canary.wants('b2').green(slotWith('b2', replicas)).decide();
  canary.weights(80).decide();
  expect(canary.status.replicas).toBe(2 * replicas);
  return canary;
}
/** The autoscaler writes another number. */
const asks = (canary: Situation, replicas: number): Situation => canary.with({ replicas }).decide();
const pods = (canary: Situation): number[] => canary.effects('scaleSlot').map(({ replicas }) => replicas);

sentences('growth that an autoscaler asks for on memory, Pods or Value metrics during a run', {
  'up to the number of pods that it counted is none': (canary) => {
    asks(shared(canary), 8);
    expect(pods(canary)).toEqual([]);
    expect(canary.status.growth).toEqual({ asked: 8, counted: 4 });
    asks(canary, 7);
    expect(pods(canary)).toEqual([]);
  },
  'counts beyond that number': (canary) => {
    asks(shared(canary), 10);
    expect(pods(canary)).toEqual([6, 6]);
    canary.blue(slotWith('a1', 6)).green(slotWith('b2', 6)).decide();
    expect(canary.status).toMatchObject({ replicas: 12, seededReplicas: 6 });
    asks(canary, 12);
    expect(pods(canary)).toEqual([]);
  },
  'is decided once: the pods that it brought do not count against it': (canary) => {
    asks(shared(canary), 10);
    canary.blue(slotWith('a1', 6)).green(slotWith('b2', 6)).decide().decide();
    expect(pods(canary)).toEqual([]);
    expect(canary.status.growth).toEqual({ asked: 10, counted: 6 });
  },
  'a smaller number counts as it is': (canary) => {
    asks(shared(canary), 3);
    expect(pods(canary)).toContain(3);
    expect(canary.status.growth).toBeUndefined();
  },
  'what the load asks for counts whole': (canary) => {
    shared(canary).sees({ autoscaler: { name: NAME, perPod: true, loadRatio: 0.9 } });
    asks(canary, 8);
    expect(pods(canary)).toEqual([8, 8]);
  },
  'while only the stable slot has weight, everything counts': (canary) => {
    canary.sees({ autoscaler: { name: NAME, perPod: true } }).wants('b2').decide();
    asks(canary, 3);
    expect(pods(canary)).toContain(3);
  },
  'an autoscaler on CPU is taken at its word': (canary) => {
    shared(canary).sees({ autoscaler: { name: NAME, perPod: false } });
    asks(canary, 8);
    expect(pods(canary)).toEqual([8, 8]);
  },
  'without a run, too': (canary) => {
    asks(canary.sees({ autoscaler: { name: NAME, perPod: true } }), 5);
    expect(pods(canary)).toEqual([5]);
  },
  'the number that did not count is put right when the run is over': (canary) => {
    asks(shared(canary), 8);
    canary.act('abort').pass(20);
    expect(canary.ended).toContain('Failed');
    expect(canary.effects('seedReplicas')).toEqual([{ type: 'seedReplicas', replicas: 4 }]);
    expect(canary.effects('scaleSlot').map(({ slot, replicas }) => `${slot} ${replicas}`)).not.toContain('blue 8');
    expect(asks(canary, 4).effects('seedReplicas')).toEqual([]);
  },
  'a replace that drops the number brings the one that counted back': (canary) => {
    asks(shared(canary), 10);
    canary.with({ replicas: undefined }).decide();
    expect(canary.effects('seedReplicas')).toEqual([{ type: 'seedReplicas', replicas: 6 }]);
  },
});

const blind = { name: NAME, perPod: false, inactive: 'FailedGetResourceMetric: no metrics came back' };
sentences('an autoscaler whose ScalingActive is False', {
  'holds the first step, with its name and its words': (canary) => {
    canary.sees({ autoscaler: blind }).wants('b2').green(slotWith('b2', 2)).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress).toEqual({
      reason: 'AutoscalerInactive',
      message: 'HorizontalPodAutoscaler reviews cannot scale (ScalingActive is False: FailedGetResourceMetric: no metrics came back); the weight stays until it can',
    });
    canary.later(3600).decide();
    expect(canary.progress.reason).toBe('AutoscalerInactive');
    canary.sees({ autoscaler: { name: NAME, perPod: false } }).decide();
    expect(canary.written?.green).toBe(20);
  },
  'holds the weight, and the deadline waits with it': (canary) => {
    canary.running(20).sees({ autoscaler: blind }).pass(300);
    expect(canary.status.step?.weight).toBe(20);
    expect(canary.progress.reason).toBe('AutoscalerInactive');
    expect(canary.ended).toBeUndefined();
    canary.sees({ autoscaler: { name: NAME, perPod: false } }).pass(6);
    expect(canary.status.step?.weight).toBe(50);
  },
  'does not keep a bad version from being taken back': (canary) => {
    canary.running(20).sees({ autoscaler: blind });
    canary.answers({ kind: 'Value', value: 90, samples: 500, query: 'q', from: 0, to: 1 }).pass(60);
    expect(canary.ended).toBe('Failed ChecksFailed');
  },
  'is no concern without a run': (canary) => {
    expect(canary.sees({ autoscaler: blind }).decide().progress.reason).toBe('Idle');
  },
});

sentences('an autoscaler of a target that is being adopted', {
  'reads the pods of the target alone while those serve': (canary) => {
    canary.status = canaryStatus.parse({ seededReplicas: 2, targetReplicas: 2 });
    canary.blue(slotWith('a1', 2, 1)).selects('target').sees({
      target: { replicas: 2, readyReplicas: 2, overlaid: false, userReplicas: 2, selector: 'app=reviews' },
      routes: { consistent: false },
    });
    expect(canary.decide().status).toMatchObject({ replicas: 2, selector: 'app=reviews,sluice.dev/slot notin (blue,green)' });
    canary.weights(100).decide();
    expect(canary.status.selector).toBe('sluice.dev/canary=reviews,sluice.dev/slot in (blue)');
  },
  'is led to the Canary before the slot has pods': (canary) => {
    canary.status = canaryStatus.parse({ seededReplicas: 2, targetReplicas: 2 });
    canary.blue(emptySlot()).selects('target').sees({ target: { replicas: 2, readyReplicas: 2, overlaid: false, userReplicas: 2 }, routes: { consistent: false }, attached: false }).decide();
    const order = canary.decision.effects.map(({ type }) => type);
    expect(order.indexOf('attach')).toBeGreaterThan(-1);
    expect(order.indexOf('attach')).toBeLessThan(order.indexOf('fillSlot'));
  },
});
