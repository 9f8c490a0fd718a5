import type { Workshop } from '../fetch.js';
import { GitError, readObjects, runGit, runRemoteGit, type GitCall } from '../run.js';
import { fetchShallow, ownRef, peel } from '../shallow.js';

/** Commits behind the tip in which an earlier write-back is looked for. */
const DEPTH = 1_000;
const MAX_WORDS = 300;
export const SUBMODULE = '160000';

/** What a commit does to one file; `content` undefined deletes it. */
export interface FileChange {
  path: string;
  /** `100644`, `100755`; `160000` is a submodule, whose content is the id of its commit. */
  mode: string;
  content: Buffer | undefined;
}

export interface Author {
  name: string;
  email: string;
}

/** The server took the branch for itself: a protected branch, a hook, a token that may only read. */
export class PushRefused extends Error {}

/** Brings the branch and its history; undefined when the remote has no such branch. */
export async function fetchBranch({ url, local, remote }: Workshop, branch: string): Promise<string | undefined> {
  const target = ownRef(branch, 'out-');
  try {
    await fetchShallow(url, [`+refs/heads/${branch}:${target}`], DEPTH, remote);
  } catch (error) {
    if (error instanceof GitError && /couldn't find remote ref/i.test(error.stderr)) return undefined;
    throw error;
  }
  return peel(target, local);
}

/**
 * Offers a commit to a branch, never with force. `moved`: somebody else was there first, so the change must be made anew.
 * @throws PushRefused when trying again cannot help.
 */
export async function push({ url, remote }: Workshop, commit: string, ref: string): Promise<'pushed' | 'moved'> {
  try {
    await runRemoteGit(['push', '--porcelain', '--no-verify', '--', url, `${commit}:${ref}`], remote);
    return 'pushed';
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const said = `${error.stdout}\n${error.stderr}`;
    if (/pre-receive hook declined|protected branch|GH006|hook declined|not allowed to push|prohibited|deny updating/i.test(said)) throw new PushRefused(refusalIn(said));
    if (/non-fast-forward|fetch first|cannot lock ref|failed to update ref|incorrect old value|stale info|already exists|unable to (create|lock)|reference already|is at [0-9a-f]+ but expected/i.test(said)) return 'moved';
    throw error;
  }
}

function refusalIn(said: string): string {
  const lines = said.split('\n').map((line) => line.trim());
  const words = lines.filter((line) => /^remote:|\[remote rejected\]|^!/.test(line)).map((line) => line.replace(/^remote:\s*/, ''));
  return words.filter(Boolean).join(' ').slice(0, MAX_WORDS) || 'the server refused the push';
}

/** A commit on top of `parent`, in the copy only. */
export async function makeCommit({ local }: Workshop, parent: string, changes: FileChange[], message: string, author: Author, at: number): Promise<string> {
  const lines: string[] = [];
  for (const { path, mode, content } of changes) {
    const id = content === undefined ? undefined : mode === SUBMODULE ? content.toString('utf8') : (await runGit(['hash-object', '-w', '--stdin'], { ...local, input: content })).trim();
    lines.push(id === undefined ? `D ${quoted(path)}` : `M ${mode} ${id} ${quoted(path)}`);
  }
  const clean = (text: string): string => text.replace(/[<>\n\r]/g, '');
  const person = `${clean(author.name)} <${clean(author.email)}> ${Math.floor(at / 1000)} +0000`;
  const head = ['commit refs/sluice/made', 'mark :1', `author ${person}`, `committer ${person}`, `data ${Buffer.byteLength(message)}`, message, `from ${parent}`];
  const input = [...head, ...lines, '', 'get-mark :1', 'done', ''].join('\n');
  return (await runGit(['fast-import', '--quiet', '--force'], { ...local, input })).trim();
}

const quoted = (path: string): string => `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

/** Mode and content of a file or submodule in a commit; undefined when there is none, or it is something else. */
export async function fileAt(call: GitCall, commit: string, path: string): Promise<{ mode: string; content: Buffer } | undefined> {
  const listed = await runGit(['ls-tree', '-z', '--full-tree', commit, '--', path], call);
  const [, mode = '', id = ''] = /^(100\d+|160000) \w+ ([0-9a-f]+)\t/.exec(listed) ?? [];
  if (!id) return undefined;
  if (mode === SUBMODULE) return { mode, content: Buffer.from(id) };
  const [content] = await readObjects([id], call);
  return content && { mode, content };
}

/** Files that differ between two commits, in byte order. */
export async function changedFiles(call: GitCall, from: string, to: string): Promise<string[]> {
  const output = await runGit(['diff-tree', '-r', '-z', '--no-renames', '--name-only', from, to], call);
  return output.split('\0').filter(Boolean);
}
