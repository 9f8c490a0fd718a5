import type { Draft } from './draft.js';
import { provenanceOf } from './endings.js';
import { askForWriteBack } from './write-back.js';

/**
 * Where another tool applies the commits, which of them it was may be known only after the run began, or even ended. What is known
 * already never changes.
 */
export function learnProvenance(draft: Draft): void {
  const { canary, history, quarantined } = draft.status;
  const { desired } = draft.observed;
  if (!desired || desired.provenance.commit === undefined) return;
  const known = provenanceOf(desired.provenance);
  if (canary && canary.commit === undefined && canary.revision === desired.revision) Object.assign(canary, known);
  const entry = history?.[0];
  if (draft.status.run || !entry || entry.commit !== undefined || entry.revision !== desired.revision || entry.result !== 'Failed') return;
  Object.assign(entry, known);
  const failed = quarantined?.find((item) => item.revision === entry.revision);
  if (failed && known.commit) failed.commit ??= known.commit;
  askForWriteBack(draft, entry);
}
