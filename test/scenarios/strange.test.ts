import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const TSX = import.meta.resolve('tsx');
const SCRIPT = `
rps: 20
analysis: { interval: 1s, stepWeights: [50], metrics: [{ name: request-success-rate, thresholdRange: { min: 99 } }] }
commits:
  - { message: "reviews v2: black stars", version: 2, next: Succeeded }
`;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-strange-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  out: string;
  err: string;
}
/** A process with this environment and nothing else of ours. */
function run(args: string[], env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', TSX, MAIN, ...args], { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text: Buffer) => (out += text.toString()));
    child.stderr.on('data', (text: Buffer) => (err += text.toString()));
    child.on('error', reject);
    child.on('exit', (code) => resolve({ code, out, err }));
  });
}

/** Git that signs with a key that is not there, has no identity, rewrites addresses, and runs hooks that refuse. */
async function hostileGit(): Promise<Record<string, string>> {
  const hooks = join(dir, 'hooks');
  await mkdir(hooks);
  for (const hook of ['pre-commit', 'commit-msg', 'pre-push', 'pre-receive', 'update']) {
    await writeFile(join(hooks, hook), '#!/bin/sh\nexit 1\n');
    await chmod(join(hooks, hook), 0o755);
  }
  const config = join(dir, 'gitconfig');
  await writeFile(
    config,
    `[commit]\n\tgpgSign = true\n[user]\n\tuseConfigOnly = true\n\tsigningKey = nobody\n[core]\n\thooksPath = ${hooks}\n[init]\n\tdefaultBranch = trunk\n[url "https://git.invalid/"]\n\tinsteadOf = file://\n`,
  );
  return { GIT_CONFIG_GLOBAL: config, GIT_DIR: join(dir, 'nowhere'), GIT_AUTHOR_DATE: 'yesterday' };
}

const PROXIES = { HTTP_PROXY: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9', ALL_PROXY: 'http://127.0.0.1:9', http_proxy: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9' };

it('two sandboxes at once, behind proxies that are not there, without HOME, with a Git that signs, hooks and rewrites, in a folder that is not ours', async () => {
  const script = join(dir, 'script.yaml');
  await writeFile(script, SCRIPT);
  const env = { PATH: process.env['PATH'] ?? '', TMPDIR: dir, ...PROXIES, ...(await hostileGit()) };
  const both = await Promise.all(['one', 'two'].map((name) => run(['sandbox', '--run', script, '--keep', join(dir, name), '--output', 'json'], env)));
  for (const { code, out, err } of both) {
    expect(code, err + out).toBe(0);
    const summary = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as { releases: { result: string; weights: number[] }[]; requests: { total: number; failed: number }; git: { url: string } };
    expect(summary.releases.map(({ result, weights }) => [result, weights])).toEqual([['Succeeded', [50, 100]]]);
    expect(summary.requests.total).toBeGreaterThan(50);
    expect(summary.requests.failed).toBe(0);
  }
  // Each has evidence of its own.
  const evidence = await Promise.all(['one', 'two'].map((name) => readFile(join(dir, name, 'requests.jsonl'), 'utf8')));
  expect(evidence[0]).not.toBe(evidence[1]);
}, 300_000);
