import { expect } from 'vitest';
import type { Situation } from './builders.js';
import { sentences } from './sentences.js';

const told = (canary: Situation): string[] => (canary.status.messages ?? []).map(({ event, severity }) => `${event} ${severity}`);
const last = (canary: Situation): string | undefined => canary.status.messages?.at(-1)?.text;

sentences('what is told, and to whom', {
  'a run is told at its start and its end, once each': (canary) => {
    canary.running(20).pass(200);
    expect(told(canary)).toEqual(['Started info', 'Succeeded info']);
  },
  'the end of a run is told once, however often the status could not be stored': (canary) => {
    canary.running(20).act('abort').decide().settle();
    const before = canary.status;
    const first = canary.decide().status.messages;
    canary.status = before;
    expect(canary.decide().status.messages).toEqual(first);
  },
  'a failure is an error, and says which commit of whom and why': (canary) => {
    canary.wants('b2', { provenance: { commit: '1a2b3c4d5e', author: 'Ada', subject: 'Red stars' } });
    canary.decide().settle().decide().settle().act('abort', { reason: 'stars are blue' }).pass(2);
    expect(told(canary)).toEqual(['Started info', 'Failed error']);
    expect(last(canary)).toBe('reviews taken back: revision b2, commit 1a2b3c4 by Ada: "Red stars". aborted by ada: stars are blue');
  },
  'an unknown commit is called unknown': (canary) => {
    canary.wants('b2', { provenance: {} }).decide();
    expect(last(canary)).toBe('reviews releasing revision b2, commit unknown');
  },
  'a message leaves only with the status that tells it': (canary) => {
    canary.wants('b2').decide();
    expect(canary.status.messages).toMatchObject([{ id: expect.stringMatching(/^default\/reviews\/b2-[a-z0-9]+\/Started$/) as string, to: ['all'] }]);
  },
  'an alert for warnings does not hear that all is well': (canary) => {
    canary.with({ analysis: { alerts: [{ name: 'pager', severity: 'error', providerRef: { name: 'pager' } }] } }).wants('b2').decide();
    expect(canary.status.messages).toBeUndefined();
    canary.act('abort').pass(2);
    expect(told(canary)).toEqual(['Failed error']);
  },
  'a post-rollout webhook hears every ending, and nothing else': (canary) => {
    canary.with({ analysis: { alerts: [], webhooks: [{ name: 'done', type: 'post-rollout', url: 'http://done.example/' }] } }).running(20).pass(200);
    expect(canary.status.messages).toMatchObject([{ event: 'Succeeded', to: ['webhook/done'] }]);
  },
  'a wait for approval is told once, however long it takes': (canary) => {
    canary.with({ analysis: { steps: [{ weight: 20, approve: true }] } }).running(20, 10).decide().pass(100);
    expect(told(canary)).toEqual(['Started info', 'Waiting warn']);
  },
  'a cancelled and a superseded run are no alarm': (canary) => {
    canary.running(20).wants('a1').pass(2);
    expect(told(canary)).toEqual(['Started info', 'Cancelled info']);
    expect(last(canary)).toContain('Git went back to the stable revision a1');
  },
  'a long subject is cut without breaking a character': (canary) => {
    canary.wants('b2', { provenance: { commit: 'c0ffee', subject: '⭐'.repeat(300) + '😀'.repeat(1000) } }).decide();
    // Throws for half a character.
    expect(encodeURIComponent(last(canary) ?? '')).not.toBe('');
    expect(last(canary)?.length).toBeLessThanOrEqual(1024);
  },
  'with nobody to tell, nothing waits in the status': (canary) => {
    canary.with({ analysis: { alerts: [] } }).running(20).pass(200);
    expect(canary.status.messages).toBeUndefined();
  },
  'when a receiver is down for long, endings are kept and starts are not': (canary) => {
    for (let turn = 0; turn < 15; turn += 1) {
      canary.wants(`r${turn}`).pass(1);
      canary.act('abort').pass(20);
    }
    expect(canary.status.messages).toHaveLength(20);
    expect(told(canary).filter((line) => line === 'Failed error')).toHaveLength(15);
  },
});
