import { rename } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Annotations } from '../../src/api/index.js';
import { KubeError } from '../../src/kube/types.js';
import { configMap, deployment, until, World } from './world.js';

let world: World;
beforeEach(async () => {
  world = await World.create();
});
afterEach(() => world.destroy());

const annotations = (kind: string, name: string) => world.cluster.get(kind, name)?.metadata.annotations ?? {};

describe('a source that is followed', () => {
  it('applies a new commit at the next interval and says which one it was', async () => {
    const first = await world.commit(
      { 'deploy/reviews.yaml': deployment('reviews', 'reviews:v1') },
      { message: 'Add reviews\n\nBody', author: { name: 'Ada', email: 'ada@example.com' } },
    );
    world.source({ interval: '1s' });
    await world.start();
    await world.applied(first);
    const second = await world.commit(
      { 'deploy/reviews.yaml': deployment('reviews', 'reviews:v2') },
      { message: 'Reviews v2', author: { name: 'Bob', email: 'b@example.com' } },
    );
    await world.applied(second);
    expect(annotations('Deployment', 'reviews')).toMatchObject({
      [Annotations.commit]: second,
      [Annotations.author]: 'Bob',
      [Annotations.subject]: 'Reviews v2',
      [Annotations.source]: 'shop/shop',
    });
    expect(world.cluster.source().status).toMatchObject({
      fetchedCommit: second,
      appliedCommit: second,
      recentCommits: [second, first],
      author: 'Bob',
      subject: 'Reviews v2',
      objects: 1,
    });
    expect(world.condition()).toMatchObject({ status: 'True', reason: 'Synced' });
    expect(world.events.map(({ commit, previous, changed }) => ({ commit, previous, changed }))).toEqual([
      { commit: first, previous: undefined, changed: ['Deployment shop/reviews'] },
      { commit: second, previous: first, changed: ['Deployment shop/reviews'] },
    ]);
  });

  it('asks nothing of the cluster while nothing changes', async () => {
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source({ interval: '100ms' });
    await world.start();
    await world.applied(sha);
    const before = world.cluster.requests.length;
    const { lastSyncTime } = world.cluster.source().status ?? {};
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(world.cluster.requests.slice(before)).toEqual([]);
    expect(world.cluster.source().status?.lastSyncTime).toBe(lastSyncTime);
  });

  it('writes only what a commit changed, and leaves the provenance of the rest alone', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a'), 'deploy/b.yaml': configMap('b') });
    world.source();
    await world.start();
    await world.applied(first);
    world.cluster.requests.length = 0;
    const second = await world.commit({ 'deploy/b.yaml': configMap('b', 'new') });
    await world.applied(second);
    expect(world.cluster.requests.filter((request) => request.startsWith('apply'))).toEqual(['apply ConfigMap b']);
    const old = { ...annotations('ConfigMap', 'a') };
    expect(old[Annotations.commit]).toBe(first);
    expect(annotations('ConfigMap', 'b')[Annotations.commit]).toBe(second);
    // A sync that was asked for applies everything again: the provenance of the first commit stays.
    world.cluster.requests.length = 0;
    const { metadata, ...rest } = world.cluster.source();
    world.cluster.put({ ...rest, metadata: { ...metadata, annotations: { [Annotations.syncRequested]: 'now' } } });
    await until(
      () => world.cluster.source().status?.lastHandledRequest === 'now',
      () => 'the request to be answered',
    );
    expect(world.cluster.requests.filter((request) => request.startsWith('apply'))).toEqual([
      'apply ConfigMap a',
      'apply ConfigMap b',
    ]);
    expect(annotations('ConfigMap', 'a')).toEqual(old);
  });

  it('names the other commits that came with it and touched the object', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a'), 'deploy/b.yaml': configMap('b') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.stop();
    const touched = await world.commit({ 'deploy/a.yaml': configMap('a', '2') });
    await world.commit({ 'deploy/b.yaml': configMap('b', '2') });
    const touchedAgain = await world.commit({ 'deploy/a.yaml': configMap('a', '3') });
    const head = await world.commit({ 'README.md': 'text' });
    await world.start();
    await world.applied(head);
    expect(annotations('ConfigMap', 'a')).toMatchObject({
      [Annotations.commit]: head,
      [Annotations.commits]: `${touchedAgain},${touched}`,
    });
  });

  it('names only the newest commit after a force-push', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.commit({ 'deploy/a.yaml': configMap('a', 'x') }, { orphan: true });
    const head = await world.commit({ 'deploy/a.yaml': configMap('a', 'y') });
    await world.applied(head);
    expect(annotations('ConfigMap', 'a')[Annotations.commit]).toBe(head);
    expect(annotations('ConfigMap', 'a')[Annotations.commits] ?? '').not.toContain(first);
  });

  it('fetches once for two sources of one repository', async () => {
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a'), 'other/b.yaml': configMap('b') });
    world.source({}, 'one');
    world.source({ path: 'other' }, 'two');
    await world.start();
    await world.applied(sha, 'one');
    await world.applied(sha, 'two');
    const { readdir } = await import('node:fs/promises');
    expect(await readdir(`${world.data}/git/repositories`)).toHaveLength(1);
    expect(world.cluster.get('ConfigMap', 'a')).toBeDefined();
    expect(world.cluster.get('ConfigMap', 'b')).toBeDefined();
  });
});

