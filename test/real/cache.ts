import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

/** How long one run waits for another that prepares the same part, in ms. A cold build takes most of it on a small machine. */
const LOCK_TIMEOUT_MS = 40 * 60_000;
const LOCK_POLL_MS = 500;

/** Where prepared parts live: outside the repository, so that checkouts share them. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_CACHE_HOME'] || path.join(env['HOME'] ?? homedir(), '.cache');
  return env['SLUICE_REAL_CACHE'] || path.join(base, 'sluice-real');
}

/** Makes a part's content in an empty folder and says which version it is. */
export type Prepare = (folder: string) => Promise<string>;

/**
 * The folder of a part, `<cache>/<part>-<version>`. It is prepared when missing; it appears whole or not at all, and two runs that
 * want it wait for each other.
 */
export async function cached(cache: string, part: string, wanted: RegExp, prepare: Prepare): Promise<string> {
  await mkdir(cache, { recursive: true });
  const present = await newest(cache, part, wanted);
  if (present) return present;
  const unlock = await lock(path.join(cache, `${part}.lock`));
  try {
    const meanwhile = await newest(cache, part, wanted);
    if (meanwhile) return meanwhile;
    const work = await mkdtemp(path.join(cache, `.${part}-`));
    try {
      const version = await prepare(work);
      if (!wanted.test(version))
        throw new Error(`real parts: ${part} came as version ${version}, which does not match ${wanted}`);
      const final = path.join(cache, `${part}-${version}`);
      await rename(work, final);
      return final;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } finally {
    await unlock();
  }
}

/** The folder of a part that is there already; rejects when there is no cache at all. */
export async function newest(cache: string, part: string, wanted: RegExp): Promise<string | undefined> {
  const versions = (await readdir(cache))
    .filter((name) => name.startsWith(`${part}-`))
    .map((name) => name.slice(part.length + 1))
    .filter((version) => wanted.test(version))
    .toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const last = versions.at(-1);
  return last === undefined ? undefined : path.join(cache, `${part}-${last}`);
}

async function lock(file: string): Promise<() => Promise<void>> {
  const deadline = performance.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    try {
      await writeFile(file, String(process.pid), { flag: 'wx' });
      return () => rm(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number(await readFile(file, 'utf8').catch(() => ''));
    // A run that was killed leaves its lock behind. (An empty file is one that is just being written.)
    if (owner > 0 && !isRunning(owner)) await rm(file, { force: true });
    if (performance.now() > deadline) {
      throw new Error(
        `real parts: process ${owner} has held ${file} for ${LOCK_TIMEOUT_MS / 60_000} minutes; end it or remove the file`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
