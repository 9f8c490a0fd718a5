import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { gitEnvironment } from '../../src/git/environment.js';
import { runGit } from '../../src/git/run.js';
import { temporaryFolder } from '../real/process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const summary = z.object({
  releases: z.array(z.object({ commit: z.string(), revision: z.string(), result: z.string() })),
  git: z.object({
    head: z.string(),
    subject: z.string(),
    trailers: z.record(z.string(), z.string()),
    statuses: z.array(z.object({ commit: z.string(), state: z.string() })),
    pullRequests: z.array(z.looseObject({ title: z.string() })),
  }),
});

/** The demo as anybody plays it, and what it leaves. */
async function played(scenario: string): Promise<{ result: z.infer<typeof summary>; text: string; log: (...args: string[]) => Promise<string>; done: () => Promise<void> }> {
  const dir = await temporaryFolder('sluice-git-demo-');
  const { stdout } = await promisify(execFile)(join(ROOT, 'node_modules', '.bin', 'tsx'), ['src/main.ts', 'demo', '--scenario', scenario, '--output', 'json', '--keep', dir], { cwd: ROOT, maxBuffer: 16 * 1024 * 1024 });
  const lines = stdout.trimEnd().split('\n');
  return {
    result: summary.parse(JSON.parse(lines.at(-1) ?? '')),
    text: lines.slice(0, -1).join('\n'),
    log: (...args) => runGit(['log', ...args], { cwd: join(dir, 'repository.git'), environment: gitEnvironment(dir) }),
    done: () => rm(dir, { recursive: true, force: true }),
  };
}

it('git-revert: after the rollback the head of the branch is the revert, git log tells why, and the summary says so', async () => {
  const { result, log, done } = await played('git-revert');
  const [release] = result.releases;
  expect(release).toMatchObject({ result: 'Failed' });
  expect(result.git).toMatchObject({ subject: 'Revert "reviews v3: red stars"', trailers: { 'Sluice-Revision': release?.revision, 'Sluice-Reverts': release?.commit } });
  const [head, ...message] = (await log('-1', '--format=%H%n%B', 'main')).split('\n');
  expect(head).toBe(result.git.head);
  expect(message.join('\n')).toMatch(/success rate \d.*% < 99 %/);
  expect((await log('-1', '--format=%H', 'main~1')).trim()).toBe(release?.commit);
  expect(result.git.statuses.filter(({ commit }) => commit === release?.commit).at(-1)).toMatchObject({ state: 'failure' });
  await done();
});

it('git-pull-request: the branch stays, and the revert waits for people on the Git host', async () => {
  const { result, done } = await played('git-pull-request');
  const [release] = result.releases;
  expect(release).toMatchObject({ result: 'Failed' });
  expect(result.git.head).toBe(release?.commit);
  expect(result.git.pullRequests).toMatchObject([{ title: 'Revert "reviews v3: red stars"' }]);
  await done();
});
