import type { Canary, WriteBack } from '../../api/index.js';
import type { Workshop } from '../fetch.js';
import { describeCommit } from '../history.js';
import { runGit } from '../run.js';
import { holds, isAncestor } from '../commits.js';
import { changedFiles, fetchBranch, makeCommit, type Author, type FileChange } from './branch.js';
import { Conflict, hunksOf, undoFiles, undoHunks, type Span } from './change.js';
import { othersChanged, renderAll, revisionIn, type LiveConfig, type Reader, type RenderedSource, type Rendering } from './judge.js';
import { short } from '../text.js';
import { evidenceOf, messageOf, Trailers, trailersOf, type Evidence } from './message.js';

/** Commits before the failed one in which the stable revision is looked for. */
const MAX_ANCESTORS = 30;
/** Parts of a change that are tried one by one; each is a rendering. */
const MAX_HUNKS = 24;

/** All that a revert needs to know. */
export interface RevertTask {
  canary: Canary;
  request: WriteBack;
  branch: string;
  /** The source that brought the revision is the first. */
  sources: RenderedSource[];
  live: LiveConfig;
  author: Author;
  cluster?: string;
  /** Unix milliseconds. */
  at: number;
}

export type Proposal =
  /** The branch holds a write-back of this revision. */
  | { kind: 'found'; commit: string }
  /** Nothing is to be written. */
  | { kind: 'none'; why: string }
  /** A commit, made on top of `head` and not pushed. */
  | { kind: 'revert'; head: string; commit: string; evidence: Evidence; files: string[] }
  /** It would change more than it may: for people to decide. */
  | { kind: 'beyond'; head: string; commit: string; evidence: Evidence; files: string[]; others: string[] };

/** What may be written to the branch as it is now. Pushes nothing. */
export async function propose(workshop: Workshop, task: RevertTask): Promise<Proposal> {
  const { canary, request, branch, sources, live } = task;
  const head = await fetchBranch(workshop, branch);
  if (head === undefined) return { kind: 'none', why: `branch ${branch} does not exist any more` };
  const earlier = await earlierWriteBack(workshop, head, canary, request.revision);
  if (earlier) return { kind: 'found', commit: earlier };
  const bad = request.commit ?? '';
  if (!(await holds(workshop.local, bad)) || !(await isAncestor(workshop.local, bad, head)))
    return { kind: 'none', why: `commit ${short(bad)} is not in branch ${branch} any more` };
  const now = await renderAll(readerOf(workshop), head, sources);
  const atBad = await renderAll(readerOf(workshop), bad, sources);
  const failed = revisionIn(atBad, canary, live);
  const held = revisionIn(now, canary, live);
  if (held === undefined || held !== failed) return { kind: 'none', why: `branch ${branch} does not hold revision ${request.revision} any more` };
  const good = await findGood(workshop, task, failed);
  if (good === undefined) return { kind: 'none', why: `no commit near ${short(bad)} declares the stable revision ${request.stable ?? 'unknown'}` };
  return choose(workshop, task, { good: good.commit, bad, head }, now, good.revision);
}

/** A commit of the branch's history that says it took this revision back. */
async function earlierWriteBack({ local }: Workshop, head: string, canary: Canary, revision: string): Promise<string | undefined> {
  const log = await runGit(['log', '-z', '--fixed-strings', `--grep=${Trailers.revision}: ${revision}`, '--format=%H%n%B', head, '--'], local);
  const owner = `${canary.metadata.namespace ?? 'default'}/${canary.metadata.name}`;
  for (const record of log.split('\0').filter(Boolean)) {
    const trailers = trailersOf(record);
    if (trailers[Trailers.canary] === owner && trailers[Trailers.revision] === revision) return record.slice(0, record.indexOf('\n'));
  }
  return undefined;
}

