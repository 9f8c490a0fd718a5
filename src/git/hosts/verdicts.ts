import type { Canary, GitSource, HistoryEntry } from '../../api/index.js';
import type { CommitState, CommitStatus } from './types.js';

/** A status that a commit should have. */
export interface Verdict {
  commit: string;
  /** GitSource as NAMESPACE/NAME. */
  source: string;
  run: string;
  revision: string;
  state: CommitState;
  description: string;
  /** `end`: must be told. `start`: too, unless the end came first. `weight`: only if there is room for it. */
  rank: 'end' | 'start' | 'weight';
}

/** The commit that the target of a Canary carries, and when it was applied (RFC 3339). */
export interface TargetCommit {
  commit: string;
  syncedAt?: string;
}

/** Endings so old were told, in milliseconds; after a restart younger ones are told again, which changes nothing. */
const OLD_MS = 2 * 3_600_000;
const STATES: Record<HistoryEntry['result'], CommitState> = { Succeeded: 'success', Failed: 'failure', Superseded: 'cancelled', Cancelled: 'cancelled' };
const WORDS: Record<HistoryEntry['result'], string> = { Succeeded: 'promoted', Failed: 'taken back', Superseded: 'superseded', Cancelled: 'cancelled' };

/** What the commits of a Canary's releases should be told now, the newest release first. */
export function verdictsOf(canary: Canary, now: number, target?: TargetCommit): Verdict[] {
  const { status } = canary;
  if (!status) return [];
  const verdicts: Verdict[] = [];
  const add = (from: { commit?: string; commits?: string[]; source?: string }, rest: Omit<Verdict, 'commit' | 'source'>): void => {
    const { commit, commits = [], source } = from;
    if (commit !== undefined && source !== undefined) for (const sha of new Set([commit, ...commits])) verdicts.push({ commit: sha, source, ...rest });
  };
  const { run, canary: side, step } = status;
  if (run && side && !run.ending) {
    const at = step ? `${status.canaryWeight} % of the traffic, step ${step.index + 1} of ${step.of}` : 'its pods are started';
    add(side, { run: run.id, revision: side.revision, state: 'pending', description: at, rank: step ? 'weight' : 'start' });
  }
  for (const entry of status.history ?? []) {
    if (now - Date.parse(entry.endedAt) > OLD_MS) break;
    add(entry, { run: entry.run, revision: entry.revision, state: STATES[entry.result], description: `${WORDS[entry.result]}: ${entry.message}`, rank: 'end' });
  }
  verdicts.push(...quarantined(canary, target?.commit), ...unchanged(canary, target, now));
  // A commit may have been released twice: the newest release counts.
  return [...new Map(verdicts.toReversed().map((verdict) => [`${verdict.source} ${verdict.commit}`, verdict])).values()].toReversed();
}

/** A new commit that brings a revision which failed before: it does not run, and its commit says why. */
function quarantined({ status }: Canary, commit: string | undefined): Verdict[] {
  const progressing = status?.conditions?.find(({ type }) => type === 'Progressing');
  const entry = progressing?.reason === 'Quarantined' ? status?.quarantined?.find(({ revision }) => progressing.message.includes(revision)) : undefined;
  const source = status?.history?.find(({ revision }) => revision === entry?.revision)?.source ?? status?.stable?.source;
  if (!entry || !commit || commit === entry.commit || !source) return [];
  return [{ commit, source, run: `quarantine-${entry.revision}`, revision: entry.revision, state: 'failure', description: `revision ${entry.revision} failed before and does not run again: ${entry.reason}`, rank: 'end' }];
}

/** Characters of a commit in the messages of a Canary. */
const IN_WORDS = 7;
/** A commit that makes the revision which serves already: nothing is released, and nothing else would tell it so. */
function unchanged({ status }: Canary, target: TargetCommit | undefined, now: number): Verdict[] {
  const progressing = status?.conditions?.find(({ type }) => type === 'Progressing');
  const { stable, run } = status ?? {};
  if (!target || !stable?.source || run || progressing?.reason !== 'Idle' || !progressing.message.includes(`commit ${target.commit.slice(0, IN_WORDS)}`)) return [];
  if (target.syncedAt === undefined || now - Date.parse(target.syncedAt) > OLD_MS) return [];
  return [{ commit: target.commit, source: stable.source, run: `same-${stable.revision}`, revision: stable.revision, state: 'success', description: `revision ${stable.revision} serves already; there was nothing to release`, rank: 'end' }];
}

/** The status as the host gets it. */
export function statusOf(canary: Canary, source: GitSource, { state, description, revision, commit }: Verdict, cluster: string | undefined): CommitStatus {
  const { namespace = 'default', name } = canary.metadata;
  const values: Record<string, string> = { namespace, canary: name, revision, commit };
  const link = source.spec.writeBack?.link?.replace(/\{\{ *(\w+) *\}\}/g, (whole, key: string) => (values[key] === undefined ? whole : encodeURIComponent(values[key])));
  return { state, context: ['sluice', ...(cluster ? [cluster] : []), namespace, name].join('/'), description, ...(link ? { link } : {}) };
}
