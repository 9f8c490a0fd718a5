import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { vi } from 'vitest';

/** The real Git with a script before it: it sees every call in a file, and does first what the test says. Undone by vi.unstubAllEnvs(). */
export interface WatchedGit {
  /** Shell lines that run before Git, with its arguments in "$@"; empty to do nothing. */
  before(lines: string): Promise<void>;
  /** Subcommands so far. */
  calls(): Promise<string[]>;
}

export async function watchGit(dir: string): Promise<WatchedGit> {
  const real = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim();
  const [folder, log, lines] = [join(dir, 'bin'), join(dir, 'git.log'), join(dir, 'before.sh')];
  await mkdir(folder, { recursive: true });
  await writeFile(log, '');
  await writeFile(lines, '');
  await writeFile(join(folder, 'git'), `#!/bin/sh\necho "$*" >> '${log}'\n. '${lines}'\nexec '${real}' "$@"\n`, { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}${delimiter}${process.env['PATH'] ?? ''}`);
  return {
    before: (text) => writeFile(lines, `${text}\n`),
    calls: async () => (await readFile(log, 'utf8')).split('\n').filter(Boolean),
  };
}
