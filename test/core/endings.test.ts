import { expect } from 'vitest';
import { blue, emptySlot, slotWith } from './builders.js';
import { sentences } from './sentences.js';

sentences('the four endings', {
  'a new commit mid-run supersedes: weight 0 first, then a drain, then a run of its own': (canary) => {
    canary.running(20).wants('c3').decide();
    expect(canary.written).toEqual(blue(100));
    canary.settle().decide();
    expect(canary.ended).toBe('Superseded NewRevision');
    expect(canary.status.canary?.revision).toBe('c3');
    expect(canary.effects('fillSlot')).toEqual([]);
    expect(canary.effects('scaleSlot')).toEqual([]);
    canary.later(5).decide();
    expect(canary.effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 0 }]);
    expect(canary.green(slotWith('b2', 0)).decide().effects('fillSlot')).toMatchObject([{ slot: 'green', revision: 'c3' }]);
  },
  'a superseded revision may run again': (canary) => {
    canary.running(20).wants('c3').pass(2);
    expect(canary.status.quarantined).toBeUndefined();
  },
  'Git goes back to what serves: cancelled, no alarm, no quarantine': (canary) => {
    canary.running(20).wants('a1').decide();
    expect(canary.written).toEqual(blue(100));
    canary.settle().decide();
    expect(canary.ended).toBe('Cancelled BackToStable');
    expect(canary.decision.events.every((event) => event.type === 'Normal')).toBe(true);
    expect(canary.status.quarantined).toBeUndefined();
  },
  'a commit that is not settled yet ends nothing': (canary) => {
    canary.running(20).wants('c3', { since: canary.now }).decide();
    expect(canary.status.run?.ending).toBeUndefined();
  },
  'once all traffic is at the new version, a newer commit waits for its end': (canary) => {
    canary.running(50, 10).decide().settle().decide().settle().wants('c3').decide();
    expect(canary.status.run?.ending).toBeUndefined();
    canary.later(5).decide().settle().decide();
    expect(canary.ended).toBe('Succeeded Promoted');
    expect(canary.status.canary?.revision).toBe('c3');
  },
  'Git goes back to a known-good revision: straight to it, capacity first, without analysis': (canary) => {
    canary.status.knownGood = ['a1', 'z9'];
    canary.wants('z9').decide().green(slotWith('z9', 2, 1)).decide();
    expect(canary.written).toBeUndefined();
    canary.green(slotWith('z9', 2)).decide();
    expect(canary.written).toEqual(blue(0));
    expect(canary.asked.metrics).toEqual([]);
    expect(canary.pass(30).ended).toBe('Succeeded KnownGood');
  },
  'an ending that is decided stands, whatever comes after': (canary) => {
    canary.running(20).act('abort').decide().wants('a1').act('promote').decide();
    expect(canary.status.run?.ending).toMatchObject({ result: 'Failed', reason: 'Aborted' });
  },
  'the next commit starts in the same decision that closed the last run': (canary) => {
    canary.running(20).wants('c3').decide().settle().decide();
    expect(canary.status.history).toHaveLength(1);
    expect(canary.status.run?.id).toMatch(/^c3-/);
  },
  'the history keeps the weights, the times and who ended it': (canary) => {
    canary.running(20).act('abort').pass(3);
    expect(canary.status.history?.[0]).toMatchObject({ revision: 'b2', weights: [20], startedAt: '2030-01-01T00:00:00.000Z', by: 'ada', commit: 'b2commit' });
  },
  'a weight whose write was refused is no part of the history': (canary) => {
    canary.wants('b2').green(slotWith('b2', 2)).decide().sees({ writeError: 'setWeights: 403' }).later(30).decide().act('abort').decide();
    delete canary.observed.writeError;
    canary.pass(3);
    expect(canary.status.history?.[0]).toMatchObject({ reason: 'Aborted', weights: [] });
  },
  'a revision that was promoted, left and committed again is known good': (canary) => {
    canary.running(20).pass(120);
    expect(canary.status.knownGood).toEqual(['b2', 'a1']);
    canary.wants('a1').blue(slotWith('a1', 2)).decide();
    expect(canary.status.run?.skipAnalysis).toBe(true);
  },
  'an idle Canary with a lost slot fills it again': (canary) => {
    canary.green(emptySlot());
    canary.blue({ replicas: 0, ready: 0, endpoints: 0, pods: 0, exceeded: false }).decide();
    expect(canary.effects('fillSlot')).toMatchObject([{ slot: 'blue', revision: 'a1', replicas: 2 }]);
  },
});