describe('input that cannot be used', () => {
  it('names the line of a broken file, applies the others and deletes nothing', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a'), 'deploy/b.yaml': configMap('b') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.commit({
      'deploy/a.yaml': configMap('a', 'new'),
      'deploy/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b\ndata: [',
    });
    const message = await world.reason('InvalidManifest');
    expect(message).toMatch(/deploy\/b\.yaml:\d/);
    expect(world.condition('Stalled')?.status).toBe('True');
    expect(world.cluster.get('ConfigMap', 'a')?.data).toEqual({ value: 'new' });
    expect(world.cluster.get('ConfigMap', 'b')).toBeDefined();
    expect(world.cluster.source().status?.failures).toMatchObject([{ file: 'deploy/b.yaml' }]);
    const mended = await world.commit({ 'deploy/b.yaml': null });
    await world.applied(mended);
    expect(world.cluster.get('ConfigMap', 'b')).toBeUndefined();
    expect(world.cluster.source().status?.failures).toBeUndefined();
    expect(world.condition('Stalled')?.status).toBe('False');
  });

  it('says that the path is not in the repository, and recovers', async () => {
    await world.commit({ 'other/a.yaml': configMap('a') });
    world.source();
    await world.start();
    expect(await world.reason('PathNotFound')).toContain('"deploy" does not exist there');
    await world.applied(await world.commit({ 'deploy/a.yaml': configMap('a') }));
  });

  it('follows no link out of the repository', async () => {
    await world.commit({
      'deploy/link.yaml': { link: '/etc/passwd' },
      'deploy/a.yaml': configMap('a'),
      outside: { link: '../../..' },
    });
    world.source();
    await world.start();
    expect(await world.reason('InvalidManifest')).toContain('deploy/link.yaml is a symbolic link');
    expect(world.cluster.get('ConfigMap', 'a')).toBeDefined();
    world.source({ path: 'outside/etc' });
    expect(await world.reason('PathNotFound')).toContain('"outside" is a symbolic link');
    world.source({ path: '../../etc' });
    expect(await world.reason('InvalidSpec')).toContain('spec.path');
  });

  it('refuses a pointer of Git LFS by its name, and deletes nothing meanwhile', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.commit({ 'deploy/a.yaml': `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 120\n` });
    expect(await world.reason('InvalidManifest')).toContain('deploy/a.yaml:1 is a pointer of Git LFS');
    expect(world.cluster.get('ConfigMap', 'a')).toBeDefined();
  });

  it('keeps what runs when the repository vanishes, says so, and goes on when it is back', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source();
    await world.start();
    await world.applied(first);
    await rename(world.repository, `${world.repository}.away`);
    expect(await world.reason('RepositoryNotFound')).toContain('spec.url');
    expect(world.cluster.get('ConfigMap', 'a')).toBeDefined();
    expect(world.cluster.source().status?.appliedCommit).toBe(first);
    await rename(`${world.repository}.away`, world.repository);
    await world.reason('Synced');
    expect(world.cluster.requests.filter((request) => request === 'apply ConfigMap a')).toHaveLength(1);
  });

  it('says which branch there is when the one that is followed is not', async () => {
    await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source({ ref: { branch: 'production' } });
    await world.start();
    const message = await world.reason('RefNotFound');
    expect(message).toContain('branch "production"');
    expect(message).toContain('"main"');
  });

  it('makes a broken copy again by itself', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source();
    await world.start();
    await world.applied(first);
    const { readdir, rm, writeFile } = await import('node:fs/promises');
    const copies = `${world.data}/git/repositories`;
    const [copy] = await readdir(copies);
    await rm(`${copies}/${copy}/objects`, { recursive: true });
    await writeFile(`${copies}/${copy}/shallow.lock`, '');
    await world.applied(await world.commit({ 'deploy/a.yaml': configMap('a', 'b') }));
  });
});

