import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WriteBackOutcome } from '../../../src/engine/ports.js';
import { deployment, failedCanary, GitWorld } from './world.js';

let world: GitWorld;
let commit = '';
beforeEach(async () => {
  world = await GitWorld.create();
  commit = await world.commit({ 'deploy/reviews.yaml': deployment('reviews', 'reviews:1') });
});
afterEach(() => world.destroy());

function promoted(git: 'tag' | 'branch', name: string, of = commit): Promise<WriteBackOutcome> {
  const { canary, request } = failedCanary({ revision: 'r2', stable: 'r1', commit: of, kind: git });
  canary.spec = { ...canary.spec, onPromotion: { git, name } };
  return world.writer().write(canary, request);
}

describe('a promotion', () => {
  it('puts a tag on the promoted commit, once', async () => {
    await world.commit({ 'README.md': 'later\n' });
    expect(await promoted('tag', '{{ namespace }}/{{ canary }}-{{ revision }}')).toMatchObject({ state: 'Done', written: commit });
    expect(await world.git('rev-parse', 'refs/tags/shop/reviews-r2')).toBe(commit);
    expect(await promoted('tag', '{{ namespace }}/{{ canary }}-{{ revision }}')).toMatchObject({ state: 'Done', written: commit });
  });

  it('moves a branch forward, so that the next environment follows', async () => {
    await world.git('branch', 'production', commit);
    const next = await world.commit({ 'deploy/reviews.yaml': deployment('reviews', 'reviews:2') });
    expect(await promoted('branch', 'production', next)).toMatchObject({ state: 'Done' });
    expect(await world.head('production')).toBe(next);
  });

  it('moves nothing by force: neither a branch with other commits nor a tag that is elsewhere', async () => {
    const other = await world.commit({ 'x.md': 'x\n' }, 'Elsewhere', { branch: 'production' });
    await world.git('tag', 'live', other);
    for (const [git, name] of [['branch', 'production'], ['tag', 'live']] as const) {
      const outcome = await promoted(git, name);
      expect(outcome.state).toBe('Skipped');
      expect(outcome.message).toContain('nothing is moved by force');
      expect(await world.git('rev-parse', name)).toBe(other);
    }
  });

  it('with a name that Git does not take says so', async () => {
    expect((await promoted('tag', 'a..b')).message).toContain('takes for no name');
  });
});
