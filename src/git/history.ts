import type { LocalRepository } from './fetch.js';
import { GitError, runGit } from './run.js';

/** Commits between two syncs that are looked at, at most. */
const MAX_COMMITS = 200;
const MAX_TEXT = 256;

export interface CommitInfo {
  sha: string;
  author: string;
  subject: string;
}

/** A commit that came with a sync, and the files that it changed. Merges list none: the commits that they bring do. */
export interface TouchingCommit {
  sha: string;
  files: string[];
}

/** Who wrote the commit, and its first line; both at most 256 characters of one line. */
export async function describeCommit({ call, commit }: LocalRepository): Promise<CommitInfo> {
  const output = await runGit(
    ['log', '-1', '--no-show-signature', '--encoding=UTF-8', '--format=%an%x00%ae%x00%s', commit, '--'],
    call,
  );
  const [name = '', mail = '', subject = ''] = output.split('\0');
  return { sha: commit, author: oneLine(name) || oneLine(mail), subject: oneLine(subject) };
}

/**
 * Commits since `previous`, newest first, with the files below `path` that they touched. Empty when `previous` is not an ancestor (a
 * force-push) or too long ago to be known.
 */
export async function commitsSince({ call, commit }: LocalRepository, previous: string, path: string): Promise<TouchingCommit[]> {
  if (!/^[0-9a-f]{40,64}$/.test(previous) || previous === commit) return [];
  const repository = { call, commit };
  if (!(await isAncestor(repository, previous))) return [];
  const args = [
    'log',
    '-z',
    '--full-history',
    '--no-show-signature',
    '--no-renames',
    '--no-ext-diff',
    '--name-only',
    `--max-count=${MAX_COMMITS}`,
    '--format=%x01%H',
  ];
  const output = await runGit([...args, `${previous}..${commit}`, '--', path || '.'], call);
  return output
    .split('\u0001')
    .slice(1)
    .map((record) => {
      const [sha = '', ...files] = record.split('\0');
      return { sha: sha.trim(), files: files.map((file) => file.replace(/^\n+/, '')).filter(Boolean) };
    });
}

/** The newest `max` commits that came since `previous`, newest first, whatever they touched; the commit alone where `previous` is unknown. */
export async function commitsBrought({ call, commit }: LocalRepository, previous: string | undefined, max: number): Promise<string[]> {
  if (previous === undefined || !/^[0-9a-f]{40,64}$/.test(previous) || previous === commit) return [commit];
  if (!(await isAncestor({ call, commit }, previous))) return [commit];
  const output = await runGit(['rev-list', `--max-count=${max}`, `${previous}..${commit}`, '--'], call);
  return output.split('\n').filter(Boolean);
}

/** True when this commit, or one since `previous`, has the trailer `Sluice-Retry: true`. */
export async function asksForRetry({ call, commit }: LocalRepository, previous: string | undefined): Promise<boolean> {
  const known = previous !== undefined && /^[0-9a-f]{40,64}$/.test(previous) && previous !== commit && (await isAncestor({ call, commit }, previous));
  const range = known ? [`--max-count=${MAX_COMMITS}`, `${previous}..${commit}`] : ['-1', commit];
  const output = await runGit(['log', '-z', '--no-show-signature', '--format=%B', ...range, '--'], call);
  return output.split('\0').some((message) => RETRY.test(message.trimEnd().split(/\n\s*\n/).at(-1) ?? ''));
}
const RETRY = /^Sluice-Retry: *true *$/im;

async function isAncestor({ call, commit }: LocalRepository, previous: string): Promise<boolean> {
  try {
    await runGit(['merge-base', '--is-ancestor', previous, commit], call);
    return true;
  } catch (error) {
    // 1: it is not. 128: it is not even here, as after a new clone of a long history.
    if (error instanceof GitError && (error.exitCode === 1 || error.exitCode === 128)) return false;
    throw error;
  }
}

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]+/g;
const oneLine = (text: string): string => text.replace(CONTROL, ' ').trim().slice(0, MAX_TEXT);
