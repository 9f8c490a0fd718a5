import { createHash } from 'node:crypto';
import { GitError, runGit, runRemoteGit, type GitCall } from './run.js';

/** Our own name for what was fetched, so that no branch of the remote is in its way. */
export const ownRef = (source: string, kind = ''): string => `refs/sluice/${kind}${createHash('sha256').update(source).digest('hex').slice(0, 20)}`;

/** Fetches with `depth` commits of history, or all of it from servers that cannot give less. */
export async function fetchShallow(url: string, spec: string[], depth: number, remote: GitCall): Promise<string> {
  const args = (options: string[]): string[] => ['fetch', '--quiet', '--force', '--no-tags', ...options, '--', url, ...spec];
  try {
    return await runRemoteGit(args([`--depth=${depth}`]), remote);
  } catch (error) {
    if (error instanceof GitError && /shallow/i.test(error.stderr) && /support/i.test(error.stderr))
      return runRemoteGit(args([]), remote);
    throw error;
  }
}

/** The commit behind a name, tags peeled; undefined when it is not there. */
export async function peel(name: string, local: GitCall): Promise<string | undefined> {
  try {
    return (await runGit(['rev-parse', '--verify', '--quiet', `${name}^{commit}`], local)).trim();
  } catch (error) {
    if (error instanceof GitError && error.stderr.trim() === '') return undefined;
    throw error;
  }
}
