import type { HistoryEntry, WriteBack } from '../api/index.js';
import type { Draft } from './draft.js';
import { iso } from './time.js';

const MAX_WRITE_BACKS = 10;

/** What the spec wants to go back to Git after such an ending; undefined when nothing. */
function wanted({ spec }: Draft, result: HistoryEntry['result']): WriteBack['kind'] | undefined {
  const git = result === 'Failed' ? spec.onRollback?.git : result === 'Succeeded' ? spec.onPromotion?.git : undefined;
  return git === 'none' ? undefined : git;
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
  const unknown = entry.commit === undefined || entry.source === undefined;
  const request: WriteBack = {
    kind,
    state: unknown ? 'Skipped' : 'Pending',
    run: entry.run,
    revision: entry.revision,
    at: iso(draft.now),
    ...(stable ? { stable: stable.revision } : {}),
    ...(stable?.commit ? { stableCommit: stable.commit } : {}),
    ...(entry.commit ? { commit: entry.commit } : {}),
    ...(entry.source ? { source: entry.source } : {}),
    ...(unknown ? { message: 'the commit or the GitSource that brought the revision is unknown, so nothing is written to Git' } : {}),
  };
  const others = known.filter((item) => item.kind !== kind || item.revision !== entry.revision);
  draft.status.writeBacks = [request, ...others].slice(0, MAX_WRITE_BACKS);
}
