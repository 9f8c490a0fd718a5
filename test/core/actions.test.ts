import { expect } from 'vitest';
import { blue, type Situation } from './builders.js';
import { sentences } from './sentences.js';

const answer = (canary: Situation): string => {
  const [effect] = canary.effects('finishAction');
  return `${effect?.result}: ${effect?.message}`;
};

sentences('what people ask for', {
  'hold keeps the weight, however good the checks, and names who and why': (canary) => {
    canary.running(20, 10).act('hold', { reason: 'looking at logs' }).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress).toEqual({ reason: 'HeldByUser', message: 'held by ada: looking at logs; sluice resume reviews lets it go on' });
    expect(canary.status.deadline).toBeUndefined();
  },
  'resume lets it go on, with a new deadline': (canary) => {
    canary.running(20, 10).act('hold').decide().settle().act('resume').decide();
    expect(canary.written).toEqual(blue(50));
    expect(canary.status.deadline).toBeDefined();
  },
  'a hold keeps weights in force that somebody resets': (canary) => {
    canary.running(20, 3).act('hold').decide().settle().weights(90).decide();
    expect(canary.written).toEqual(blue(80));
  },
  'promote skips the remaining steps, but not capacity': (canary) => {
    canary.running(20).act('promote').decide();
    expect(canary.written).toEqual(blue(0));
    expect(canary.settle().pass(30).ended).toBe('Succeeded PromotedByUser');
    expect(canary.status.history?.[0]?.by).toBe('ada');
  },
  'abort takes it back at once': (canary) => {
    canary.running(20).act('abort', { reason: 'wrong button' }).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.status.run?.ending?.message).toBe('aborted by ada: wrong button');
  },
  'abort beats everything that is asked for at the same time': (canary) => {
    canary.running(20).act('promote').act('abort').decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.status.run?.ending?.reason).toBe('Aborted');
    expect(canary.effects('finishAction').map(({ result }) => result)).toEqual(['Applied', 'Refused']);
  },
  'abort before a webhook agreed keeps the revision from starting': (canary) => {
    canary.with({ analysis: { webhooks: [{ name: 'freeze', type: 'confirm-rollout', url: 'http://gate.example/' }] } }).hooks = { freeze: { ok: false, message: '403' } };
    canary.wants('b2').decide().act('abort').decide();
    expect(canary.status.quarantined).toMatchObject([{ revision: 'b2', reason: 'aborted by ada' }]);
    expect(canary.progress.reason).toBe('Quarantined');
  },
  'retry runs a quarantined revision again': (canary) => {
    canary.running(20).act('abort').pass(10).act('retry').decide();
    expect(canary.status.run?.id).toMatch(/^b2-/);
    expect(canary.status.quarantined).toEqual([]);
  },
  'an approval for another revision never leaks into this one': (canary) => {
    canary.with({ analysis: { steps: [{ weight: 20, approve: true }] } }).running(20, 10).act('approve', { revision: 'z9' }).decide();
    expect(answer(canary)).toBe('Refused: it is for revision z9, but b2 is being released');
    expect(canary.status.phase).toBe('WaitingPromotion');
  },
  'an approval that nobody asked for is refused': (canary) => {
    expect(answer(canary.running(20).act('approve').decide())).toBe('Refused: no step waits for an approval');
  },
  'an approval may come before its step asks': (canary) => {
    canary.with({ analysis: { steps: [{ weight: 20, approve: true }, { weight: 50 }] } }).running(20, 3).act('approve').decide().settle().later(7).decide();
    expect(canary.written).toEqual(blue(50));
  },
  'without a release there is nothing to hold, resume, promote or abort': (canary) => {
    for (const verb of ['hold', 'resume', 'promote', 'abort', 'approve'] as const) canary.act(verb);
    canary.decide();
    expect(canary.effects('finishAction').map(({ message }) => message)).toEqual(Array.from({ length: 5 }, () => 'no release is under way'));
    expect(canary.said).toHaveLength(5);
  },
  'a run that is not held cannot be resumed': (canary) => {
    expect(answer(canary.running(20).act('resume').decide())).toBe('Refused: the run is not held');
  },
  'what is not quarantined cannot be retried': (canary) => {
    expect(answer(canary.act('retry').decide())).toBe('Refused: revision a1 is not quarantined');
  },
  'once all traffic is at the new version, hold comes too late, and says what helps': (canary) => {
    canary.running(50, 10).decide().settle().decide().settle().act('hold').decide();
    expect(answer(canary)).toBe('Refused: all traffic is at the new revision already; abort takes it back');
  },
  'an action whose answer could not be written is not carried out twice': (canary) => {
    canary.running(20, 3).act('hold').decide();
    canary.status.run = { ...canary.status.run, held: undefined } as typeof canary.status.run;
    canary.decide();
    expect(canary.status.run?.held).toBeUndefined();
    expect(answer(canary)).toBe('Applied: carried out');
  },
  'an action that was refused stays refused, even if it would be possible by now': (canary) => {
    canary.act('hold').decide().wants('b2').decide().decide();
    expect(answer(canary)).toBe('Refused: it could not be carried out when it came');
    expect(canary.said.filter((line) => line.startsWith('ActionRefused'))).toEqual([]);
  },
});
