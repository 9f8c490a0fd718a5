import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitTree, createBareRepository } from '../../src/git/repository.js';
import { presentParts } from '../real/parts.js';
import { removeTemporary, temporaryFolder } from '../real/process.js';
import { startSshd, type RealSshd } from '../real/sshd.js';
import { deployment, GitWorld, revisionOf } from './write-back/world.js';
import { configMap, until, World } from './world.js';

const programs = spawnSync('ssh', ['-V'], { stdio: 'ignore' }).status === 0 ? await presentParts(['sshd', 'libwrap', 'nssWrapper']) : undefined;
if (!programs) console.warn('SKIPPED: no sshd in the cache of real programs (npx tsx scripts/real-parts.ts sshd libwrap nssWrapper), or no ssh; Git over ssh was not tested');

const file = 'deploy/reviews.yaml';
const stable = revisionOf('reviews', 'reviews:1');
const failed = revisionOf('reviews', 'reviews:2');

describe.skipIf(!programs)('a repository behind a real sshd', () => {
  let dir: string;
  let server: RealSshd;
  beforeAll(async () => {
    dir = await temporaryFolder('sluice-sshd-');
    if (programs) server = await startSshd(programs, dir);
  });
  afterAll(async () => {
    await server.stop();
    await removeTemporary(dir);
  });

  const credentials = (): Record<string, string> => ({ identity: server.identity, known_hosts: server.knownHosts });
  const urlOf = (repository: string): string => `ssh://git@127.0.0.1:${server.port}${repository}`;

  /** A world whose source is the repository over ssh. */
  async function follow(secret: Record<string, string>, check: (world: World, sha: string) => Promise<void>): Promise<void> {
    const world = await World.create({ secrets: { key: secret } });
    try {
      const sha = await world.commit({ 'deploy/a.yaml': configMap('a') });
      world.source({ url: urlOf(world.repository), secretRef: { name: 'key' } });
      await world.start();
      await check(world, sha);
    } finally {
      await world.destroy();
    }
  }
  const everything = async (folder: string): Promise<string> => {
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    return (await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')))).join('\n');
  };

  it('is read with the key of the Secret, which is nowhere afterwards', () =>
    follow(credentials(), async (world, sha) => {
      await world.applied(sha);
      expect(await server.log()).toContain('Accepted publickey for git');
      await world.stop();
      expect(await everything(world.data)).not.toContain(server.identity.split('\n')[1]);
    }));

  it('is not read with a key that may not log in, and the message names the Secret', () =>
    follow({ ...credentials(), identity: server.stranger }, async (world) => {
      const message = await world.reason('AuthenticationFailed');
      expect(message).toContain('Permission denied');
      expect(message).toContain('spec.secretRef');
    }));

  it('is not read from a host with another key than known_hosts says, and nothing is applied', () =>
    follow({ ...credentials(), known_hosts: server.otherHosts }, async (world) => {
      expect(await world.reason('AuthenticationFailed')).toContain('Host key verification failed');
      expect(world.cluster.get('ConfigMap', 'a')).toBeUndefined();
    }));

  it('is read with submodules at the same host, by the same key', () =>
    follow(credentials(), async (world, sha) => {
      await world.applied(sha);
      await createBareRepository(join(world.dir, 'parts.git'));
      const submodule = await commitTree(join(world.dir, 'parts.git'), { 'b.yaml': configMap('b') }, { message: 'parts' });
      world.source({ url: urlOf(world.repository), secretRef: { name: 'key' }, submodules: true });
      await world.applied(await world.commit({ 'deploy/parts': { submodule }, '.gitmodules': '[submodule "p"]\n\tpath = deploy/parts\n\turl = ../parts.git\n' }));
      expect(world.cluster.get('ConfigMap', 'b')).toBeDefined();
    }));

  describe('takes verdicts', () => {
    let world: GitWorld;
    const data = (): Record<string, string> => Object.fromEntries(Object.entries(credentials()).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
    const options = { secret: async () => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'key' }, data: data() }) };
    async function failing(): Promise<string> {
      world = await GitWorld.create();
      world.source('shop', { url: urlOf(world.repository), secretRef: { name: 'key' } });
      await world.commit({ [file]: deployment('reviews', 'reviews:1') });
      return world.commit({ [file]: deployment('reviews', 'reviews:2') }, 'Red stars');
    }

    it('a revert is pushed, and the key is neither on disk nor in the outcome', async () => {
      const commit = await failing();
      try {
        const outcome = await world.revert({ revision: failed, stable, commit }, world.writer(options));
        expect(outcome).toMatchObject({ state: 'Done', written: await world.head() });
        expect(await world.file(file)).toContain('reviews:1');
        const written = (await everything(join(world.dir, 'data-one'))) + JSON.stringify(outcome);
        for (const line of server.identity.split('\n').slice(1, 3)) expect(written).not.toContain(line);
      } finally {
        await world.destroy();
      }
    });

    it('two clusters and others who push at the same time lose no commit', async () => {
      const commit = await failing();
      try {
        const others = (async () => {
          for (let round = 0; round < 20; round += 1) await committed(world, round);
        })();
        const outcomes = await Promise.all(['east', 'west'].map((cluster) => world.revert({ revision: failed, stable, commit }, world.writer({ ...options, cluster }, cluster))));
        await others;
        expect(outcomes.map(({ state }) => state)).toEqual(['Done', 'Done']);
        const subjects = (await world.git('log', '--format=%s')).split('\n');
        expect(subjects.filter((subject) => subject.startsWith('Revert'))).toHaveLength(1);
        expect(subjects.filter((subject) => subject.startsWith('round '))).toHaveLength(20);
      } finally {
        await world.destroy();
      }
    });
  });
});

/** A commit on top of whatever is there; one that came second is made again. */
const committed = (world: GitWorld, round: number): Promise<void> => {
  let done = false;
  const attempt = (): void => {
    world.commit({ [`notes/${round}.md`]: `${round}\n` }, `round ${round}`).then(
      () => (done = true),
      () => setTimeout(attempt, 5),
    );
  };
  attempt();
  return until(() => done, () => `commit ${round}`);
};
