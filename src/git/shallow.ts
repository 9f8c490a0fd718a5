import { createHash } from 'node:crypto';
import { suspectsCache } from './failure.js';
import { GitError, runGit, runRemoteGit, type GitCall } from './run.js';

/** Our own name for what was fetched, so that no branch of the remote is in its way. */
export const ownRef = (source: string, kind = ''): string => `refs/sluice/${kind}${createHash('sha256').update(source).digest('hex').slice(0, 20)}`;

/** Fetches with `depth` commits of history, or all of it from servers that cannot give less. */
export async function fetchShallow(url: string, spec: string[], depth: number, remote: GitCall, more: string[] = []): Promise<string> {
  const args = (options: string[]): string[] => ['fetch', '--quiet', '--force', '--no-tags', ...options, ...more, '--', url, ...spec];
  try {
    return await runRemoteGit(args([`--depth=${depth}`]), remote);
  } catch (error) {
    if (error instanceof GitError && /shallow/i.test(error.stderr) && /support/i.test(error.stderr))
      return runRemoteGit(args([]), remote);
    throw error;
  }
}

/**
 * Makes a commit complete in the copy, whichever branch holds it, and keeps it under our own name for `source`. Undefined when no
 * branch or tag of the remote holds it.
 */
export async function bringCommit(sha: string, source: string, url: string, depth: number, local: GitCall, remote: GitCall, more: string[] = []): Promise<string | undefined> {
  const target = ownRef(source);
  if ((await peel(sha, local)) === undefined) {
    try {
      await fetchShallow(url, [`+${sha}:${target}`], depth, remote, more);
    } catch (error) {
      if (!(error instanceof GitError) || suspectsCache(error)) throw error;
      // For servers that hand out no commit by its id: all branches and tags, then look.
      await runRemoteGit(['fetch', '--quiet', '--force', '--no-tags', ...more, '--', url, '+refs/heads/*:refs/remote/heads/*', '+refs/tags/*:refs/remote/tags/*'], remote);
      if ((await peel(sha, local)) === undefined) return undefined;
    }
  }
  await runGit(['update-ref', target, sha], local);
  return peel(target, local);
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
