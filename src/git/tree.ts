import { posix } from 'node:path';
import type { LocalRepository } from './fetch.js';
import { SyncError } from './reasons.js';
import { readObjects, runGit } from './run.js';
import { short } from './text.js';

/** One entry of a commit's tree. `path` is relative to the repository. */
export interface TreeEntry {
  path: string;
  kind: 'file' | 'symlink' | 'submodule' | 'folder';
  id: string;
  /** Bytes; 0 for what has no content. */
  size: number;
  /** Why a submodule is not read although its content is wanted. */
  problem?: string;
}

const KINDS: Record<string, TreeEntry['kind']> = { '120000': 'symlink', '160000': 'submodule', '040000': 'folder' };

/**
 * Reads spec.path: `.`, `./deploy/` and `/deploy` all mean a folder of the repository.
 * @throws SyncError InvalidSpec when it would leave the repository.
 */
export function parsePath(path: string, field = 'spec.path'): string {
  if (path.includes('\0') || path.split('/').includes('..')) {
    throw new SyncError(
      'InvalidSpec',
      `${field} ${JSON.stringify(path)} holds ".."; name a folder of the repository, from its root`,
    );
  }
  const normal = posix.normalize(`/${path}`).replace(/^\/+|\/+$/g, '');
  return normal;
}

/**
 * Everything below `path` (empty: the whole repository), at any depth, in byte order; with submodules in their places where they are
 * read. It comes from Git's objects and never from a working tree, so that no link is ever followed.
 * @throws SyncError PathNotFound, naming the part of the path that is missing, or is a link, a submodule or a file; and what
 * {@link Submodules} throw.
 */
export async function listTree(repository: LocalRepository, path: string): Promise<TreeEntry[]> {
  const entries = await listDeep(repository, path);
  if (entries.length === 0 && path) await explainMissing(repository, path);
  return entries;
}

async function listDeep(repository: LocalRepository, path: string): Promise<TreeEntry[]> {
  const { sparse, submodules } = repository;
  // Sizes of files that are not there would be asked of the remote, one by one.
  const roots = path ? [`${path}/`] : sparse?.paths.map((root) => `${root}/`);
  const entries = await list(repository, ['-r'], roots);
  if (!submodules) return entries;
  if (entries.length === 0 && path) return listWithin(repository, path);
  const all: TreeEntry[] = [];
  for (const entry of entries) {
    if (entry.kind === 'submodule') all.push(...(await listSubmodule(repository, entry, '')));
    else all.push(entry);
  }
  return all;
}

/** A path that leads into a submodule. */
async function listWithin(repository: LocalRepository, path: string): Promise<TreeEntry[]> {
  const parts = path.split('/');
  for (let length = 1; length <= parts.length; length += 1) {
    const [entry] = await list(repository, [], [parts.slice(0, length).join('/')]);
    if (entry?.kind === 'submodule') return listSubmodule(repository, entry, parts.slice(length).join('/'));
  }
  return [];
}

async function listSubmodule(repository: LocalRepository, entry: TreeEntry, path: string): Promise<TreeEntry[]> {
  const brought = await repository.submodules?.bring(repository, entry.path, entry.id);
  if (!brought) return [entry];
  if ('problem' in brought) return [{ ...entry, problem: brought.problem }];
  return (await listDeep(brought, path)).map((inner) => ({ ...inner, path: `${entry.path}/${inner.path}` }));
}

/** Contents of files, in order. Rejects when one is missing, because then the copy is broken. */
export async function readFiles(repository: LocalRepository, entries: TreeEntry[]): Promise<Buffer[]> {
  const contents = await readObjects(
    entries.map(({ id }) => id),
    repository.call,
  );
  return contents.map((content, index) => {
    if (!content)
      throw new SyncError(
        'FetchFailed',
        `${entries[index]?.path ?? 'a file'} is missing in the copy of the repository; it is fetched again`,
      );
    return content;
  });
}

async function explainMissing(repository: LocalRepository, path: string): Promise<void> {
  const parts = path.split('/');
  for (let length = 1; length <= parts.length; length += 1) {
    const part = parts.slice(0, length).join('/');
    const [entry] = await list(repository, [], [part]);
    if (entry?.kind === 'folder') continue;
    const what = entry ? `"${part}" is ${NAMES[entry.kind]} there` : `"${part}" does not exist there`;
    throw new SyncError(
      'PathNotFound',
      `spec.path "${path}" is not a folder of commit ${short(repository.commit)}: ${what}; add the folder, or correct spec.path. What was applied stays`,
    );
  }
}

const NAMES: Record<TreeEntry['kind'], string> = {
  file: 'a file',
  folder: 'a folder',
  symlink: 'a symbolic link, which is never followed,',
  submodule: 'a submodule, which is read only with spec.submodules',
};

async function list(repository: LocalRepository, options: string[], paths: string[] = []): Promise<TreeEntry[]> {
  const args = ['ls-tree', '-z', '-l', '--full-tree', ...options, repository.commit, ...(paths.length === 0 ? [] : ['--', ...paths])];
  const output = await runGit(args, repository.call);
  const entries: TreeEntry[] = [];
  for (const record of output.split('\0')) {
    const match = /^(\d+) \w+ ([0-9a-f]+) +(\d+|-)\t([\s\S]+)$/.exec(record);
    const [, mode = '', id = '', size = '', name = ''] = match ?? [];
    if (match) entries.push({ path: name, kind: KINDS[mode] ?? 'file', id, size: Number(size) || 0 });
  }
  return entries;
}
