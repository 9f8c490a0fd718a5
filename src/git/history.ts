import type { LocalRepository } from './fetch.js';
import { isAncestor } from './commits.js';
import { runGit } from './run.js';
import { oneLine } from './text.js';

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
  return { sha: commit, author: clipped(name) || clipped(mail), subject: clipped(subject) };
}

/** An earlier commit, where it can be told what came since; undefined after a force-push, and when it is too long ago to be known. */
export async function comparable({ call, commit }: LocalRepository, previous: string | undefined): Promise<string | undefined> {
  if (previous === undefined || previous === commit || !/^[0-9a-f]{40,64}$/.test(previous)) return undefined;
  return (await isAncestor(call, previous, commit)) ? previous : undefined;
}

/** Commits since a {@link comparable} one, newest first, with the files that they touched; none where there is no such one. */
export async function commitsSince({ call, commit }: LocalRepository, since: string | undefined): Promise<TouchingCommit[]> {
  if (since === undefined) return [];
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
  const output = await runGit([...args, `${since}..${commit}`, '--', '.'], call);
  return output
    .split('\u0001')
    .slice(1)
    .map((record) => {
      const [sha = '', ...files] = record.split('\0');
      return { sha: sha.trim(), files: files.map((file) => file.replace(/^\n+/, '')).filter(Boolean) };
    });
}

/** The newest `max` commits since a {@link comparable} one, newest first, whatever they touched; the commit alone where there is no such one. */
export async function commitsBrought({ call, commit }: LocalRepository, since: string | undefined, max: number): Promise<string[]> {
  if (since === undefined) return [commit];
  const output = await runGit(['rev-list', `--max-count=${max}`, `${since}..${commit}`, '--'], call);
  return output.split('\n').filter(Boolean);
}

/** True when this commit, or one since a {@link comparable} one, has the trailer `Sluice-Retry: true`. */
export async function asksForRetry({ call, commit }: LocalRepository, since: string | undefined): Promise<boolean> {
  const range = since === undefined ? ['-1', commit] : [`--max-count=${MAX_COMMITS}`, `${since}..${commit}`];
  const output = await runGit(['log', '-z', '--no-show-signature', '--format=%B', ...range, '--'], call);
  return output.split('\0').some((message) => RETRY.test(message.trimEnd().split(/\n\s*\n/).at(-1) ?? ''));
}
const RETRY = /^Sluice-Retry: *true *$/im;

const clipped = (text: string): string => oneLine(text).slice(0, MAX_TEXT);
