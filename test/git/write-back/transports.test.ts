import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GitWriterOptions } from '../../../src/git/index.js';
import { serveSmartHttp } from './smart-http.js';
import { configMap, deployment, GitWorld, revisionOf } from './world.js';

const PASSWORD = 'p@ss/w0rd:very-secret';
const stable = revisionOf('reviews', 'reviews:1');
const failed = revisionOf('reviews', 'reviews:2');
const file = 'deploy/reviews.yaml';
let world: GitWorld;
let server: Awaited<ReturnType<typeof serveSmartHttp>> | undefined;
beforeEach(async () => {
  world = await GitWorld.create();
  await world.commit({ [file]: deployment('reviews', 'reviews:1') });
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await world.destroy();
});

async function overHttp(password = PASSWORD): Promise<Partial<GitWriterOptions>> {
  await world.git('config', 'http.receivepack', 'true');
  server = await serveSmartHttp(world.dir, 'bot', PASSWORD);
  world.source('shop', { url: `${server.url}/shop.git`, secretRef: { name: 'git' } });
  const data = { username: Buffer.from('bot').toString('base64'), password: Buffer.from(password).toString('base64') };
  return { secret: async () => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'git' }, data }) };
}
async function hook(text: string): Promise<void> {
  const path = join(world.repository, 'hooks', 'pre-receive');
  await mkdir(join(world.repository, 'hooks'), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
}
async function everythingWritten(dir: string): Promise<string> {
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  return (await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')))).join('\n');
}

describe('a revert over smart HTTP behind a password', () => {
  it('is pushed, and the password is nowhere afterwards: not on disk, not in the outcome', async () => {
    const commit = await world.commit({ [file]: deployment('reviews', 'reviews:2') }, 'Red stars');
    const outcome = await world.revert({ revision: failed, stable, commit }, world.writer(await overHttp()));
    expect(outcome).toMatchObject({ state: 'Done', written: await world.head() });
    const written = await everythingWritten(join(world.dir, 'data-one'));
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD)]) expect(written + JSON.stringify(outcome)).not.toContain(secret);
  });

  it('with a password that is refused is tried again, and says what to check without repeating it', async () => {
    const commit = await world.commit({ [file]: deployment('reviews', 'reviews:2') });
    const outcome = world.revert({ revision: failed, stable, commit }, world.writer(await overHttp('wr0ng-one')));
    await expect(outcome).rejects.toThrow(/spec.secretRef/);
    await expect(outcome).rejects.not.toThrow(/wr0ng-one/);
    expect(await world.head()).toBe(commit);
  });

  it('to a protected branch is not pushed, and the words of the server say why', async () => {
    const commit = await world.commit({ [file]: deployment('reviews', 'reviews:2') });
    await hook('echo "GH006: Protected branch update failed for refs/heads/main." >&2; exit 1');
    const outcome = await world.revert({ revision: failed, stable, commit }, world.writer(await overHttp()));
    expect(outcome.state).toBe('Skipped');
    expect(outcome.message).toContain('Protected branch update failed');
    expect(outcome.message).toContain('pullRequest');
    expect(await world.head()).toBe(commit);
  });

  it('is made anew when somebody pushes between the look and the push', async () => {
    const commit = await world.commit({ [file]: deployment('reviews', 'reviews:2') });
    const other = await world.commit({ 'deploy/other.yaml': configMap('other', 'x') }, 'Meanwhile', { branch: 'aside' });
    await world.git('update-ref', 'refs/heads/aside', other);
    let asked = 0;
    const options = await overHttp();
    // Asked right before each push; the first time, the branch moves under it.
    const moved = (): void => {
      asked += 1;
      if (asked === 1) execFileSync('git', ['update-ref', 'refs/heads/main', meanwhile], { cwd: world.repository });
    };
    const tree = await world.git('merge-tree', '--write-tree', '--allow-unrelated-histories', 'main', 'aside');
    const meanwhile = await world.git('-c', 'user.name=Ada', '-c', 'user.email=ada@shop.invalid', 'commit-tree', tree, '-p', 'main', '-m', 'Meanwhile');
    const outcome = await world.revert({ revision: failed, stable, commit }, world.writer({ ...options, assertLeading: moved }));
    expect(outcome.state).toBe('Done');
    expect(asked).toBe(2);
    expect(await world.git('rev-parse', 'main~1')).toBe(meanwhile);
    expect(await world.file('deploy/other.yaml')).toContain('value: "x"');
    expect(await world.file(file)).toContain('reviews:1');
  });
});

describe('two writers of one branch', () => {
  it('racing lose no commit of anybody: 100 commits of others, one revert, everything is there', async () => {
    const commit = await world.commit({ [file]: deployment('reviews', 'reviews:2') }, 'Red stars');
    const others = (async () => {
      for (let round = 0; round < 100; round += 1) {
        // As `git push` does: never over what came meanwhile.
        await commitRetrying(round);
      }
    })();
    const outcomes = await Promise.all(['east', 'west'].map((cluster) => world.revert({ revision: failed, stable, commit }, world.writer({ cluster }, cluster))));
    await others;
    expect(outcomes.map(({ state }) => state)).toEqual(['Done', 'Done']);
    const subjects = (await world.git('log', '--format=%s')).split('\n');
    expect(subjects.filter((subject) => subject.startsWith('Revert'))).toHaveLength(1);
    expect(new Set(subjects.filter((subject) => subject.startsWith('round '))).size).toBe(100);
    for (const round of [0, 42, 99]) expect(await world.file(`notes/${round}.md`)).toBe(String(round));
    expect(await world.file(file)).toContain('reviews:1');
  }, 180_000);
});

/** A commit on top of whatever is there; a refused one is made again. */
async function commitRetrying(round: number): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await world.commit({ [`notes/${round}.md`]: `${round}\n` }, `round ${round}`);
      return;
    } catch (error) {
      if (tries > 20) throw error;
    }
  }
}
