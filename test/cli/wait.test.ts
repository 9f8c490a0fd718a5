import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceResources, type CanaryStatus } from '../../src/api/index.js';
import { outcomeOf, type Look, type Target } from '../../src/cli/wait/outcome.js';
import {
  canary,
  COMMIT_1,
  COMMIT_2,
  COMMIT_3,
  createWorld,
  gitSource,
  idle,
  past,
  putSource,
  running,
  type Running,
  type World,
} from './world.js';

const full = (status: Partial<CanaryStatus>): CanaryStatus => ({ canaryWeight: 0, failedChecks: 0, ...status });
const judge = (target: Target, status: Partial<CanaryStatus> | undefined, more: Partial<Look> = {}) => {
  const outcome = outcomeOf(target, { status: status && full(status), applied: false, graceOver: false, ...more });
  return outcome && [outcome.result, outcome.exitCode];
};
const commit = (sha: string): Target => ({ kind: 'commit', commit: sha });
const ofRevision = (revision: string): Target => ({ kind: 'revision', revision });

describe('the result of a release', () => {
  const progressing = (reason: string) => ({
    ...idle,
    conditions: [
      {
        type: 'Progressing',
        status: 'False' as const,
        reason,
        message: `why: ${reason}`,
        lastTransitionTime: '2026-03-02T11:00:00Z',
      },
    ],
  });

  it.each<[string, Target, Partial<CanaryStatus> | undefined, [string, number] | undefined]>([
    ['a run in progress has none yet', commit(COMMIT_2), running, undefined],
    [
      'an abbreviated commit is enough',
      commit('2222222'),
      { ...idle, history: [past('a2', COMMIT_2, 'Succeeded', 0)] },
      ['Succeeded', 0],
    ],
    [
      'a commit that was fetched together with another counts',
      commit(COMMIT_3),
      { ...idle, history: [{ ...past('a2', COMMIT_2, 'Failed', 0), commits: [COMMIT_3] }] },
      ['Failed', 1],
    ],
    ['such a commit in progress is waited for', commit('3333333'), running, undefined],
    [
      'a superseded one is neither good nor bad',
      commit(COMMIT_2),
      { ...idle, history: [past('a2', COMMIT_2, 'Superseded', 0)] },
      ['Superseded', 3],
    ],
    ['so is a cancelled one', ofRevision('a2'), { ...idle, history: [past('a2', COMMIT_2, 'Cancelled', 0)] }, ['Cancelled', 3]],
    [
      'the result of another commit is not taken',
      commit(COMMIT_3),
      { ...idle, history: [past('a2', COMMIT_2, 'Succeeded', 0)] },
      undefined,
    ],
    [
      'the newest of several runs counts',
      ofRevision('a2'),
      { ...idle, history: [past('a2', COMMIT_2, 'Succeeded', 0), past('a2', COMMIT_2, 'Failed', -60)] },
      ['Succeeded', 0],
    ],
    [
      'a retried revision in progress has no result, whatever it had before',
      commit(COMMIT_2),
      { ...running, history: [past('a2canary00', COMMIT_2, 'Failed', -60)] },
      undefined,
    ],
    ['adoption counts as success', commit(COMMIT_1), idle, ['Succeeded', 0]],
    ['before adoption is over it does not', commit(COMMIT_1), { ...idle, adoptedAt: undefined }, undefined],
    [
      'a quarantined revision has failed',
      ofRevision('a9'),
      { ...idle, quarantined: [{ revision: 'a9', reason: 'errors', at: '2026-03-02T11:00:00Z' }] },
      ['Failed', 1],
    ],
    [
      'with nothing named, the last result is given',
      { kind: 'any' },
      { ...idle, history: [past('a2', COMMIT_2, 'Failed', 0)] },
      ['Failed', 1],
    ],
    ['with nothing named and nothing released, what serves is good', { kind: 'any' }, idle, ['Succeeded', 0]],
    [
      'a run is known by its id',
      { kind: 'run', run: 'a2-60' },
      { ...running, history: [past('a2', COMMIT_2, 'Superseded', -60)] },
      ['Superseded', 3],
    ],
    ['a deleted Canary releases nothing any more', commit(COMMIT_2), undefined, ['Cancelled', 3]],
  ])('%s', (_, target, status, expected) => {
    expect(judge(target, status)).toEqual(expected);
  });

  it('of a commit that changed nothing is good, after a while', () => {
    expect(judge(commit(COMMIT_2), idle, { applied: true })).toBeUndefined();
    expect(judge(commit(COMMIT_2), idle, { applied: true, graceOver: true })).toEqual(['Unchanged', 0]);
    expect(judge(commit(COMMIT_2), idle, { applied: false, graceOver: true })).toBeUndefined();
  });

  it('of a commit that leads to a quarantined revision is a failure', () => {
    expect(judge(commit(COMMIT_2), progressing('Quarantined'), { applied: true, graceOver: true })).toEqual(['Failed', 1]);
  });

  it.each(['Suspended', 'Settling', 'WaitingForWebhook', 'NoReplicas'])(
    'of a commit whose run is held back (%s) is still open',
    (reason) => {
      expect(judge(commit(COMMIT_2), progressing(reason), { applied: true, graceOver: true })).toBeUndefined();
    },
  );
});

