import { expect } from 'vitest';
import { slotWith, type Situation } from './builders.js';
import { sentences } from './sentences.js';

const from = { commit: 'c2', source: 'shop/main', author: 'Ada', subject: 'Red stars' };
/** A release of b2 fails; Git goes on wanting it. */
const failed = (canary: Situation): Situation => {
  canary.wants('b2', { provenance: from }).green(slotWith('b2', 2)).decide().weights(80).decide();
  return canary.act('abort').decide().settle().decide();
};
const revert = { onRollback: { git: 'revert' as const } };

sentences('verdicts that go back to Git', {
  'without onRollback.git nothing is asked for': (canary) => {
    expect(failed(canary).status.writeBacks).toBeUndefined();
  },
  'a failed release asks for a revert once its traffic is back': (canary) => {
    failed(canary.with(revert));
    expect(canary.status.writeBacks).toMatchObject([{ kind: 'revert', state: 'Pending', revision: 'b2', stable: 'a1', commit: canary.status.history?.[0]?.commit }]);
  },
  'a commit that is unknown is never reverted, and the status says why': (canary) => {
    canary.with(revert).running(20).act('abort').decide().settle().decide();
    expect(canary.status.writeBacks).toMatchObject([{ state: 'Skipped' }]);
    expect(canary.status.writeBacks?.[0]?.message).toContain('unknown');
  },
  'what was reverted starts no run of its own': (canary) => {
    failed(canary.with(revert)).wants('a1').later(10).decide();
    expect(canary.status.run).toBeUndefined();
    expect(canary.status.history).toHaveLength(1);
  },
  'a revision that fails again after a retry asks for no second revert': (canary) => {
    failed(canary.with(revert));
    canary.status.writeBacks = canary.status.writeBacks?.map((item) => ({ ...item, state: 'Done' as const }));
    canary.act('retry', { revision: 'b2' }).decide().settle().later(30).decide().settle().decide();
    expect(canary.status.run).toBeDefined();
    canary.act('abort').decide().settle().decide();
    expect(canary.status.history).toHaveLength(2);
    expect(canary.status.writeBacks).toMatchObject([{ state: 'Done' }]);
  },
  'a promotion asks for its tag': (canary) => {
    canary.with({ onPromotion: { git: 'tag', name: 'live' }, skipAnalysis: true }).wants('b2', { provenance: from }).pass(120);
    expect(canary.status.stable?.revision).toBe('b2');
    expect(canary.status.writeBacks).toMatchObject([{ kind: 'tag', state: 'Pending', revision: 'b2', commit: 'c2' }]);
  },
});

sentences('a machine that commits a failed revision again', {
  'starts no run, and people hear of it once': (canary) => {
    failed(canary).later(30);
    for (const commit of ['c3', 'c4', 'c5']) {
      canary.status.messages = canary.status.messages?.filter(({ event }) => event === 'Waiting');
      canary.wants('b2', { provenance: { ...from, commit } }).decide().later(10);
    }
    expect(canary.status.run).toBeUndefined();
    expect(canary.status.messages?.map(({ text }) => text)).toEqual([expect.stringContaining('commit c3 by Ada: "Red stars" brings revision b2 again')]);
    expect(canary.status.quarantined?.[0]?.again).toBe('c3');
  },
  'is told anew, by another id, when it failed once more in between': (canary) => {
    const again = (commit: string): string | undefined => {
      canary.wants('b2', { provenance: { ...from, commit } }).later(30).decide();
      return canary.status.messages?.findLast(({ event }) => event === 'Waiting')?.id;
    };
    failed(canary);
    const first = again('c3');
    canary.act('retry').decide().settle().decide().settle().act('abort').pass(30);
    expect(canary.status.quarantined?.[0]?.commit).toBe('c3');
    const second = again('c4');
    expect(first).toMatch(/^default\/reviews\/again-[a-z0-9]+\/Waiting$/);
    expect(second).toMatch(/^default\/reviews\/again-[a-z0-9]+\/Waiting$/);
    expect(second).not.toBe(first);
  },
});

sentences('a later commit that makes the revision which serves', {
  'starts no run, and is named': (canary) => {
    canary.with({ skipAnalysis: true }).wants('b2', { provenance: from }).pass(120);
    expect(canary.status.stable).toMatchObject({ revision: 'b2', commit: 'c2' });
    canary.wants('b2', { provenance: { ...from, commit: 'c3' } }).later(60).decide();
    expect(canary.status.run).toBeUndefined();
    expect(canary.progress).toMatchObject({ reason: 'Idle', message: 'revision b2 serves; commit c3 by Ada: "Red stars" makes the same, so there is nothing to release' });
  },
  'is the released one itself, or came with it: nothing is said': (canary) => {
    canary.with({ skipAnalysis: true }).wants('b2', { provenance: { ...from, commits: ['c1'] } }).pass(120);
    for (const commit of ['c2', 'c1']) {
      canary.wants('b2', { provenance: { ...from, commit } }).decide();
      expect(canary.progress.message).toBe('revision b2 serves; no release is under way');
    }
  },
});

sentences('Sluice-Retry', {
  'runs a quarantined revision again': (canary) => {
    failed(canary).later(30).wants('b2', { provenance: { ...from, commit: 'c3' }, retry: true }).decide();
    expect(canary.status.run).toBeDefined();
    expect(canary.status.canary?.commit).toBe('c3');
  },
  'runs it once per commit: it fails again, and stays quarantined': (canary) => {
    failed(canary).later(30).wants('b2', { provenance: { ...from, commit: 'c3' }, retry: true }).decide();
    canary.act('abort').decide().settle().decide().later(30).decide();
    expect(canary.status.run).toBeUndefined();
    expect(canary.progress.reason).toBe('Quarantined');
  },
  'of the commit that failed itself changes nothing': (canary) => {
    failed(canary).later(30).wants('b2', { provenance: { ...from, commit: canary.status.quarantined?.[0]?.commit ?? '' }, retry: true }).decide();
    expect(canary.status.run).toBeUndefined();
  },
});

sentences('provenance that is confirmed late', {
  'comes into the run that it is for': (canary) => {
    canary.wants('b2', { provenance: {} }).decide().settle().decide();
    expect(canary.status.canary?.commit).toBeUndefined();
    canary.wants('b2', { provenance: from }).decide();
    expect(canary.status.canary).toMatchObject({ revision: 'b2', commit: 'c2', source: 'shop/main' });
  },
  'comes into the ending too, and asks for the revert then': (canary) => {
    canary.with(revert).wants('b2', { provenance: {} }).green(slotWith('b2', 2)).decide().weights(80).decide().act('abort').decide().settle().decide();
    expect(canary.status.writeBacks).toMatchObject([{ state: 'Skipped' }]);
    canary.later(5).wants('b2', { provenance: from }).decide();
    expect(canary.status.history).toMatchObject([{ commit: 'c2', source: 'shop/main' }]);
    expect(canary.status.quarantined).toMatchObject([{ revision: 'b2', commit: 'c2' }]);
    expect(canary.status.writeBacks).toMatchObject([{ state: 'Pending', commit: 'c2' }]);
  },
  'never changes what is known': (canary) => {
    canary.wants('b2', { provenance: from }).decide().settle().decide();
    canary.wants('b2', { provenance: { commit: 'other' } }).decide();
    expect(canary.status.canary?.commit).toBe('c2');
  },
});
