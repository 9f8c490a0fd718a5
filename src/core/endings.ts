import type { HistoryEntry, Provenance, Reason, RunResult } from '../api/index.js';
import type { Draft } from './draft.js';
import { describeCommit, tell } from './messages.js';
import { clip } from './text.js';
import { iso } from './time.js';
import { askForWriteBack } from './write-back.js';

const MAX_HISTORY = 10;
const MAX_QUARANTINED = 20;

/** Characters of a commit's name, and of its author, subject, source and path, that the status keeps. */
const MAX_COMMIT = 64;
const MAX_WORDS = 256;
const MAX_COMMITS = 20;

/** Provenance fields of a record that may hold more, as long as the status may keep them: they were written by others. */
export function provenanceOf(from: Provenance): Provenance {
  const short = (text: string | undefined, max: number): string | undefined => (text === undefined ? undefined : clip(text, max));
  const commits = from.commits?.slice(0, MAX_COMMITS).map((commit) => clip(commit, MAX_COMMIT));
  const fields = { commit: short(from.commit, MAX_COMMIT), commits, author: short(from.author, MAX_WORDS), subject: short(from.subject, MAX_WORDS), source: short(from.source, MAX_WORDS), path: short(from.path, MAX_WORDS) };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Decide how the run ends. It is told when traffic is where it belongs; until then the decision stands, whatever else happens. */
export function conclude(draft: Draft, result: RunResult, reason: Reason, message: string, by?: string): void {
  const { run } = draft.status;
  if (!run || run.ending) return;
  run.ending = { result, reason, message: clip(message, 512), at: iso(draft.now), ...(by ? { by } : {}) };
  delete draft.status.nextStepTime;
  delete draft.status.deadline;
}

const SEVERITY = { Succeeded: 'info', Failed: 'error', Superseded: 'info', Cancelled: 'info' } as const;
const VERB = {
  Succeeded: 'promoted',
  Failed: 'taken back',
  Superseded: 'replaced by a newer revision',
  Cancelled: 'cancelled',
} as const;

/** It does not start again by itself. */
export function quarantine(draft: Draft, entry: Pick<HistoryEntry, 'revision' | 'message' | 'endedAt' | 'commit'>): void {
  const others = (draft.status.quarantined ?? []).filter((item) => item.revision !== entry.revision);
  draft.status.quarantined = [
    { revision: entry.revision, reason: entry.message, at: entry.endedAt, ...(entry.commit ? { commit: entry.commit } : {}) },
    ...others,
  ].slice(0, MAX_QUARANTINED);
}

/** Close the run: history, quarantine, the one message, and the record of the run itself. */
export function close(draft: Draft): void {
  const { run, canary } = draft.status;
  if (!run?.ending || !canary) return;
  const { result, reason, message, by } = run.ending;
  const entry: HistoryEntry = {
    ...provenanceOf(canary),
    run: run.id,
    revision: canary.revision,
    result,
    reason,
    message,
    weights: run.weights,
    startedAt: run.startedAt,
    endedAt: iso(draft.now),
    ...(by ? { by } : {}),
  };
  draft.status.history = [entry, ...(draft.status.history ?? [])].slice(0, MAX_HISTORY);
  if (result === 'Failed') quarantine(draft, entry);
  askForWriteBack(draft, entry);
  const text = `${draft.observed.name} ${VERB[result]}: revision ${canary.revision}, ${describeCommit(canary)}. ${message}`;
  tell(draft, result, SEVERITY[result], text, canary, run.id);
  draft.event(result === 'Failed' ? 'Warning' : 'Normal', reason as Reason, text);
  draft.status.phase = ({ Succeeded: 'Succeeded', Failed: 'Failed', Superseded: 'Initialized', Cancelled: 'Initialized' } as const)[result];
  delete draft.status.run;
  delete draft.status.canary;
  delete draft.status.step;
  delete draft.status.iterations;
  delete draft.status.nextStepTime;
  delete draft.status.deadline;
  delete draft.status.serviceSince;
  draft.status.canaryWeight = 0;
}
