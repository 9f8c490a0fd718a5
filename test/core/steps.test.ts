import { expect } from 'vitest';
import { badMetrics, blue, slotWith } from './builders.js';
import { sentences } from './sentences.js';

const gate = (type: 'confirm-traffic-increase' | 'confirm-promotion' | 'pre-rollout') => ({ analysis: { webhooks: [{ name: 'gate', type, url: 'http://gate.example/' }] } });

sentences('stepping up', {
  'the first weight comes as soon as the pods are ready': (canary) => {
    canary.wants('b2').green(slotWith('b2', 2)).decide();
    expect(canary.written).toEqual(blue(80));
    expect(canary.progress.message).toBe('weight 20 %, step 1 of 2; the next check is due at 2030-01-01T00:00:10.000Z');
  },
  'nothing happens before the check is due, whatever wakes us': (canary) => {
    canary.running(20, 9).decide();
    expect(canary.asked.metrics).toEqual([]);
    expect(canary.written).toBeUndefined();
    expect(canary.wakesIn).toBe(1);
  },
  'a good check leads to the next weight': (canary) => {
    canary.running(20, 10).decide();
    expect(canary.asked.metrics).toHaveLength(1);
    expect(canary.written).toEqual(blue(50));
    expect(canary.status.step).toMatchObject({ index: 1, of: 2, weight: 50 });
  },
  'the last good check promotes': (canary) => {
    canary.running(50, 10).decide();
    expect(canary.status.phase).toBe('Promoting');
    expect(canary.written).toEqual(blue(0));
  },
  'a step is held as long as the plan says, and judged all the while': (canary) => {
    canary.with({ analysis: { steps: [{ weight: 20, hold: '25s' }, { weight: 50 }] } }).running(20, 10).decide();
    expect(canary.asked.metrics).toHaveLength(1);
    expect(canary.written).toBeUndefined();
    expect(canary.later(10).decide().written).toBeUndefined();
    expect(canary.wakesIn).toBe(5);
    expect(canary.later(5).decide().written).toEqual(blue(50));
  },
  'a restart of the controller neither skips nor repeats a step': (canary) => {
    canary.running(20, 3);
    // Nothing but the status survives.
    canary.status = JSON.parse(JSON.stringify(canary.status)) as typeof canary.status;
    expect(canary.decide().written).toBeUndefined();
    expect(canary.wakesIn).toBe(7);
  },
  'a step whose weight took its time to be written lasts its full hold from then on': (canary) => {
    canary.running(20, 10);
    // Written down ten seconds ago, in force for four.
    canary.sees({ routes: { weights: blue(80), consistent: true, since: canary.now - 4_000 } }).decide();
    expect(canary.asked.metrics).toEqual([]);
    expect(canary.written).toBeUndefined();
    expect(canary.wakesIn).toBe(6);
    expect(canary.later(6).decide().written).toEqual(blue(50));
  },
  'a step whose weight came late lasts its full hold also when nobody lived to see it come': (canary) => {
    canary.running(20, 10);
    // The successor has seen no other weights; the API server says when they were written, in whole seconds.
    canary.sees({ routes: { weights: blue(80), consistent: true, writtenAt: canary.now - 4_000 } }).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.wakesIn).toBe(7);
  },
  'a step whose weight was written at once goes on with its clock after a change of leader': (canary) => {
    canary.running(20, 10);
    canary.sees({ routes: { weights: blue(80), consistent: true, writtenAt: canary.now - 10_000 } }).decide();
    expect(canary.written).toEqual(blue(50));
  },
  'callers of a stable version without a ready pod get the canary, with as many pods as it has': (canary) => {
    canary.running(20).blue(slotWith('a1', 2, 0)).green(slotWith('b2', 2, 1)).decide();
    expect(canary.written).toEqual(blue(0));
  },
  'a drain is never counted from before a weight that may be in force': (canary) => {
    canary.wants('b2').green(slotWith('b2', 2)).decide();
    expect(canary.written).toEqual(blue(80));
    // The intent is stored before the write: whoever takes over, and does not see the weight yet, must not empty the slot.
    expect(canary.status.slots?.green?.unroutedSince).toBeUndefined();
  },
  'a step whose write failed lasts its full hold from when the weight was seen': (canary) => {
    canary.wants('b2').green(slotWith('b2', 2)).decide();
    canary.later(4).sees({ writeError: 'setWeights: 503' }).decide();
    expect(canary.written).toEqual(blue(80));
    expect(canary.progress).toEqual({ reason: 'WriteFailed', message: 'setWeights: 503; weight 20 % is being written' });
    delete canary.observed.writeError;
    canary.later(4).weights(80).decide();
    expect(canary.status.nextStepTime).toBe('2030-01-01T00:00:18.000Z');
  },
  'writes that fail again and again do not change the status each time': (canary) => {
    canary.wants('b2').green(slotWith('b2', 2)).decide();
    canary.sees({ writeError: 'setWeights: 503' }).decide();
    const before = structuredClone(canary.status);
    expect(canary.later(1).decide().status).toEqual(before);
  },
  'a plan that I edit mid-run goes on from the weight that is in force': (canary) => {
    canary.running(20, 10).with({ analysis: { stepWeights: [10, 30, 60] } }).decide();
    expect(canary.written).toEqual(blue(70));
  },
  'a plan whose higher weights I remove ends with the weight in force': (canary) => {
    canary.running(50, 10).with({ analysis: { stepWeights: [20] } }).decide();
    expect(canary.status.phase).toBe('Promoting');
  },
  'more traffic waits for the pods that it needs': (canary) => {
    canary.with({ replicas: 10 }).blue(slotWith('a1', 10)).wants('b2').green(slotWith('b2', 10)).decide().weights(80);
    canary.green(slotWith('b2', 10, 3)).later(10).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress).toEqual({ reason: 'ScalingUp', message: 'weight 50 % waits: slot green has 3 of 5 ready pods that 50 % of the traffic needs (5 of 10 pods)' });
  },
  'the canary gets more pods when an autoscaler asks for more': (canary) => {
    canary.running(20).with({ replicas: 5 }).decide();
    expect(canary.effects('scaleSlot')).toMatchObject(expect.arrayContaining([{ type: 'scaleSlot', slot: 'green', replicas: 5, why: '5 pods for revision b2' }]) as object);
  },
  'a step waits while the stable version has too few pods to judge against': (canary) => {
    canary.running(20, 10).blue(slotWith('a1', 2, 1)).decide();
    expect(canary.progress).toEqual({ reason: 'StableNotReady', message: '1 of 2 pods of the stable revision are ready' });
  },
  'a step that asks for approval waits for it, says so until it comes, and has no deadline meanwhile': (canary) => {
    canary.with({ analysis: { steps: [{ weight: 20, approve: true }, { weight: 50 }] } }).running(20, 10).decide();
    expect(canary.status.phase).toBe('WaitingPromotion');
    expect(canary.later(1).decide().progress.message).toBe('reviews waits for approval at weight 20 %: sluice approve reviews');
    expect(canary.status.deadline).toBeUndefined();
    expect(canary.later(10_000).decide().status.run?.ending).toBeUndefined();
    expect(canary.act('approve').decide().written).toEqual(blue(50));
  },
  'a webhook may hold more traffic back, says so until it is asked again, and is asked once per step': (canary) => {
    canary.with(gate('confirm-traffic-increase')).running(20, 10);
    canary.hooks = { gate: { ok: false, message: '403' } };
    canary.decide();
    expect(canary.written).toBeUndefined();
    expect(canary.later(1).decide().progress).toEqual({ reason: 'WaitingForWebhook', message: 'webhook gate (confirm-traffic-increase) has not agreed: 403' });
    canary.hooks = {};
    expect(canary.later(5).decide().written).toEqual(blue(50));
  },
  'a webhook may hold the promotion back': (canary) => {
    canary.with(gate('confirm-promotion')).running(50, 10);
    canary.hooks = { gate: { ok: false, message: 'not on Fridays' } };
    canary.decide();
    expect(canary.status.phase).toBe('WaitingPromotion');
    expect(canary.written).toBeUndefined();
  },
  'a webhook is asked before any traffic comes': (canary) => {
    canary.with(gate('pre-rollout')).hooks = { gate: { ok: false, message: 'smoke test failed' } };
    canary.wants('b2').green(slotWith('b2', 2)).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress.message).toContain('smoke test failed');
  },
  'spec.suspend holds a run where it is, without a deadline': (canary) => {
    canary.running(20, 10).with({ suspend: true }).decide();
    expect(canary.progress.reason).toBe('Suspended');
    expect(canary.status.deadline).toBeUndefined();
    expect(canary.with({}).decide().written).toEqual(blue(50));
  },
});

