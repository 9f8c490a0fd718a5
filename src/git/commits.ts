import { GitError, runGit, type GitCall } from './run.js';

/** True when the commit is in the copy. */
export async function holds(call: GitCall, commit: string): Promise<boolean> {
  if (!/^[0-9a-f]{40,64}$/.test(commit)) return false;
  return unlessRefused(runGit(['cat-file', '-e', `${commit}^{commit}`], call), () => true);
}

/** True when `newer` came after `older`; a commit that is not in the copy, as after a new clone of a long history, is nobody's ancestor. */
export async function isAncestor(call: GitCall, older: string, newer: string): Promise<boolean> {
  return unlessRefused(runGit(['merge-base', '--is-ancestor', older, newer], call), ({ exitCode }) => exitCode === 1 || exitCode === 128);
}

/** True when Git did it; false when it says no in a way that is an answer. */
async function unlessRefused(done: Promise<unknown>, isAnswer: (error: GitError) => boolean): Promise<boolean> {
  try {
    await done;
    return true;
  } catch (error) {
    if (error instanceof GitError && isAnswer(error)) return false;
    throw error;
  }
}
