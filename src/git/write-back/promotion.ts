import type { WriteBackOutcome } from '../../engine/ports.js';
import type { Workshop } from '../fetch.js';
import { GitError, runGit, runRemoteGit } from '../run.js';
import { holds } from '../commits.js';
import { short } from '../text.js';
import { fetchBranch, push, PushRefused } from './branch.js';
import { skipped } from './outcome.js';
import type { RevertTask } from './revert.js';

/** The name of the tag or branch for this promotion. */
function nameOf({ canary, request }: Pick<RevertTask, 'canary' | 'request'>): string {
  const values: Record<string, string> = { canary: canary.metadata.name, namespace: canary.metadata.namespace ?? 'default', revision: request.revision, commit: request.commit ?? '' };
  return (canary.spec.onPromotion?.name ?? '').replace(/\{\{ *(\w+) *\}\}/g, (whole, key: string) => values[key] ?? whole);
}

/**
 * Puts a tag on the promoted commit, or moves a branch to it, so that the success of one environment becomes the commit of the
 * next. Never with force: what points elsewhere stays, and it is said.
 */
export async function promote(options: { assertLeading: () => void }, workshop: Workshop, task: RevertTask): Promise<WriteBackOutcome> {
  const { request, branch } = task;
  const name = nameOf(task);
  const ref = `refs/${request.kind === 'tag' ? 'tags' : 'heads'}/${name}`;
  if (!(await isRef(workshop, ref))) return skipped(`onPromotion.name makes "${name}", which Git takes for no name; correct it`);
  const commit = request.commit ?? '';
  await fetchBranch(workshop, branch);
  if (!(await holds(workshop.local, commit))) return skipped(`commit ${short(commit)} is not in branch ${branch} any more`);
  const now = await remoteRef(workshop, ref);
  const what = `${request.kind} ${name}`;
  if (now === commit) return { state: 'Done', message: `${what} is at ${short(commit)}`, written: commit };
  options.assertLeading();
  try {
    if ((await push(workshop, commit, ref)) === 'pushed') return { state: 'Done', message: `${what} is now at ${short(commit)}`, written: commit };
  } catch (error) {
    if (!(error instanceof PushRefused)) throw error;
    return skipped(`${what} could not be written: ${error.message}`);
  }
  return skipped(`${what} is at ${short(now ?? '')}, which is not behind ${short(commit)}; nothing is moved by force`);
}

const isRef = ({ local }: Workshop, ref: string): Promise<boolean> =>
  runGit(['check-ref-format', ref], local).then(
    () => true,
    (error: unknown) => {
      if (error instanceof GitError) return false;
      throw error;
    },
  );

async function remoteRef({ url, remote }: Workshop, ref: string): Promise<string | undefined> {
  const listed = await runRemoteGit(['ls-remote', '--', url, ref, `${ref}^{}`], remote);
  return listed.trim().split('\n').at(-1)?.split('\t')[0] || undefined;
}