sentences('why a step waits is said until it is looked at again', {
  'the metrics server is down': (canary) => {
    canary.running(20, 10).answers({ kind: 'Error', query: 'q', message: 'connection refused', permanent: false }).decide();
    expect(canary.progress).toEqual({ reason: 'MetricsUnavailable', message: 'request-success-rate: connection refused' });
    // A pod, an endpoint or our own status changes before the next check.
    expect(canary.later(1).decide().progress).toEqual({ reason: 'MetricsUnavailable', message: 'request-success-rate: connection refused' });
    expect(canary.asked.metrics).toEqual([]);
  },
  'there is too little traffic': (canary) => {
    canary.with({ analysis: { metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 }, minSamples: 100 }] } }).running(20, 10);
    canary.answers({ kind: 'Value', value: 100, samples: 12, query: 'q', from: 0, to: 1 }).decide();
    expect(canary.later(1).decide().progress).toEqual({ reason: 'NotEnoughData', message: 'request-success-rate: 12 of at least 100 requests were seen' });
  },
  'a check failed, fewer than the threshold': (canary) => {
    canary.running(20, 10).metrics = badMetrics;
    canary.decide();
    expect(canary.later(1).decide().progress).toEqual({ reason: 'ChecksFailing', message: '1 of 2 checks failed; last: success rate 93.1 % < 99 % over 412 requests' });
  },
  'a wait that goes on is in the list of checks once, with its latest words': (canary) => {
    canary.running(20, 10).answers({ kind: 'Error', query: 'q', message: 'connection refused', permanent: false }).decide();
    canary.later(5).answers({ kind: 'Error', query: 'q', message: 'timeout', permanent: false }).decide();
    expect(canary.status.checks).toMatchObject([{ verdict: 'Error', message: 'request-success-rate: timeout' }]);
    expect(canary.status.checks).toHaveLength(1);
    expect(canary.later(1).decide().progress.message).toBe('request-success-rate: timeout');
  },
  'when evidence comes, the step goes on': (canary) => {
    canary.running(20, 10).answers({ kind: 'NoData', query: 'q', message: 'no data' }).decide();
    expect(canary.progress.reason).toBe('NotEnoughData');
    canary.answers({ kind: 'Value', value: 100, samples: 500, query: 'q', from: 0, to: 1 }).later(5).decide();
    expect(canary.written).toEqual(blue(50));
    expect(canary.progress.reason).toBe('Analysing');
  },
});
