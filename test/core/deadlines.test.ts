import { expect } from 'vitest';
import { blue, slotWith } from './builders.js';
import { sentences } from './sentences.js';

sentences('deadlines', {
  'pods have progressDeadlineSeconds to become ready': (canary) => {
    canary.wants('b2').decide();
    expect(canary.status.deadline).toBe('2030-01-01T00:01:00.000Z');
    canary.green(slotWith('b2', 2, 1)).later(59).decide();
    expect(canary.status.run).toBeDefined();
    expect(canary.wakesIn).toBe(1);
    canary.later(1).decide();
    expect(canary.ended).toBe('Failed PodsFailing');
  },
  'a step has its hold, and after it the deadline': (canary) => {
    canary.with({ analysis: { steps: [{ weight: 20, hold: '1h' }] } }).running(20);
    expect(canary.status.deadline).toBe('2030-01-01T01:01:00.000Z');
  },
  'an outage of the metrics server holds, and the deadline still runs': (canary) => {
    canary.running(20, 10).answers({ kind: 'Error', query: 'q', message: 'connection refused', permanent: false }).decide();
    expect(canary.written).toBeUndefined();
    canary.later(60).decide();
    expect(canary.status.run?.ending).toMatchObject({ reason: 'ProgressDeadlineExceeded', message: 'no progress within 60 s; last: request-success-rate: connection refused' });
    expect(canary.written).toEqual(blue(100));
  },
  'the deadline runs while route writes fail, and says what failed': (canary) => {
    canary.wants('b2').green(slotWith('b2', 2)).decide();
    canary.sees({ writeError: 'setWeights: 503 from the API server' });
    for (let second = 0; second < 70; second += 5) canary.later(5).decide();
    expect(canary.status.history?.[0]).toMatchObject({ reason: 'ProgressDeadlineExceeded', message: 'no progress within 60 s; last: setWeights: 503 from the API server' });
  },
  'a controller that was away gives a run the time of one check before it calls it late': (canary) => {
    canary.wants('b2').decide().later(100).sees({ watchedSince: canary.now }).decide();
    expect(canary.status.run).toBeDefined();
    expect(canary.wakesIn).toBe(10);
    canary.green(slotWith('b2', 2)).decide();
    expect(canary.written).toEqual(blue(80));
  },
  'nothing is blamed on pods that cannot be seen at the moment': (canary) => {
    canary.running(20).green(slotWith('b2', 2, 0)).sees({ blind: true }).decide();
    expect(canary.status.run?.ending).toBeUndefined();
    expect(canary.wakesIn).toBe(1);
    delete canary.observed.blind;
    expect(canary.decide().status.run?.ending).toMatchObject({ reason: 'PodsFailing' });
  },
  'and then it is late': (canary) => {
    canary.wants('b2').decide().later(100).sees({ watchedSince: canary.now }).decide();
    expect(canary.later(10).decide().ended).toBe('Failed ProgressDeadlineExceeded');
  },
  'writing the same weight again does not renew it': (canary) => {
    canary.running(20);
    const { deadline } = canary.status;
    canary.later(30).weights(90).decide();
    expect(canary.written).toEqual(blue(80));
    expect(canary.status.deadline).toBe(deadline);
  },
  'a passed step renews it': (canary) => {
    canary.running(20, 10).decide();
    expect(canary.status.deadline).toBe('2030-01-01T00:01:20.000Z');
  },
  'promotion has a deadline of its own': (canary) => {
    canary.running(50, 10).decide();
    canary.sees({ writeError: 'setWeights: 503' }).later(60).decide();
    expect(canary.status.run?.ending).toMatchObject({ reason: 'ProgressDeadlineExceeded' });
  },
  'growth has a deadline of its own: a healthy version is not taken back for pods that are still starting': (canary) => {
    canary.running(20).later(50).with({ replicas: 20 }).decide();
    expect(canary.status.deadline).toBe('2030-01-01T00:01:50.000Z');
    canary.blue(slotWith('a1', 20, 2)).green(slotWith('b2', 20, 2)).later(59).decide();
    expect(canary.status.run?.ending).toBeUndefined();
    expect(canary.status.step?.weight).toBe(20);
    canary.later(1).decide();
    expect(canary.status.run?.ending).toMatchObject({ reason: 'PodsFailing', message: '2 of 20 pods became ready within 60 s' });
  },
  'an autoscaler that goes up and down does not renew it': (canary) => {
    canary.running(20).answers({ kind: 'Error', query: 'q', message: 'connection refused', permanent: false });
    for (let second = 10; second <= 60; second += 10) canary.later(10).with({ replicas: second % 20 === 0 ? 2 : 4 }).blue(slotWith('a1', 4)).green(slotWith('b2', 4)).decide();
    // Once, for the four pods that were asked for after 10 s.
    expect(canary.status.deadline).toBe('2030-01-01T00:01:10.000Z');
    canary.later(10).decide();
    expect(canary.status.run?.ending?.reason).toBe('ProgressDeadlineExceeded');
  },
  'growth brings no deadline where there is none': (canary) => {
    canary.with({ analysis: { steps: [{ weight: 20, approve: true }] } }).running(20).pass(20);
    expect(canary.progress.reason).toBe('WaitingForApproval');
    canary.with({ replicas: 6, analysis: { steps: [{ weight: 20, approve: true }] } }).decide();
    expect(canary.status.deadline).toBeUndefined();
  },
  'waiting for the last callers of the free slot is not a lack of progress': (canary) => {
    canary.green(slotWith('z9', 2)).wants('b2').decide();
    expect(canary.status.deadline).toBe('2030-01-01T00:01:05.000Z');
  },
  'nobody wants any pods: nothing is to blame': (canary) => {
    canary.running(20).with({ replicas: 0 }).later(1000).blue(slotWith('a1', 0)).green(slotWith('b2', 0)).decide();
    expect(canary.progress.reason).toBe('NoReplicas');
    expect(canary.status.run?.ending).toBeUndefined();
  },
});
