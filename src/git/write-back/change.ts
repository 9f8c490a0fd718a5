import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Workshop } from '../fetch.js';
import { GitError, runGit } from '../run.js';
import { fileAt, SUBMODULE, type FileChange } from './branch.js';

/** The three commits of a change that is taken back: `good` was before, `bad` is what brought it, `head` is what the branch holds. */
export interface Span {
  good: string;
  bad: string;
  head: string;
}

/** A part of a change: lines `from`..`from + count` of the bad file were `lines` in the good one. */
interface Hunk {
  path: string;
  from: number;
  count: number;
  lines: string[];
}

/** The change cannot be taken out of what was built on top of it. */
export class Conflict extends Error {
  constructor(readonly path: string) {
    super(`${path} was changed since in the same place`);
  }
}

/** Undo the change of whole files on top of head; files that head has already as they were are left out. @throws Conflict */
export async function undoFiles(workshop: Workshop, span: Span, paths: string[]): Promise<FileChange[]> {
  const changes: FileChange[] = [];
  for (const path of paths) {
    const [good, bad, head] = await Promise.all([span.good, span.bad, span.head].map((commit) => fileAt(workshop.local, commit, path)));
    if (same(head, good)) continue;
    if (same(head, bad)) changes.push({ path, mode: good?.mode ?? '100644', content: good?.content });
    else if (good && bad && head && head.mode !== SUBMODULE) changes.push({ path, mode: head.mode, content: await merge(workshop, path, head.content, bad.content, good.content) });
    else throw new Conflict(path);
  }
  return changes;
}

const same = (a: { mode: string; content: Buffer } | undefined, b: { mode: string; content: Buffer } | undefined): boolean =>
  a === undefined || b === undefined ? a === b : a.mode === b.mode && a.content.equals(b.content);

/** Three-way merge of one file. @throws Conflict */
async function merge(workshop: Workshop, path: string, ours: Buffer, base: Buffer, theirs: Buffer): Promise<Buffer> {
  const dir = await mkdtemp(join(workshop.scratch, 'merge-'));
  try {
    const contents = { ours, base, theirs };
    for (const [name, content] of Object.entries(contents)) await writeFile(join(dir, name), content, { mode: 0o600 });
    return Buffer.from(await runGit(['merge-file', '-p', '--quiet', join(dir, 'ours'), join(dir, 'base'), join(dir, 'theirs')], workshop.local));
  } catch (error) {
    if (error instanceof GitError && error.exitCode > 0) throw new Conflict(path);
    throw error;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The smallest parts of the change of these files. Files that came or went have none. */
export async function hunksOf(workshop: Workshop, { good, bad }: Span, paths: string[]): Promise<Hunk[]> {
  const hunks: Hunk[] = [];
  for (const path of paths) {
    const diff = await runGit(['diff', '--no-color', '--no-ext-diff', '--no-renames', '--ignore-submodules=all', '-U0', bad, good, '--', path], workshop.local);
    if (/^(new|deleted) file mode/m.test(diff)) continue;
    for (const part of diff.split(/^(?=@@ )/m).slice(1)) {
      const [header = '', ...body] = part.split('\n');
      const [, start = '0', count = '1'] = /^@@ -(\d+)(?:,(\d+))? /.exec(header) ?? [];
      const lines = body.filter((text) => text.startsWith('+')).map((text) => text.slice(1));
      // With no lines of the bad file, the position is the line after which they were.
      hunks.push({ path, from: Number(start) - (count === '0' ? 0 : 1), count: Number(count), lines });
    }
  }
  return hunks;
}

/** Undo only some parts of the change on top of head. @throws Conflict */
export async function undoHunks(workshop: Workshop, span: Span, hunks: Hunk[]): Promise<FileChange[]> {
  const changes: FileChange[] = [];
  for (const path of new Set(hunks.map((hunk) => hunk.path))) {
    const [bad, head] = await Promise.all([span.bad, span.head].map((commit) => fileAt(workshop.local, commit, path)));
    if (!bad || !head) throw new Conflict(path);
    const lines = bad.content.toString('utf8').split('\n');
    const inFile = hunks.filter((hunk) => hunk.path === path).toSorted((a, b) => b.from - a.from);
    for (const { from, count, lines: before } of inFile) lines.splice(from, count, ...before);
    const content = await merge(workshop, path, head.content, bad.content, Buffer.from(lines.join('\n')));
    if (!content.equals(head.content)) changes.push({ path, mode: head.mode, content });
  }
  return changes;
}
