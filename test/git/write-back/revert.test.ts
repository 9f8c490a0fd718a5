import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findKustomize } from '../../../src/git/kustomize.js';
import { commitTree, createBareRepository } from '../../../src/git/repository.js';
import { trailersOf } from '../../../src/git/write-back/message.js';
import { configMap, deployment, GitWorld, revisionOf } from './world.js';

let world: GitWorld;
beforeEach(async () => {
  world = await GitWorld.create();
});
afterEach(() => world.destroy());

const [good, bad, worse] = ['reviews:1', 'reviews:2', 'reviews:3'];
const stable = revisionOf('reviews', good);
const failed = revisionOf('reviews', bad);
const file = 'deploy/reviews.yaml';

describe('a revert', () => {
  it('becomes the head of the branch, gives the stable manifest back and says why in words and in trailers', async () => {
    await world.commit({ [file]: deployment('reviews', good), 'README.md': 'shop\n' }, 'First');
    const commit = await world.commit({ [file]: deployment('reviews', bad) }, 'Red stars');
    const outcome = await world.revert({ revision: failed, stable, commit });
    expect(outcome).toMatchObject({ state: 'Done', written: await world.head() });
    expect(await world.file(file)).toBe(deployment('reviews', good).trim());
    expect(await world.file('README.md')).toBe('shop');
    const message = await world.message();
    expect(message.split('\n')[0]).toBe('Revert "Red stars"');
    expect(message).toContain('request-success-rate 93.1 % < 99 % over 412 requests');
    expect(message).toContain('Weights: 10, 30 %');
    expect(trailersOf(message)).toMatchObject({ 'Sluice-Canary': 'shop/reviews', 'Sluice-Revision': failed, 'Sluice-Stable': stable, 'Sluice-Reason': 'ChecksFailed', 'Sluice-Reverts': commit });
    expect(await world.git('log', '-1', '--format=%(trailers:key=Sluice-Revision,valueonly)')).toBe(failed);
    expect(await world.git('rev-parse', 'main~1')).toBe(commit);
    expect(world.pushed).toEqual(['shop/shop']);
  });

  it('is found and not repeated when the controller died between the push and the record', async () => {
    await world.commit({ [file]: deployment('reviews', good) });
    const commit = await world.commit({ [file]: deployment('reviews', bad) });
    const first = await world.revert({ revision: failed, stable, commit });
    const again = await world.revert({ revision: failed, stable, commit }, world.writer({}, 'two'));
    expect(again).toMatchObject({ state: 'Done', written: first.written });
    expect(await world.count()).toBe(3);
  });

  it('comes once although a bot pushes the bad tag 20 times', async () => {
    await world.commit({ [file]: deployment('reviews', good) });
    const writer = world.writer();
    for (let round = 0; round < 20; round += 1) {
      const commit = await world.commit({ [file]: `${deployment('reviews', bad)}# ${round}\n` }, 'bot: reviews:2');
      expect((await world.revert({ revision: failed, stable, commit }, writer)).state).toBe('Done');
    }
    expect((await world.git('log', '--format=%s')).split('\n').filter((subject) => subject.startsWith('Revert'))).toHaveLength(1);
  });

  it('keeps a later commit on top, in the same file too', async () => {
    await world.commit({ [file]: `# owner: nobody\n#\n#\n#\n${deployment('reviews', good)}` });
    const commit = await world.commit({ [file]: `# owner: nobody\n#\n#\n#\n${deployment('reviews', bad)}` });
    await world.commit({ [file]: `# owner: Ada\n#\n#\n#\n${deployment('reviews', bad)}`, 'deploy/other.yaml': configMap('other', 'x') }, 'Later');
    expect((await world.revert({ revision: failed, stable, commit })).state).toBe('Done');
    expect(await world.file(file)).toBe(`# owner: Ada\n#\n#\n#\n${deployment('reviews', good)}`.trim());
    expect(await world.file('deploy/other.yaml')).toContain('value: "x"');
  });

  it('is not written when the branch holds another revision by then', async () => {
    await world.commit({ [file]: deployment('reviews', good) });
    const commit = await world.commit({ [file]: deployment('reviews', bad) });
    const head = await world.commit({ [file]: deployment('reviews', worse) }, 'A fix');
    const outcome = await world.revert({ revision: failed, stable, commit });
    expect(outcome).toMatchObject({ state: 'Skipped', message: `branch main does not hold revision ${failed} any more` });
    expect(await world.head()).toBe(head);
  });

  it('is not written when a force-push took the commit away', async () => {
    await world.commit({ [file]: deployment('reviews', good) });
    const commit = await world.commit({ [file]: deployment('reviews', bad) });
    const head = await world.commit({ [file]: deployment('reviews', bad) }, 'Rewritten', { orphan: true });
    const outcome = await world.revert({ revision: failed, stable, commit });
    expect(outcome.state).toBe('Skipped');
    expect(outcome.message).toContain('is not in branch main any more');
    expect(await world.head()).toBe(head);
  });

  it('undoes a change of configuration alone', async () => {
    const before = revisionOf('reviews', good, { name: 'reviews-config', value: 'a' });
    const after = revisionOf('reviews', good, { name: 'reviews-config', value: 'b' });
    await world.commit({ [file]: deployment('reviews', good, 'reviews-config'), 'deploy/config.yaml': configMap('reviews-config', 'a') });
    const commit = await world.commit({ 'deploy/config.yaml': configMap('reviews-config', 'b') }, 'Greeting');
    expect(await world.revert({ revision: after, stable: before, commit })).toMatchObject({ state: 'Done' });
    expect(await world.file('deploy/config.yaml')).toContain('value: "a"');
  });

  it('leaves the other canary of the same commit alone, in a file of its own and in the same file', async () => {
    await world.commit({ [file]: deployment('reviews', good), 'deploy/ratings.yaml': deployment('ratings', 'ratings:1') });
    const commit = await world.commit({ [file]: deployment('reviews', bad), 'deploy/ratings.yaml': deployment('ratings', 'ratings:2') }, 'Both');
    expect(await world.revert({ revision: failed, stable, commit })).toMatchObject({ state: 'Done' });
    expect(await world.file('deploy/ratings.yaml')).toContain('ratings:2');
    expect(await world.file(file)).toContain('reviews:1');
  });

  it('undoes its document only where two canaries share a file', async () => {
    const both = (reviews: string, ratings: string): string => `${deployment('reviews', reviews)}---\n${deployment('ratings', ratings)}`;
    await world.commit({ 'deploy/all.yaml': both(good, 'ratings:1') });
    const commit = await world.commit({ 'deploy/all.yaml': both(bad, 'ratings:2') }, 'Both');
    expect(await world.revert({ revision: failed, stable, commit })).toMatchObject({ state: 'Done' });
    expect(await world.file('deploy/all.yaml')).toBe(both(good, 'ratings:2').trim());
  });

  it('undoes all of three commits that came in one sync', async () => {
    await world.commit({ [file]: deployment('reviews', good, 'reviews-config'), 'deploy/config.yaml': configMap('reviews-config', 'a') });
    await world.commit({ [file]: deployment('reviews', worse, 'reviews-config') }, 'One');
    await world.commit({ 'deploy/config.yaml': configMap('reviews-config', 'b') }, 'Two');
    const commit = await world.commit({ [file]: deployment('reviews', bad, 'reviews-config') }, 'Three');
    const before = revisionOf('reviews', good, { name: 'reviews-config', value: 'a' });
    const after = revisionOf('reviews', bad, { name: 'reviews-config', value: 'b' });
    expect(await world.revert({ revision: after, stable: before, commit })).toMatchObject({ state: 'Done' });
    expect(await world.file('deploy/config.yaml')).toContain('value: "a"');
    expect(await world.file(file)).toContain('reviews:1');
  });

  it('undoes a merge commit by its first parent', async () => {
    const base = await world.commit({ [file]: deployment('reviews', good) });
    await world.git('branch', 'feature', base);
    await world.commit({ [file]: deployment('reviews', bad) }, 'On a branch', { branch: 'feature' });
    await world.commit({ 'docs/note.md': 'note\n' }, 'Meanwhile');
    const tree = await world.git('merge-tree', '--write-tree', 'main', 'feature');
    const merge = await world.git('-c', 'user.name=Ada', '-c', 'user.email=ada@shop.invalid', 'commit-tree', tree, '-p', 'main', '-p', 'feature', '-m', 'Merge feature');
    await world.git('update-ref', 'refs/heads/main', merge);
    expect(await world.revert({ revision: failed, stable, commit: merge })).toMatchObject({ state: 'Done' });
    expect(await world.file(file)).toContain('reviews:1');
    expect(await world.file('docs/note.md')).toBe('note');
  });

  it('undoes a squash of several commits as one, and keeps what else it brought outside of the manifests', async () => {
    const base = await world.commit({ [file]: deployment('reviews', good), 'docs/note.md': 'old\n' });
    await world.git('branch', 'feature', base);
    await world.commit({ [file]: deployment('reviews', worse) }, 'Try this', { branch: 'feature' });
    await world.commit({ [file]: deployment('reviews', bad), 'docs/note.md': 'new\n' }, 'Then that', { branch: 'feature' });
    const tree = await world.git('rev-parse', 'feature^{tree}');
    const squash = await world.git('-c', 'user.name=Ada', '-c', 'user.email=ada@shop.invalid', 'commit-tree', tree, '-p', 'main', '-m', 'Feature (#7)\n\n* Try this\n* Then that');
    await world.git('update-ref', 'refs/heads/main', squash);
    expect(await world.revert({ revision: failed, stable, commit: squash })).toMatchObject({ state: 'Done' });
    expect(await world.message()).toMatch(/^Revert "Feature \(#7\)"/);
    expect(await world.file(file)).toContain('reviews:1');
    expect(await world.file('docs/note.md')).toBe('new');
  });

  it('takes the commit of a submodule back, where that is what brought the revision', async () => {
    world.source('shop', { submodules: true });
    const parts = join(world.dir, 'parts.git');
    await createBareRepository(parts);
    const before = await commitTree(parts, { 'reviews.yaml': deployment('reviews', good) }, { message: 'one' });
    const after = await commitTree(parts, { 'reviews.yaml': deployment('reviews', bad) }, { message: 'two' });
    await world.commit({ 'deploy/parts': { submodule: before }, '.gitmodules': '[submodule "parts"]\n\tpath = deploy/parts\n\turl = ../parts.git\n' });
    const commit = await world.commit({ 'deploy/parts': { submodule: after } }, 'Newer parts');
    expect(await world.revert({ revision: failed, stable, commit })).toMatchObject({ state: 'Done' });
    expect(await world.git('rev-parse', 'main:deploy/parts')).toBe(before);
  });

  it('would change another object: nothing is pushed, and the object is named', async () => {
    const shared = (value: string): string => configMap('shared', value);
    await world.commit({ [file]: deployment('reviews', good, 'shared'), 'deploy/ratings.yaml': deployment('ratings', 'ratings:1', 'shared'), 'deploy/shared.yaml': shared('a') });
    const commit = await world.commit({ 'deploy/shared.yaml': shared('b') });
    const wish = { revision: revisionOf('reviews', good, { name: 'shared', value: 'b' }), stable: revisionOf('reviews', good, { name: 'shared', value: 'a' }), commit };
    const outcome = await world.revert(wish);
    expect(outcome.state).toBe('Skipped');
    expect(outcome.message).toContain('ConfigMap shop/shared');
    expect(await world.head()).toBe(commit);
  });

  it('looks at what other GitSources of the branch render', async () => {
    world.source('staging', { path: 'staging' });
    const link = (value: string): string => configMap('shared', value);
    await world.commit({ [file]: deployment('reviews', good), 'staging/x.yaml': link('a') });
    const commit = await world.commit({ [file]: deployment('reviews', bad), 'staging/x.yaml': link('b') });
    expect(await world.revert({ revision: failed, stable, commit })).toMatchObject({ state: 'Done' });
    expect(await world.file('staging/x.yaml')).toContain('value: "b"');
  });

  it('finds a second cluster on the same branch and writes nothing', async () => {
    await world.commit({ [file]: deployment('reviews', good) });
    const commit = await world.commit({ [file]: deployment('reviews', bad) });
    const clusters = ['east', 'west'].map((cluster) => world.writer({ cluster }, cluster));
    const outcomes = await Promise.all(clusters.map((writer) => world.revert({ revision: failed, stable, commit }, writer)));
    expect(outcomes.map(({ state }) => state)).toEqual(['Done', 'Done']);
    expect(new Set(outcomes.map(({ written }) => written)).size).toBe(1);
    expect(await world.count()).toBe(3);
  });

  it('says so when the source follows no branch', async () => {
    world.source('shop', { ref: { tag: 'v1' } });
    const outcome = await world.revert({ revision: failed, stable, commit: 'a'.repeat(40) });
    expect(outcome).toMatchObject({ state: 'Skipped' });
    expect(outcome.message).toContain('spec.ref.branch');
  });

  it.skipIf(!findKustomize())('changes its own line of an images list that several applications share', async () => {
    const app = (name: string): string => deployment(name, name);
    const list = (reviews: number, ratings: number): string => `resources: [reviews.yaml, ratings.yaml]\nimages:\n  - name: reviews\n    newTag: "${reviews}"\n  - name: ratings\n    newTag: "${ratings}"\n`;
    await world.commit({ 'deploy/reviews.yaml': app('reviews'), 'deploy/ratings.yaml': app('ratings'), 'deploy/kustomization.yaml': list(1, 1) });
    const commit = await world.commit({ 'deploy/kustomization.yaml': list(2, 2) }, 'bot: all images');
    expect(await world.revert({ revision: failed, stable, commit })).toMatchObject({ state: 'Done' });
    expect(await world.file('deploy/kustomization.yaml')).toBe(list(1, 2).trim());
  });

  it.skipIf(!findKustomize())('of a base that others share is for people: they are named', async () => {
    world.source('production', { path: 'production' });
    const overlay = 'resources: [../base]\n';
    const base = (image: string): Record<string, string> => ({ 'base/app.yaml': deployment('reviews', image) });
    await world.commit({ 'base/kustomization.yaml': 'resources: [app.yaml]\n', ...base(good), 'deploy/kustomization.yaml': overlay, 'production/kustomization.yaml': `${overlay}namespace: production\n` });
    const commit = await world.commit(base(bad), 'New base');
    const outcome = await world.revert({ revision: failed, stable, commit });
    expect(outcome.state).toBe('Skipped');
    expect(outcome.message).toContain('Deployment production/reviews');
    expect(outcome.message).toContain('base/app.yaml, which lies outside spec.path');
    expect(await world.head()).toBe(commit);
  });
});