describe('sluice wait', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world.close());
  let count = 0;
  const begin = (status: Partial<CanaryStatus>, ...argv: string[]): { name: string; waiting: Running } => {
    const name = `reviews-${(count += 1)}`;
    world.put(canary(name, status));
    return { name, waiting: world.start('wait', name, ...argv) };
  };

  it('prints every weight, and the result', async () => {
    const { name, waiting } = begin(
      { ...running, canaryWeight: 10, step: { index: 0, of: 3, weight: 10 } },
      '--commit',
      COMMIT_2,
    );
    await waiting.says('weight 10 %, step 1 of 3');
    world.setStatus(name, running);
    await waiting.says('weight 25 %, step 2 of 3');
    world.setStatus(name, { ...idle, history: [past('a2canary00', COMMIT_2, 'Succeeded', 0)] });
    expect(await waiting.code).toBe(0);
    expect(waiting.out).toContain(
      'Succeeded: revision a2canary00, commit 2222222: Last checks: success rate 100 % (weights 10, 25)',
    );
  });

  it('prints the reason of a failure on standard error', async () => {
    const { name, waiting } = begin(running);
    await waiting.says('weight 25 %');
    world.setStatus(name, { ...idle, history: [{ ...past('a2canary00', COMMIT_2, 'Failed', 0), run: 'a2canary00-1' }] });
    expect(await waiting.code).toBe(1);
    expect(waiting.err).toContain('Failed: revision a2canary00, commit 2222222: success rate 93.1 % < 99 % over 412 requests');
  });

  it('leaves standard output to the JSON', async () => {
    const { name, waiting } = begin(running, '--output', 'json', '--revision', 'a2canary00');
    await waiting.says('weight 25 %');
    world.setStatus(name, { ...idle, history: [past('a2canary00', COMMIT_2, 'Superseded', 0)] });
    expect(await waiting.code).toBe(3);
    expect(JSON.parse(waiting.out)).toMatchObject({
      namespace: 'default',
      name,
      result: 'Superseded',
      revision: 'a2canary00',
      commit: COMMIT_2,
      weights: [10, 25],
      exitCode: 3,
    });
  });

  it('ends when the time is over and says what was last', async () => {
    const { name, waiting } = begin(running, '--timeout', '2m', '--commit', COMMIT_2);
    await waiting.says('weight 25 %');
    waiting.clock.advance(119_000);
    waiting.clock.advance(2_000);
    expect(await waiting.code).toBe(4);
    expect(waiting.err).toContain('no result within 120 s');
    expect(waiting.err).toContain(`sluice explain ${name}`);
  });

  it('goes on when the API server comes back', async () => {
    world.put(canary('restarted', running));
    const { running: waiting, cut, mend } = await world.startThroughProxy('wait', 'restarted', '--commit', COMMIT_2);
    await waiting.says('weight 25 %');
    await cut();
    world.setStatus('restarted', { ...running, canaryWeight: 50, step: { index: 2, of: 3, weight: 50 } });
    await mend();
    await waiting.says('weight 50 %');
    world.setStatus('restarted', { ...idle, history: [past('a2canary00', COMMIT_2, 'Succeeded', 0)] });
    expect(await waiting.code).toBe(0);
  });

  it.each([
    ['is the newest', { appliedCommit: COMMIT_3 }],
    ['was followed by others before anybody looked', { appliedCommit: COMMIT_1, recentCommits: [COMMIT_1, COMMIT_3] }],
  ])('ends well for a commit that reached the cluster, changed nothing here and %s', async (_, status) => {
    const { waiting } = begin(idle, '--commit', COMMIT_3.slice(0, 9));
    putSource(world, gitSource('shop', status));
    // The grace begins when the commit is seen; until then time moves for nothing.
    let ended = false;
    void waiting.code.then(() => (ended = true));
    await expect
      .poll(
        () => {
          waiting.clock.advance(1_000);
          return ended;
        },
        { timeout: 8_000, interval: 20 },
      )
      .toBe(true);
    expect(await waiting.code).toBe(0);
    expect(waiting.out).toContain('Unchanged: commit 3333333 reached the cluster and changed nothing');
  });

  it('ends when the Canary is deleted', async () => {
    const { name, waiting } = begin(running, '--commit', COMMIT_2);
    await waiting.says('weight 25 %');
    world.server.store.delete(SluiceResources.Canary, 'default', name);
    expect(await waiting.code).toBe(3);
  });

  it('ends on an interrupt without a result', async () => {
    const { waiting } = begin(running, '--commit', COMMIT_2);
    await waiting.says('weight 25 %');
    waiting.interrupt();
    expect(await waiting.code).toBe(130);
    expect(waiting.err).not.toContain('Timeout');
  });
});
