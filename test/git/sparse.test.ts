import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gitEnvironment } from '../../src/git/environment.js';
import { findKustomize } from '../../src/git/kustomize.js';
import { runGit } from '../../src/git/run.js';
import { serveSmartHttp } from './write-back/smart-http.js';
import { configMap, World } from './world.js';

let world: World;
let server: Awaited<ReturnType<typeof serveSmartHttp>> | undefined;
beforeEach(async () => {
  world = await World.create({ secrets: { git: { username: 'bot', password: 'very-secret' } } });
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await world.destroy();
});

/** Contents of files in the controller's only copy; what is not there is not fetched either. */
async function held(): Promise<string[]> {
  const folder = join(world.data, 'git', 'repositories');
  const [copy = ''] = await readdir(folder);
  const call = { cwd: join(folder, copy), environment: gitEnvironment(world.dir) };
  const ids = (await runGit(['cat-file', '--batch-all-objects', '--batch-check=%(objecttype) %(objectname)', '--unordered'], call)).split('\n').flatMap((line) => (line.startsWith('blob ') ? [line.slice(5)] : []));
  return Promise.all(ids.map((id) => runGit(['cat-file', 'blob', id], call)));
}
const large = 'a large file elsewhere\n'.repeat(2_000);

describe('a source with spec.sparse', () => {
  it('fetches files below spec.path only, at the first commit and at later ones', async () => {
    await world.git('config', 'uploadpack.allowFilter', 'true');
    await world.git('config', 'uploadpack.allowAnySHA1InWant', 'true');
    const first = await world.commit({ 'deploy/a.yaml': configMap('a'), 'other/large.txt': large });
    world.source({ sparse: [] });
    await world.start();
    await world.applied(first);
    const second = await world.commit({ 'deploy/b.yaml': configMap('b'), 'other/more.txt': `${large}more\n` });
    await world.applied(second);
    expect(world.cluster.get('ConfigMap', 'b')).toBeDefined();
    expect((await held()).toSorted()).toEqual([configMap('a'), configMap('b')]);
  });

  it('does so behind a password', async () => {
    await world.git('config', 'uploadpack.allowFilter', 'true');
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a'), 'other/large.txt': large });
    server = await serveSmartHttp(world.dir, 'bot', 'very-secret');
    world.source({ sparse: [], url: `${server.url}/shop.git`, secretRef: { name: 'git' } });
    await world.start();
    await world.applied(sha);
    expect(await held()).toEqual([configMap('a')]);
  });

  it('fetches everything from a server that cannot leave anything out', async () => {
    await world.git('config', 'uploadpack.allowFilter', 'false');
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a'), 'other/large.txt': large });
    world.source({ sparse: [] });
    await world.start();
    await world.applied(sha);
    expect(await held()).toContain(large);
  });

  it.skipIf(!findKustomize())('builds a kustomization with the bases that it names', async () => {
    await world.git('config', 'uploadpack.allowFilter', 'true');
    const sha = await world.commit({
      'deploy/kustomization.yaml': 'resources: [../base]\nnamePrefix: prod-\n',
      'base/kustomization.yaml': 'resources: [a.yaml]\n',
      'base/a.yaml': configMap('a'),
      'other/large.txt': large,
    });
    world.source({ sparse: ['base'] });
    await world.start();
    await world.applied(sha);
    expect(world.cluster.get('ConfigMap', 'prod-a')).toBeDefined();
    expect(await held()).not.toContain(large);
  });

  it('that leads out of the repository is named', async () => {
    await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source({ sparse: ['../x'] });
    await world.start();
    expect(await world.reason('InvalidSpec')).toContain('spec.sparse "../x"');
  });
});
