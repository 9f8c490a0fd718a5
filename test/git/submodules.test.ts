import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gitEnvironment } from '../../src/git/environment.js';
import { commitTree, createBareRepository } from '../../src/git/repository.js';
import { resolveAddress, submodulesOf, type Submodules } from '../../src/git/submodules.js';
import { parseRemoteUrl } from '../../src/git/url.js';
import { serveSmartHttp } from './write-back/smart-http.js';
import { configMap, World } from './world.js';

let world: World;
let servers: { url: string; close(): Promise<void> }[] = [];
beforeEach(async () => {
  world = await World.create({ secrets: { git: { username: 'bot', password: 'very-secret' } } });
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
  await world.destroy();
});

/** Another repository beside the one that is followed, in the folder `folder` of what is served. */
async function other(name: string, changes: Parameters<typeof commitTree>[1], folder = ''): Promise<string> {
  const dir = join(world.dir, folder, `${name}.git`);
  await createBareRepository(dir);
  return commitTree(dir, changes, { message: name });
}
const modules = (...entries: [path: string, url: string][]): string => entries.map(([path, url]) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ${url}\n`).join('');
async function serve(password: string, folder = ''): Promise<{ url: string; authorizations: string[]; close(): Promise<void> }> {
  const server = await serveSmartHttp(join(world.dir, folder), 'bot', password);
  servers.push(server);
  return server;
}

describe('a submodule', () => {
  it('is refused by its name while spec.submodules is not set, and read where it is', async () => {
    const id = await other('parts', { 'a.yaml': configMap('from-parts') });
    const sha = await world.commit({ 'deploy/own.yaml': configMap('own'), 'deploy/parts': { submodule: id }, '.gitmodules': modules(['deploy/parts', '../parts.git']) });
    world.source();
    await world.start();
    expect(await world.reason('InvalidManifest')).toContain('deploy/parts is a submodule');
    expect(world.cluster.get('ConfigMap', 'own')).toBeDefined();
    world.source({ submodules: true });
    await world.applied(sha);
    expect(world.cluster.get('ConfigMap', 'from-parts')).toBeDefined();
  });

  it('follows its commit: another one is applied, with the commit of the repository that names it', async () => {
    const first = await other('parts', { 'a.yaml': configMap('part', 'one') });
    const second = await commitTree(join(world.dir, 'parts.git'), { 'a.yaml': configMap('part', 'two') }, { message: 'two' });
    await world.commit({ 'deploy/parts': { submodule: first }, '.gitmodules': modules(['deploy/parts', '../parts.git']) });
    world.source({ submodules: true });
    await world.start();
    await world.reason('Synced');
    expect(world.cluster.get('ConfigMap', 'part')?.['data']).toEqual({ value: 'one' });
    const sha = await world.commit({ 'deploy/parts': { submodule: second } });
    await world.applied(sha);
    expect(world.cluster.get('ConfigMap', 'part')).toMatchObject({ data: { value: 'two' }, metadata: { annotations: { 'sluice.dev/commit': sha } } });
  });

  it('may hold spec.path, and submodules of its own', async () => {
    const inner = await other('inner', { 'c.yaml': configMap('deep') });
    const outer = await other('outer', { 'prod/a.yaml': configMap('a'), 'prod/in': { submodule: inner }, '.gitmodules': modules(['prod/in', '../inner.git']) });
    const sha = await world.commit({ vendor: { submodule: outer }, '.gitmodules': modules(['vendor', './../outer.git']) });
    world.source({ submodules: true, path: 'vendor/prod' });
    await world.start();
    await world.applied(sha);
    expect(world.cluster.get('ConfigMap', 'a')).toBeDefined();
    expect(world.cluster.get('ConfigMap', 'deep')).toBeDefined();
  });

  it('that is not where .gitmodules says is named, nothing is deleted, and it is tried again', async () => {
    const id = await other('parts', { 'a.yaml': configMap('part') });
    const first = await world.commit({ 'deploy/own.yaml': configMap('own') });
    world.source({ submodules: true });
    await world.start();
    await world.applied(first);
    await world.commit({ 'deploy/own.yaml': null, 'deploy/parts': { submodule: id }, '.gitmodules': modules(['deploy/parts', '../late.git']) });
    expect(await world.reason('RepositoryNotFound')).toContain('submodule deploy/parts');
    expect(world.cluster.get('ConfigMap', 'own')).toBeDefined();
    await other('late', {});
    await commitTree(join(world.dir, 'late.git'), { 'a.yaml': configMap('part') }, { message: 'parts', at: 0 });
    await world.commit({ 'deploy/parts': { submodule: await commitTree(join(world.dir, 'late.git'), { 'b.yaml': configMap('b') }, { message: 'more' }) } });
    await world.reason('Synced');
    expect(world.cluster.get('ConfigMap', 'b')).toBeDefined();
  });

  it.each([
    ['--upload-pack=touch /tmp/x', 'begins with "-"'],
    ['ext::sh -c id', 'holds blanks'],
    ['ext::id', 'remote helper'],
    ['https://user:pw@git.invalid/x.git', 'holds a password'],
    ['../../../../../../../../../../../../x.git', 'leads out of the host'],
    ['git@elsewhere.invalid:x.git', 'is at elsewhere.invalid'],
  ])('at %s is refused in the words for spec.url, and everything else is applied', async (url, words) => {
    const id = await other('parts', { 'a.yaml': configMap('part') });
    await world.commit({ 'deploy/own.yaml': configMap('own'), 'deploy/parts': { submodule: id }, '.gitmodules': modules(['deploy/parts', JSON.stringify(url)]) });
    world.source({ submodules: true });
    await world.start();
    const message = await world.reason('InvalidManifest');
    expect(message).toContain(words);
    expect(message).not.toContain('pw@');
    expect(world.cluster.get('ConfigMap', 'own')).toBeDefined();
  });

  it('after a hundred others is not fetched, and the reason is told', async () => {
    const id = await other('parts', { 'a.yaml': configMap('part') });
    const commit = await world.commit({ 'deploy/parts': { submodule: id }, '.gitmodules': modules(['deploy/parts', '../parts.git']) });
    const call = { cwd: world.repository, environment: gitEnvironment(world.dir) };
    const options = { homes: join(world.dir, 'homes'), egress: {}, timeoutMs: 10_000 };
    const bring = (count: number): ReturnType<Submodules['bring']> => submodulesOf(parseRemoteUrl(world.url), { ...options, fetched: { count } }).bring({ call, commit }, 'deploy/parts', id);
    expect(await bring(100)).toEqual({ problem: expect.stringContaining('one of more than 100 that would have to be fetched') as string });
    expect(await bring(99)).toMatchObject({ commit: id });
    // What is there already costs nothing.
    expect(await bring(100)).toMatchObject({ commit: id });
  });

  it('of a server cannot be a folder of the controller', async () => {
    const id = await other('parts', { 'a.yaml': configMap('part') });
    await world.commit({ 'deploy/own.yaml': configMap('own'), 'deploy/parts': { submodule: id }, '.gitmodules': modules(['deploy/parts', `file://${world.dir}/parts.git`]) });
    const { url } = await serve('very-secret');
    world.source({ submodules: true, url: `${url}/shop.git`, secretRef: { name: 'git' } });
    await world.start();
    expect(await world.reason('InvalidManifest')).toContain('would be a folder of the controller');
    expect(world.cluster.get('ConfigMap', 'part')).toBeUndefined();
  });
});