/** The newest commit known to declare what serves now, and the revision that its rendering makes. */
async function findGood(workshop: Workshop, task: RevertTask, failed: string): Promise<{ commit: string; revision: string } | undefined> {
  const { canary, request, sources, live } = task;
  const { local } = workshop;
  const revisionAt = async (commit: string): Promise<string | undefined> => revisionIn(await renderAll(readerOf(workshop), commit, sources), canary, live);
  const history = await runGit(['rev-list', '--first-parent', `--max-count=${MAX_ANCESTORS + 1}`, request.commit ?? '', '--'], local);
  const known = request.stableCommit && (await holds(local, request.stableCommit)) ? request.stableCommit : undefined;
  // A template that the server changed hashes otherwise than its manifest: then the commit that is known to have brought it counts.
  const exact = failed === request.revision;
  const before = history.split('\n').filter(Boolean).slice(1);
  for (const commit of before) {
    const revision = await revisionAt(commit);
    if (revision === undefined) continue;
    if (revision === request.stable || (!exact && commit === known && revision !== failed)) return { commit, revision };
  }
  const revision = known && (await revisionAt(known));
  return known && revision && revision !== failed && (!exact || revision === request.stable) ? { commit: known, revision } : undefined;
}

async function choose(workshop: Workshop, task: RevertTask, span: Span, now: Rendering, wanted: string): Promise<Proposal> {
  const files = await changedFiles(workshop.local, span.good, span.bad);
  let beyond: Proposal | undefined;
  let conflict: Conflict | undefined;
  for (const attempt of [() => undoFiles(workshop, span, files), () => undoOwnParts(workshop, task, span, now, files)]) {
    try {
      const changes = await attempt();
      const judged = await judge(workshop, task, span, now, wanted, changes);
      if (judged?.kind === 'revert') return judged;
      beyond ??= judged;
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      conflict ??= error;
    }
  }
  if (beyond) return beyond;
  return { kind: 'none', why: conflict ? `it cannot be undone without a person: ${conflict.message}` : 'undoing it does not give the stable revision' };
}

/** Undoes the parts of the change that concern nothing but the canary. */
async function undoOwnParts(workshop: Workshop, { canary, sources }: RevertTask, span: Span, now: Rendering, files: string[]): Promise<FileChange[]> {
  const hunks = await hunksOf(workshop, span, files);
  if (hunks.length > MAX_HUNKS) return [];
  const own: typeof hunks = [];
  for (const hunk of hunks) {
    const changes = await undoHunks(workshop, span, [hunk]).catch((error: unknown) => {
      if (error instanceof Conflict) return [];
      throw error;
    });
    if (changes.length === 0) continue;
    const trial = await makeCommit(workshop, span.head, changes, 'trial', { name: 'trial', email: 'trial' }, 0);
    const after = await renderAll(readerOf(workshop), trial, sources);
    const touched = [...after.digests].some(([key, digest]) => now.digests.get(key) !== digest);
    if (touched && othersChanged(now, after, canary).length === 0) own.push(hunk);
  }
  return undoHunks(workshop, span, own);
}

/** The rule: rendering head plus the change gives the stable revision, and leaves every other object byte-identical. */
async function judge(workshop: Workshop, task: RevertTask, span: Span, now: Rendering, wanted: string, changes: FileChange[]): Promise<Extract<Proposal, { files: string[] }> | undefined> {
  if (changes.length === 0) return undefined;
  const { canary, request, sources, live } = task;
  const { subject } = await describeCommit({ call: workshop.local, commit: span.bad });
  const evidence = evidenceOf(canary, request, subject, task.cluster);
  const commit = await makeCommit(workshop, span.head, changes, messageOf(evidence), task.author, task.at);
  const after = await renderAll(readerOf(workshop), commit, sources);
  if (revisionIn(after, canary, live) !== wanted) return undefined;
  const files = changes.map(({ path }) => path);
  const outside = files.filter((path) => !inside(path, sources[0]?.path ?? ''));
  const others = [...othersChanged(now, after, canary), ...outside.map((path) => `${path}, which lies outside spec.path`)];
  const proposal = { head: span.head, commit, evidence, files };
  return others.length === 0 ? { kind: 'revert', ...proposal } : { kind: 'beyond', ...proposal, others };
}

const readerOf = ({ local, submodules }: Workshop): Reader => ({ call: local, submodules });
const inside = (path: string, folder: string): boolean => folder === '' || path.startsWith(`${folder}/`);

