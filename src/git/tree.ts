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
}

const KINDS: Record<string, TreeEntry['kind']> = { '120000': 'symlink', '160000': 'submodule', '040000': 'folder' };

/**
 * Reads spec.path: `.`, `./deploy/` and `/deploy` all mean a folder of the repository.
 * @throws SyncError InvalidSpec when it would leave the repository.
 */
export function parsePath(path: string): string {
  if (path.includes('\0') || path.split('/').includes('..')) {
    throw new SyncError(
      'InvalidSpec',
      `spec.path ${JSON.stringify(path)} holds ".."; name a folder of the repository, from its root`,
    );
  }
  const normal = posix.normalize(`/${path}`).replace(/^\/+|\/+$/g, '');
  return normal;
}

/**
 * Everything below `path` (empty: the whole repository), at any depth, in byte order. It is read from Git's objects and never from a
 * working tree, so that no link is ever followed.
 * @throws SyncError PathNotFound, naming the part of the path that is missing, or is a link, a submodule or a file.
 */
export async function listTree(repository: LocalRepository, path: string): Promise<TreeEntry[]> {
  const entries = await list(repository, ['-r'], path ? `${path}/` : undefined);
  if (entries.length === 0 && path) await explainMissing(repository, path);
  return entries;
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
    const [entry] = await list(repository, [], part);
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
  submodule: 'a submodule, which is not fetched,',
};

async function list(repository: LocalRepository, options: string[], path: string | undefined): Promise<TreeEntry[]> {
  const args = ['ls-tree', '-z', '-l', '--full-tree', ...options, repository.commit, ...(path === undefined ? [] : ['--', path])];
  const output = await runGit(args, repository.call);
  const entries: TreeEntry[] = [];
  for (const record of output.split('\0')) {
    const match = /^(\d+) \w+ ([0-9a-f]+) +(\d+|-)\t([\s\S]+)$/.exec(record);
    const [, mode = '', id = '', size = '', name = ''] = match ?? [];
    if (match) entries.push({ path: name, kind: KINDS[mode] ?? 'file', id, size: Number(size) || 0 });
  }
  return entries;
}
