import type { HistoryEntry, WriteBack } from '../api/index.js';
import type { Draft } from './draft.js';
import { iso } from './time.js';
import { odds, WRITE_BACK_ALPHA } from './verdict/outcome.js';

const MAX_WRITE_BACKS = 10;

/** What the spec wants to go back to Git after such an ending; undefined when nothing. */
function wanted({ spec }: Draft, result: HistoryEntry['result']): WriteBack['kind'] | undefined {
  const git = result === 'Failed' ? spec.onRollback?.git : result === 'Succeeded' ? spec.onPromotion?.git : undefined;
  return git === 'none' ? undefined : git;
}

/** Why nothing is written, in words. What takes a version back may not be enough to change what everybody works on. */
function hindrance(draft: Draft, kind: WriteBack['kind'], entry: HistoryEntry): string | undefined {
  if (entry.commit === undefined || entry.source === undefined) return 'the commit or the GitSource that brought the revision is unknown, so nothing is written to Git';
  const { evidence } = draft.status.run ?? {};
  if (entry.reason !== 'Regression' || evidence === undefined || kind === 'tag' || kind === 'branch' || evidence >= Math.log(1 / WRITE_BACK_ALPHA)) return undefined;
  return `chance would show such a regression in ${odds(evidence)} runs: enough to take the version back, not to change Git (1 in ${1 / WRITE_BACK_ALPHA}); revert the commit by hand if you agree`;
}

/**
 * Note in the status that the ending goes back to Git. It is carried out once the status that asks for it is stored, and the
 * branch's own history is looked at first: so a crash at any point neither loses nor repeats it. One revision is written back
 * at most once, however often it fails.
 */
export function askForWriteBack(draft: Draft, entry: HistoryEntry): void {
  const kind = wanted(draft, entry.result);
  if (!kind) return;
  const known = draft.status.writeBacks ?? [];
  if (known.some((item) => item.kind === kind && item.revision === entry.revision && item.state !== 'Skipped')) return;
  const { stable } = draft.status;
  const why = hindrance(draft, kind, entry);
  const request: WriteBack = {
    kind,
    state: why === undefined ? 'Pending' : 'Skipped',
    run: entry.run,
    revision: entry.revision,
    at: iso(draft.now),
    ...(stable ? { stable: stable.revision } : {}),
    ...(stable?.commit ? { stableCommit: stable.commit } : {}),
    ...(entry.commit ? { commit: entry.commit } : {}),
    ...(entry.source ? { source: entry.source } : {}),
    ...(why === undefined ? {} : { message: why }),
  };
  const others = known.filter((item) => item.kind !== kind || item.revision !== entry.revision);
  draft.status.writeBacks = [request, ...others].slice(0, MAX_WRITE_BACKS);
}
