import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutants.js';

const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');
const COPIED = ['src', 'test', 'scripts', 'package.json', 'tsconfig.json'];

/** How a controller is changed: edits of single places, or a unified diff. */
export type Change = Pick<Mutant, 'edits'> | { patch: string };
/** `broken`: the changed controller does not run at all, which says nothing about the world. */
export interface Judged {
  verdict: 'caught' | 'survived' | 'broken';
  words: string;
}

/** Ways to read a diff, the strictest first: sources move on, and not every tool writes the prefixes `a/` and `b/`. */
const READINGS = [['--recount'], ['--recount', '-C1'], ['--recount', '--unidiff-zero'], ['--recount', '-p0']];

function applyPatch(folder: string, patch: string): void {
  // Not even a repository around the folder for temporary files is looked at.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: tmpdir() };
  let said = '';
  for (const options of READINGS) {
    const { status, stderr } = spawnSync('git', ['apply', ...options, '-'], { input: patch, cwd: folder, encoding: 'utf8', env });
    if (status === 0) return;
    said ||= stderr.trim();
  }
  throw new Error(`the patch does not apply to the sources: ${said}`);
}

/** @throws Error that names the place when an edit or a patch does not fit the sources. */
function applyTo(folder: string, change: Change): void {
  if ('patch' in change) return applyPatch(folder, change.patch);
  for (const { file, find, replace } of change.edits) {
    const path = join(folder, file);
    const source = readFileSync(path, 'utf8');
    const parts = source.split(find);
    if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times, not once: ${find}`);
    writeFileSync(path, parts.join(replace));
  }
}

/** Change a scratch copy of the sources, and play schedules with it until a truth breaks or `count` have passed. */
export async function judge(change: Change, { count, first }: { count: number; first: number }): Promise<Judged> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-mutant-'));
  try {
    for (const item of COPIED) cpSync(join(ROOT, item), join(folder, item), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    applyTo(folder, change);
    const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/soak.ts', '--stop', '--count', String(count), '--first', String(first)], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, problems] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const failure = /^seed -?\d+: .*$/m.exec(out)?.[0];
    if (failure) return { verdict: 'caught', words: failure };
    const last = out.trimEnd().split('\n').at(-1) ?? '';
    if (last === '' || !last.startsWith(`${count} schedules`)) return { verdict: 'broken', words: `${last} ${problems.trim().slice(0, 500)}` };
    return { verdict: 'survived', words: last };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