describe('objects that the cluster refuses', () => {
  it('applies the others, names it, and tries again', async () => {
    world.cluster.refuse.set('ConfigMap/a', new KubeError(403, 'Forbidden', 'configmaps "a" is forbidden'));
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a'), 'deploy/b.yaml': configMap('b') });
    world.source({ interval: '200ms' });
    await world.start();
    expect(await world.reason('ApplyFailed')).toMatch(/deploy\/a\.yaml:1 ConfigMap shop\/a: .*forbidden.*service account/);
    expect(world.cluster.get('ConfigMap', 'b')).toBeDefined();
    expect(world.cluster.source().status).toMatchObject({ fetchedCommit: sha });
    expect(world.cluster.source().status?.appliedCommit).toBeUndefined();
    world.cluster.refuse.clear();
    await world.applied(sha);
    expect(annotations('ConfigMap', 'a')[Annotations.commit]).toBe(sha);
  });

  it('names a kind that the cluster does not serve', async () => {
    await world.commit({ 'deploy/a.yaml': 'apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n' });
    world.source();
    await world.start();
    expect(await world.reason('ApplyFailed')).toContain('serves no kind Widget in example.com/v1');
  });
});

describe('pruning', () => {
  it('deletes in the background what left Git, except what opted out or is not ours', async () => {
    const keep = configMap('keep').replace('name: keep', 'name: keep\n  annotations: {sluice.dev/prune: disabled}');
    const first = await world.commit({
      'deploy/a.yaml': configMap('a'),
      'deploy/keep.yaml': keep,
      'deploy/taken.yaml': configMap('taken'),
      'deploy/z.yaml': configMap('z'),
    });
    world.source();
    await world.start();
    await world.applied(first);
    const taken = world.cluster.get('ConfigMap', 'taken');
    if (taken) world.cluster.put({ ...taken, metadata: { ...taken.metadata, labels: {} } });
    await world.applied(await world.commit({ 'deploy/a.yaml': null, 'deploy/keep.yaml': null, 'deploy/taken.yaml': null }));
    expect(world.cluster.requests.filter((request) => request.startsWith('delete'))).toEqual(['delete ConfigMap a Background']);
    expect(world.cluster.get('ConfigMap', 'keep')).toBeDefined();
    expect(world.cluster.get('ConfigMap', 'taken')).toBeDefined();
    expect(world.cluster.source().status?.inventory?.map(({ id }) => id)).toEqual(['/v1/ConfigMap/shop/z']);
  });

  it('refuses to delete everything', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.commit({ 'deploy/a.yaml': null, 'deploy/README.md': 'empty' });
    expect(await world.reason('PruneRefused')).toContain('nothing is deleted');
    expect(world.cluster.get('ConfigMap', 'a')).toBeDefined();
    expect(world.cluster.source().status?.inventory).toHaveLength(1);
  });

  it('leaves everything when spec.prune is false, and touches nothing when spec.apply is', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a'), 'deploy/b.yaml': configMap('b') });
    world.source({ prune: false });
    await world.start();
    await world.applied(first);
    await world.applied(await world.commit({ 'deploy/a.yaml': null }));
    expect(world.cluster.get('ConfigMap', 'a')).toBeDefined();
    world.source({ apply: false });
    const witnessed = await world.commit({ 'deploy/c.yaml': configMap('c') });
    await until(
      () => world.cluster.source().status?.fetchedCommit === witnessed,
      () => 'the commit to be seen',
    );
    expect(world.cluster.get('ConfigMap', 'c')).toBeUndefined();
  });
});
