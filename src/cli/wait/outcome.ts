import type { CanaryStatus, HistoryEntry, Provenance } from '../../api/index.js';
import { commitWords, conditionOf } from '../canaries.js';
import { Exit } from '../errors.js';
import { shortCommit } from '../format.js';

/** What is waited for. `run` is the one that was in progress when nobody named anything. */
export type Target =
  { kind: 'commit'; commit: string } | { kind: 'revision'; revision: string } | { kind: 'run'; run: string } | { kind: 'any' };

/** How a wait ended. */
export interface Outcome {
  result: 'Succeeded' | 'Failed' | 'Superseded' | 'Cancelled' | 'Unchanged' | 'Timeout';
  reason: string;
  message: string;
  exitCode: number;
  revision?: string;
  commit?: string;
  weights?: number[];
  startedAt?: string;
  endedAt?: string;
}

export const EXIT_CODES: Record<Outcome['result'], number> = {
  Succeeded: Exit.ok,
  Unchanged: Exit.ok,
  Failed: Exit.failed,
  Superseded: Exit.replaced,
  Cancelled: Exit.replaced,
  Timeout: Exit.timeout,
};

/** What one look at the cluster says. */
export interface Look {
  /** Undefined when the Canary does not exist (any more). */
  status: CanaryStatus | undefined;
  /** The commit has been applied to the cluster by a GitSource; only asked when a commit is waited for. */
  applied: boolean;
  /** Long enough ago that a release would have begun by now. */
  graceOver: boolean;
}

const hasCommit = (from: Provenance, commit: string): boolean =>
  [from.commit, ...(from.commits ?? [])].some((known) => known?.toLowerCase().startsWith(commit));

function matches(target: Target, from: Provenance & { revision: string; run?: string }): boolean {
  if (target.kind === 'commit') return hasCommit(from, target.commit);
  if (target.kind === 'revision') return from.revision === target.revision;
  if (target.kind === 'run') return from.run === target.run;
  return true;
}

const ended = (result: Outcome['result'], reason: string, message: string, about: Partial<Outcome> = {}): Outcome => ({
  result,
  reason,
  message,
  exitCode: EXIT_CODES[result],
  ...about,
});

function fromHistory(entry: HistoryEntry): Outcome {
  const { revision, commit, weights, startedAt, endedAt } = entry;
  return ended(entry.result, entry.reason, entry.message, {
    revision,
    weights,
    startedAt,
    endedAt,
    ...(commit ? { commit } : {}),
  });
}

/** The result of what is waited for, or undefined while there is none yet. The newest release that matches counts. */
export function outcomeOf(target: Target, look: Look): Outcome | undefined {
  const { status } = look;
  if (!status) return ended('Cancelled', 'CanaryDeleted', 'the Canary was deleted');
  const { run, canary, stable, history = [] } = status;
  if (run && canary && matches(target, { ...canary, run: run.id })) return undefined;
  const past = history.find((entry) => matches(target, entry));
  if (past) return fromHistory(past);
  if (target.kind !== 'run' && stable && status.adoptedAt && matches(target, stable))
    return ended('Succeeded', 'Serving', `revision ${stable.revision} is the stable one`, {
      revision: stable.revision,
      ...(stable.commit ? { commit: stable.commit } : {}),
    });
  return neverRan(target, look, status);
}

/** A commit or revision that this Canary has no run of. */
function neverRan(target: Target, look: Look, status: CanaryStatus): Outcome | undefined {
  const { stable, canary } = status;
  const quarantined = (status.quarantined ?? []).find(
    (item) =>
      (target.kind === 'revision' && item.revision === target.revision) ||
      (target.kind === 'commit' && item.commit?.startsWith(target.commit)),
  );
  if (quarantined)
    return ended(
      'Failed',
      'Quarantined',
      `revision ${quarantined.revision} failed before and is quarantined: ${quarantined.reason}`,
      { revision: quarantined.revision },
    );
  if (target.kind !== 'commit' || !look.applied || !look.graceOver || !status.adoptedAt) return undefined;
  const progressing = conditionOf(status, 'Progressing');
  // The commit leads to a revision that failed before: it is in the cluster, and it is not released.
  if (!canary && progressing?.reason === 'Quarantined') return ended('Failed', 'Quarantined', progressing.message);
  // Something holds back a release that has yet to begin, perhaps that of this commit.
  if (!canary && progressing?.reason !== 'Idle') return undefined;
  const revision = canary?.revision ?? stable?.revision;
  const words = `commit ${shortCommit(target.commit)} reached the cluster and changed nothing that this Canary releases; revision ${revision ?? 'unknown'} ${canary ? 'is being released' : 'serves'}`;
  return ended('Unchanged', 'NoChange', words, revision === undefined ? {} : { revision });
}

/** Where the release is, in one line; undefined before it began. */
export function progressOf(target: Target, status: CanaryStatus): string | undefined {
  const { run, canary, step } = status;
  const message = conditionOf(status, 'Progressing')?.message;
  if (!run || !canary) return status.adoptedAt ? undefined : message;
  const other = matches(target, { ...canary, run: run.id }) ? '' : ' (not the one waited for)';
  const place = step ? `, step ${step.index + 1} of ${step.of}` : '';
  const stage = run.ending ? `, ending: ${run.ending.result}` : status.phase === 'Progressing' ? '' : `, ${status.phase}`;
  return `revision ${canary.revision}${other}, ${commitWords(canary)}: weight ${status.canaryWeight} %${place}${stage}`;
}
