import semver from 'semver';
import type { GitSourceSpec } from '../api/index.js';
import { SyncError } from './reasons.js';

/** What a source follows. */
export type GitRef =
  | { kind: 'branch'; name: string }
  | { kind: 'tag'; name: string }
  | { kind: 'semver'; range: string }
  | { kind: 'commit'; sha: string };

/** A reference as `git ls-remote` shows it. `commit` is the peeled one for annotated tags. */
export interface ResolvedRef {
  /** `refs/heads/main`; absent when a commit is followed. */
  refName?: string;
  commit: string;
}

/**
 * Reads spec.ref; no field means the branch `main`.
 * @throws SyncError InvalidSpec when more than one is given or a value cannot be a reference.
 */
export function parseRef(ref: GitSourceSpec['ref']): GitRef {
  const given = Object.entries(ref).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    throw new SyncError(
      'InvalidSpec',
      `spec.ref has ${given.map(([key]) => key).join(' and ')}; give one of branch, tag, semver and commit`,
    );
  }
  if (ref.tag !== undefined) return { kind: 'tag', name: checkedName('tag', ref.tag) };
  if (ref.commit !== undefined) return { kind: 'commit', sha: checkedCommit(ref.commit) };
  if (ref.semver !== undefined) return { kind: 'semver', range: checkedRange(ref.semver) };
  return { kind: 'branch', name: checkedName('branch', ref.branch ?? 'main') };
}

/** For people: `branch "main"`. */
export function describeRef(ref: GitRef): string {
  if (ref.kind === 'semver') return `version "${ref.range}"`;
  return ref.kind === 'commit' ? `commit ${ref.sha}` : `${ref.kind} "${ref.name}"`;
}

/** Patterns for `git ls-remote`, so that servers with many references send few. */
export function remotePatterns(ref: GitRef): string[] {
  if (ref.kind === 'branch') return ['HEAD', `refs/heads/${ref.name}`];
  if (ref.kind === 'tag') return [`refs/tags/${ref.name}`, `refs/tags/${ref.name}^{}`];
  return ref.kind === 'semver' ? ['refs/tags/*'] : [];
}

/**
 * Finds the reference in the output of `git ls-remote --symref`.
 * @throws SyncError RefNotFound, with what there is instead.
 */
export function resolveRef(ref: Exclude<GitRef, { kind: 'commit' }>, output: string): ResolvedRef {
  const { refs, head } = parseListing(output);
  const find = (refName: string): ResolvedRef | undefined => {
    const commit = refs.get(`${refName}^{}`) ?? refs.get(refName);
    return commit === undefined ? undefined : { refName, commit };
  };
  const found =
    ref.kind === 'semver'
      ? newestTag(ref.range, refs, find)
      : find(`refs/${ref.kind === 'branch' ? 'heads' : 'tags'}/${ref.name}`);
  if (found) return found;
  const hint = ref.kind === 'branch' && head ? `; its default branch is "${head.replace(/^refs\/heads\//, '')}"` : '';
  throw new SyncError(
    'RefNotFound',
    `spec.ref: the repository has no ${describeRef(ref)}${hint}; push it, or correct spec.ref. What was applied stays`,
  );
}

function newestTag(
  range: string,
  refs: Map<string, string>,
  find: (refName: string) => ResolvedRef | undefined,
): ResolvedRef | undefined {
  const versions = new Map<string, string>();
  for (const refName of refs.keys()) {
    const version = semver.valid(refName.slice('refs/tags/'.length));
    if (refName.startsWith('refs/tags/') && version) versions.set(version, refName);
  }
  const newest = semver.maxSatisfying([...versions.keys()], range);
  return newest === null ? undefined : find(versions.get(newest) ?? '');
}

function parseListing(output: string): { refs: Map<string, string>; head?: string } {
  const refs = new Map<string, string>();
  let head: string | undefined;
  for (const line of output.split('\n')) {
    const symbolic = /^ref: (\S+)\tHEAD$/.exec(line);
    if (symbolic) head = symbolic[1];
    const direct = /^([0-9a-f]{40}(?:[0-9a-f]{24})?)\t(\S+)$/.exec(line);
    if (direct?.[1] && direct[2]) refs.set(direct[2], direct[1]);
  }
  return { refs, head };
}

/** The rules of git-check-ref-format(1); they also keep options and wildcards out. */
function checkedName(field: 'branch' | 'tag', name: string): string {
  const bad =
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    /^[-/]|[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|[/.]$|^@$/.test(name) ||
    name.split('/').some((part) => part.startsWith('.') || part.endsWith('.lock'));
  if (bad)
    throw new SyncError(
      'InvalidSpec',
      `spec.ref.${field} ${JSON.stringify(name)} cannot be the name of a ${field}; see git help check-ref-format`,
    );
  return name;
}

function checkedCommit(sha: string): string {
  if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(sha))
    throw new SyncError('InvalidSpec', 'spec.ref.commit is not a full commit id of 40 or 64 hexadecimal digits');
  return sha;
}

function checkedRange(range: string): string {
  if (semver.validRange(range) === null) {
    throw new SyncError(
      'InvalidSpec',
      `spec.ref.semver ${JSON.stringify(range)} is not a range of versions; write one such as ">=1.2.0 <2.0.0"`,
    );
  }
  return range;
}
