import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOSTED, startGitHost, type GitHost } from '../../../src/sandbox/git-host.js';
import type { GitWriterOptions } from '../../../src/git/index.js';
import type { GitWriter } from '../../../src/engine/ports.js';
import { configMap, deployment, GitWorld, revisionOf } from './world.js';

let world: GitWorld;
let host: GitHost;
beforeEach(async () => {
  world = await GitWorld.create();
  host = await startGitHost('t0ken');
  world.source('shop', { writeBack: { host: { type: 'gitea', api: `${host.url}/api/v1`, repository: HOSTED, statuses: true, secretRef: { name: 'host' } } } });
});
afterEach(async () => {
  await host.stop();
  await world.destroy();
});

const writer = (token = 't0ken', life = 'one'): GitWriter =>
  world.writer({ secret: (async () => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'host' }, data: { token: Buffer.from(token).toString('base64') } })) as GitWriterOptions['secret'] }, life);
const stable = revisionOf('reviews', 'reviews:1');
const failed = revisionOf('reviews', 'reviews:2');
const file = 'deploy/reviews.yaml';
async function badCommit(more: Record<string, string> = {}): Promise<string> {
  await world.commit({ [file]: deployment('reviews', 'reviews:1'), ...Object.fromEntries(Object.keys(more).map((path) => [path, configMap('shared', 'a')])) });
  return world.commit({ [file]: deployment('reviews', 'reviews:2'), ...more }, 'Red stars');
}

describe('a pull request', () => {
  it('offers the revert on a branch of its own, with the evidence; the branch itself stays', async () => {
    const commit = await badCommit();
    const outcome = await world.revert({ revision: failed, stable, commit, kind: 'pullRequest' }, writer());
    expect(outcome).toMatchObject({ state: 'Done', url: host.pulls[0]?.url });
    expect(await world.head()).toBe(commit);
    expect(host.pulls).toMatchObject([{ base: 'main', head: `sluice/revert/shop/reviews/${failed}`, title: 'Revert "Red stars"' }]);
    expect(host.pulls[0]?.body).toContain('request-success-rate 93.1 % \\< 99 %');
    expect(host.pulls[0]?.body).toContain(`Sluice-Revision: ${failed}`);
    expect(await world.file(file, host.pulls[0]?.head)).toContain('reviews:1');
    expect(world.pushed).toEqual([]);
  });

  it('is opened once, also by a second life that died after the push', async () => {
    const commit = await badCommit();
    const wish = { revision: failed, stable, commit, kind: 'pullRequest' as const };
    await world.revert(wish, writer());
    await world.commit({ 'README.md': 'x\n' });
    const again = await world.revert(wish, writer('t0ken', 'two'));
    expect(again).toMatchObject({ state: 'Done', url: host.pulls[0]?.url });
    expect(host.pulls).toHaveLength(1);
  });

  it('takes the place of a revert that would change other objects, and lists them', async () => {
    await world.commit({ [file]: deployment('reviews', 'reviews:1', 'shared'), 'deploy/ratings.yaml': deployment('ratings', 'ratings:1', 'shared'), 'deploy/shared.yaml': configMap('shared', 'a') });
    const commit = await world.commit({ 'deploy/shared.yaml': configMap('shared', 'b') }, 'Shared');
    const [before, after] = ['a', 'b'].map((value) => revisionOf('reviews', 'reviews:1', { name: 'shared', value }));
    const outcome = await world.revert({ revision: after ?? '', stable: before ?? '', commit }, writer());
    expect(outcome).toMatchObject({ state: 'Done', url: host.pulls[0]?.url });
    expect(outcome.message).toContain('ConfigMap shop/shared');
    expect(host.pulls[0]?.body).toContain('- ConfigMap shop/shared');
    expect(await world.head()).toBe(commit);
  });

  it('is not needed where files outside the path of the source can stay as they are', async () => {
    world.source('shop', { path: 'deploy', writeBack: world.sources[0]?.spec.writeBack });
    const commit = await badCommit({ 'elsewhere/x.yaml': configMap('shared', 'b') });
    const outcome = await world.revert({ revision: failed, stable, commit }, writer());
    // Only the part within the path is needed for the stable revision.
    expect(outcome.state).toBe('Done');
    expect(outcome.url).toBeUndefined();
    expect(await world.file('elsewhere/x.yaml')).toContain('value: "b"');
  });

  it('a token that the host refuses is tried again, and never shown', async () => {
    const commit = await badCommit();
    const outcome = world.revert({ revision: failed, stable, commit, kind: 'pullRequest' }, writer('wr0ng'));
    await expect(outcome).rejects.toThrow(/refused the credentials/);
    await expect(outcome).rejects.not.toThrow(/wr0ng/);
  });

  it('without a host it is said which field is missing', async () => {
    world.source('shop');
    const commit = await badCommit();
    const outcome = await world.revert({ revision: failed, stable, commit, kind: 'pullRequest' });
    expect(outcome).toMatchObject({ state: 'Skipped' });
    expect(outcome.message).toContain('spec.writeBack.host');
  });
});
