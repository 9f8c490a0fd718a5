import { expect } from 'vitest';
import { emptySlot, slotWith } from './builders.js';
import { sentences } from './sentences.js';

const gate = { analysis: { webhooks: [{ name: 'freeze', type: 'confirm-rollout' as const, url: 'http://gate.example/' }] } };

sentences('beginning a run', {
  'a commit starts the new version beside the old one, with as many pods': (canary) => {
    canary.wants('b2').decide();
    expect(canary.status.phase).toBe('Progressing');
    expect(canary.effects('fillSlot')).toEqual([{ type: 'fillSlot', slot: 'green', revision: 'b2', replicas: 2 }]);
    expect(canary.written).toBeUndefined();
  },
  'the revision is kept before a slot is filled with it': (canary) => {
    const kinds = canary.wants('b2').decide().decision.effects.map((effect) => effect.type);
    expect(kinds.indexOf('keepRevision')).toBeLessThan(kinds.indexOf('fillSlot'));
    expect(kinds).toContain('keepRevision');
  },
  'pods of a slot that was emptied a moment ago are not taken for those of a new run': (canary) => {
    const leaving = { pods: 2, ready: 2, endpoints: 2 };
    canary.wants('b2').green(slotWith('b2', 0, 0, leaving)).decide();
    expect(canary.effects('scaleSlot')).toEqual([]);
    expect(canary.written).toBeUndefined();
    expect(canary.green(slotWith('b2', 0)).decide().effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 2 }]);
  },
  'one commit is several writes: nothing starts before they were quiet for a second': (canary) => {
    canary.wants('b2', { since: canary.now }).decide();
    expect(canary.progress.reason).toBe('Settling');
    expect(canary.wakesIn).toBe(1);
    expect(canary.later(1).decide().status.run).toBeDefined();
  },
  'the run knows its commit, author and subject': (canary) => {
    canary.wants('b2', { provenance: { commit: '1a2b3c4d5e', author: 'Ada', subject: 'Red stars' } }).decide();
    expect(canary.status.canary).toMatchObject({ commit: '1a2b3c4d5e', author: 'Ada', subject: 'Red stars' });
    expect(canary.said.join()).toContain('commit 1a2b3c4 by Ada: "Red stars"');
  },
  'nothing starts while spec.suspend is set': (canary) => {
    expect(canary.with({ suspend: true }).wants('b2').decide().progress.reason).toBe('Suspended');
    expect(canary.status.run).toBeUndefined();
  },
  'nothing starts while nobody wants any pods': (canary) => {
    expect(canary.with({ replicas: 0 }).wants('b2').decide().progress.reason).toBe('NoReplicas');
    expect(canary.status.run).toBeUndefined();
  },
  'a revision that failed does not start again when it is applied again': (canary) => {
    canary.status.quarantined = [{ revision: 'b2', reason: 'success rate 93 % < 99 %', at: '2030-01-01T00:00:00.000Z' }];
    canary.wants('b2').decide();
    expect(canary.status.run).toBeUndefined();
    expect(canary.progress).toEqual({ reason: 'Quarantined', message: 'revision b2 failed at 2030-01-01T00:00:00.000Z: success rate 93 % < 99 %; commit a change, or run: sluice retry reviews' });
  },
  'a commit that asks for a retry starts it again': (canary) => {
    canary.status.quarantined = [{ revision: 'b2', reason: 'bad', at: '2030-01-01T00:00:00.000Z' }];
    canary.wants('b2', { retry: true }).decide();
    expect(canary.status.run).toBeDefined();
    expect(canary.status.quarantined).toEqual([]);
  },
  'a ConfigMap that cannot be read is not a change': (canary) => {
    delete canary.observed.desired;
    canary.sees({ problems: [{ reason: 'ConfigUnreadable', message: 'ConfigMap stars does not exist' }] }).decide();
    expect(canary.status.run).toBeUndefined();
    expect(canary.condition('Stalled').reason).toBe('ConfigUnreadable');
    expect(canary.condition('Ready').status).toBe('True');
  },
  'a webhook must agree first, and is asked again after a while': (canary) => {
    canary.with(gate).hooks = { freeze: { ok: false, message: '403 code freeze' } };
    canary.wants('b2').decide();
    expect(canary.status.phase).toBe('Waiting');
    expect(canary.progress.message).toContain('403 code freeze');
    canary.later(1).decide();
    expect(canary.asked.hooks).toEqual([]);
    canary.hooks = {};
    expect(canary.later(4).decide().status.run).toBeDefined();
    expect(canary.asked.hooks).toEqual(['freeze']);
  },
  'when Git goes back before the webhook agreed, nothing waits any more': (canary) => {
    canary.with(gate).hooks = { freeze: { ok: false, message: '403' } };
    canary.wants('b2').decide().wants('a1').decide();
    expect(canary.status.phase).toBe('Initialized');
    expect(canary.progress.reason).toBe('Idle');
  },
  'the free slot takes the new version only once its last pods are gone': (canary) => {
    canary.green(slotWith('z9', 0, 0, { pods: 1 })).wants('b2').decide();
    expect(canary.effects('fillSlot')).toEqual([]);
    expect(canary.progress).toEqual({ reason: 'EmptyingSlot', message: 'slot green waits for 1 pods of revision z9 to end' });
    expect(canary.green(slotWith('z9', 0)).decide().effects('fillSlot')).toHaveLength(1);
  },
  'the free slot is not emptied while its last callers may still be there': (canary) => {
    canary.status.slots = { blue: {}, green: { unroutedSince: '2029-12-31T23:59:58.000Z' } };
    canary.green(slotWith('z9', 2)).wants('b2').decide();
    expect(canary.effects('scaleSlot')).toEqual([]);
    expect(canary.later(3).decide().effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 0 }]);
  },
  'a slot that already holds the revision, warm, is used as it is': (canary) => {
    canary.green(slotWith('b2', 2)).wants('b2').decide();
    expect(canary.effects('fillSlot')).toEqual([]);
    expect(canary.written).toEqual({ blue: 80, green: 20 });
  },
  'no weight is given before the pods are ready': (canary) => {
    canary.wants('b2').decide().green(slotWith('b2', 2, 1)).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress.message).toBe('1 of 2 pods of revision b2 are ready');
  },
  'an image without a tag of its own is pointed out': (canary) => {
    expect(canary.wants('b2', { mutableImages: ['shop/reviews'] }).decide().said.join()).toContain('MutableImage: reviews revision b2 uses shop/reviews;');
  },
  'kubectl rollout restart is not a release: the pods of the stable slot are replaced in place': (canary) => {
    canary.blue(slotWith('a1', 2, 2, { oldestPod: canary.now - 60_000 })).sees({ target: { replicas: 0, readyReplicas: 0, overlaid: true, userReplicas: 2, restartedAt: '2029-12-31T23:59:30Z' } }).decide();
    expect(canary.effects('restartSlot')).toEqual([{ type: 'restartSlot', slot: 'blue', at: '2029-12-31T23:59:30Z' }]);
    expect(canary.status.run).toBeUndefined();
    canary.blue(slotWith('a1', 2, 2, { oldestPod: canary.now - 60_000, restartedAt: '2029-12-31T23:59:30Z' })).decide();
    expect(canary.effects('restartSlot')).toEqual([]);
  },
  'a restart that was asked for before the pods were made asks for nothing': (canary) => {
    canary.blue(slotWith('a1', 2, 2, { oldestPod: canary.now })).sees({ target: { replicas: 0, readyReplicas: 0, overlaid: true, userReplicas: 2, restartedAt: '2029-12-31T23:59:30Z' } }).decide();
    expect(canary.effects('restartSlot')).toEqual([]);
  },
  'a restart that is asked for in the middle of a run waits for its end': (canary) => {
    canary.running(20).blue(slotWith('a1', 2, 2, { oldestPod: 0 }));
    canary.sees({ target: { replicas: 0, readyReplicas: 0, overlaid: true, userReplicas: 2, restartedAt: '2029-12-31T23:59:30Z' } }).decide();
    expect(canary.effects('restartSlot')).toEqual([]);
    canary.act('abort').pass(10);
    expect(canary.status.run).toBeUndefined();
    canary.blue(slotWith('a1', 2, 2, { oldestPod: 0 })).decide();
    expect(canary.effects('restartSlot')).toMatchObject([{ slot: 'blue' }]);
  },
  'an upgrade of the API server or of Sluice that gives my template another hash releases nothing': (canary) => {
    canary.wants('a1', { origin: 'uid/7' }).decide();
    canary.wants('n1', { origin: 'uid/7' }).decide();
    expect(canary.status.run).toBeUndefined();
    expect(canary.status.stable?.revision).toBe('a1');
    // Nor when something else of the Deployment is edited afterwards.
    canary.wants('n1', { origin: 'uid/8' }).decide();
    expect(canary.status.run).toBeUndefined();
    expect(canary.wants('b2', { origin: 'uid/9' }).green(emptySlot()).decide().status.canary?.revision).toBe('b2');
  },
});