describe('the password of a repository', () => {
  it('is given for submodules at the same host', async () => {
    const id = await other('parts', { 'a.yaml': configMap('part') });
    const sha = await world.commit({ 'deploy/parts': { submodule: id }, '.gitmodules': modules(['deploy/parts', '../parts.git']) });
    const { url } = await serve('very-secret');
    world.source({ submodules: true, url: `${url}/shop.git`, secretRef: { name: 'git' } });
    await world.start();
    await world.applied(sha);
    expect(world.cluster.get('ConfigMap', 'part')).toBeDefined();
  });

  it('is not given for those at another one', async () => {
    const id = await other('parts', { 'a.yaml': configMap('part') }, 'elsewhere');
    const elsewhere = await serve('very-secret', 'elsewhere');
    await world.commit({ 'deploy/parts': { submodule: id }, '.gitmodules': modules(['deploy/parts', `${elsewhere.url}/parts.git`]) });
    const { url } = await serve('very-secret');
    world.source({ submodules: true, url: `${url}/shop.git`, secretRef: { name: 'git' } });
    await world.start();
    expect(await world.reason('AuthenticationFailed')).toContain('submodule deploy/parts');
    expect(elsewhere.authorizations.length).toBeGreaterThan(0);
    expect(elsewhere.authorizations.filter(Boolean)).toEqual([]);
  });
});

it.each([
  ['https://git.example/shop/app.git', '../parts.git', 'https://git.example/shop/parts.git'],
  ['https://git.example/shop/app.git', './parts', 'https://git.example/shop/app.git/parts'],
  ['https://git.example:8443/shop/app', '../../x/y.git', 'https://git.example:8443/x/y.git'],
  ['https://git.example/app', '../../x', undefined],
  ['git@git.example:shop/app.git', '../parts.git', 'git@git.example:shop/parts.git'],
  ['git@git.example:app.git', '../parts.git', 'git@git.example:parts.git'],
  ['git@git.example:app.git', '../../parts.git', undefined],
  ['ssh://git@git.example:2222/shop/app.git', '../parts.git', 'ssh://git@git.example:2222/shop/parts.git'],
  ['file:///srv/shop.git', '../parts.git', 'file:///srv/parts.git'],
  ['https://git.example/app', 'https://other.example/x', 'https://other.example/x'],
])('from %s, %s is %s', (parent, address, expected) => expect(resolveAddress(parent, address)).toBe(expected));
