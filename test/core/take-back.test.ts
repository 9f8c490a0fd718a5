import { expect } from 'vitest';
import { blue, slotWith } from './builders.js';
import { sentences } from './sentences.js';

sentences('taking a version back', {
  'traffic returns in the same decision that found out': (canary) => {
    canary.running(20).green(slotWith('b2', 2, 0)).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.effects('selectService')).toEqual([]);
  },
  'a canary without a ready pod is taken back at once, without a check': (canary) => {
    canary.running(20).green(slotWith('b2', 2, 0, { failure: 'CrashLoopBackOff: exit code 1' })).decide();
    expect(canary.status.run?.ending).toMatchObject({ reason: 'PodsFailing', message: 'no pod of the canary is ready any more: CrashLoopBackOff: exit code 1' });
    expect(canary.asked.metrics).toEqual([]);
  },
  'it is closed and told once the routes show it': (canary) => {
    canary.running(20).act('abort').decide();
    expect(canary.status.history).toBeUndefined();
    canary.settle().decide();
    expect(canary.ended).toBe('Failed Aborted');
    expect(canary.status.phase).toBe('Failed');
  },
  'a write that fails is tried again until it succeeds': (canary) => {
    canary.running(20).act('abort').decide().later(30).sees({ writeError: 'setWeights: 503' }).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.progress.message).toContain('setWeights: 503; traffic returns to the stable revision');
  },
  'traffic returns only as fast as the stable version has pods for it': (canary) => {
    canary.with({ replicas: 10 }).blue(slotWith('a1', 10)).wants('b2').green(slotWith('b2', 10)).decide().weights(20);
    canary.blue(slotWith('a1', 10, 5)).act('abort').decide();
    expect(canary.written).toEqual(blue(50));
    expect(canary.progress.message).toContain('50 % until more of its pods are ready');
    expect(canary.settle().blue(slotWith('a1', 10)).decide().written).toEqual(blue(100));
  },
  'traffic never returns to a stable version without a ready pod': (canary) => {
    canary.running(20).blue(slotWith('a1', 2, 0)).act('abort').decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress.message).toContain('no pod of the stable revision is ready, so the weights stay as they are');
  },
  'somebody edited the slot: what was analysed is not what would be promoted': (canary) => {
    canary.running(20).green(slotWith('b2', 2, 2, { edited: 'Deployment reviews-green carries template revision none' })).decide();
    expect(canary.status.run?.ending?.reason).toBe('SlotEdited');
    expect(canary.written).toEqual(blue(100));
  },
  'pods that never become ready never get traffic': (canary) => {
    canary.wants('b2').decide().green(slotWith('b2', 2, 0, { failure: 'ImagePullBackOff: not found' })).decide().later(60).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.ended).toBe('Failed PodsFailing');
    expect(canary.status.history?.[0]?.message).toBe('0 of 2 pods became ready within 60 s: ImagePullBackOff: not found');
  },
  "the Deployment's own progressDeadlineSeconds counts, too": (canary) => {
    canary.wants('b2').decide().green(slotWith('b2', 2, 0, { exceeded: true })).decide();
    expect(canary.ended).toBe('Failed PodsFailing');
  },
  'a failed version is in quarantine, with its reason': (canary) => {
    canary.running(20).act('abort', { reason: 'looks odd' }).pass(5);
    expect(canary.status.quarantined).toMatchObject([{ revision: 'b2', reason: 'aborted by ada: looks odd', commit: 'b2commit' }]);
  },
  'callers outside the mesh go back with the routes, not after them': (canary) => {
    canary.running(50, 10).decide().settle().decide().settle().act('abort').decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue'] }]);
  },
  'its pods stay until the drain has passed': (canary) => {
    canary.running(20).act('abort').decide().settle().decide();
    expect(canary.effects('scaleSlot')).toEqual([]);
    expect(canary.later(5).decide().effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 0 }]);
  },
  'callers that somebody leads to a stable version without a ready pod get the other slot, until it is back': (canary) => {
    canary.green(slotWith('b2', 2)).blue(slotWith('a1', 2, 0)).weights(18).decide();
    expect(canary.written).toEqual(blue(0));
    canary.settle().blue(slotWith('a1', 2)).decide();
    expect(canary.written).toEqual(blue(100));
  },
  'but nobody is led to a slot that was given nothing, or runs no pods': (canary) => {
    canary.green(slotWith('b2', 2)).blue(slotWith('a1', 2, 0)).decide();
    expect(canary.written).toBeUndefined();
    canary.green({ ...slotWith('b2', 0), endpoints: 1 }).weights(18).decide();
    expect(canary.written).toBeUndefined();
  },
});
