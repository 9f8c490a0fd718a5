import { runGit, runRemoteGit, type GitCall } from './run.js';

/** Object ids on one command line. */
const PER_FETCH = 500;

/** A copy that holds all folders of a commit, but the contents of files below some paths only. */
export interface Sparse {
  /** From the root of the repository. */
  paths: string[];
  /** Makes the files of a commit complete below `paths`. */
  bring: (commit: string) => Promise<void>;
}

/** The option of `git fetch` that leaves contents of files out. Servers that cannot do that send everything. */
export const WITHOUT_FILES = '--filter=blob:none';

export function sparseCopy(paths: string[], url: string, local: GitCall, remote: GitCall): Sparse {
  const bring = async (commit: string): Promise<void> => {
    const ids = await missing(commit, paths, local);
    for (let at = 0; at < ids.length; at += PER_FETCH)
      // Without negotiation: who has a commit is taken to have its files.
      await runRemoteGit(['-c', 'fetch.negotiationAlgorithm=noop', 'fetch', '--quiet', '--no-tags', '--no-write-fetch-head', WITHOUT_FILES, '--', url, ...ids.slice(at, at + PER_FETCH)], remote);
  };
  return { paths, bring };
}

async function missing(commit: string, paths: string[], local: GitCall): Promise<string[]> {
  const listed = await runGit(['rev-list', '--no-walk', '--objects', '--missing=print', commit, '--', ...paths], local);
  return listed.split('\n').flatMap((line) => (line.startsWith('?') ? [line.slice(1)] : []));
}
