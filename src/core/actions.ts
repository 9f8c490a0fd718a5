import type { Draft } from './draft.js';
import { conclude } from './endings.js';
import type { ActionObservation } from './observation.js';
import { iso } from './time.js';

const MAX_ACTIONS = 20;

/** Why an action cannot be carried out now, or undefined after it was. */
type Handler = (draft: Draft, action: ActionObservation) => string | undefined;

const noRun = 'no release is under way';

/** Abort beats everything: it works in every stage but after the last traffic has moved for good. */
const abort: Handler = (draft, action) => {
  const { run } = draft.status;
  if (!run) return noRun;
  if (run.ending) return `the run is already ending: ${run.ending.result}`;
  conclude(draft, 'Failed', 'Aborted', `aborted by ${action.by}${action.reason ? `: ${action.reason}` : ''}`, action.by);
  return undefined;
};

const approve: Handler = (draft) => {
  const { run, step } = draft.status;
  if (!run || !step) return run ? 'no step waits for an approval' : noRun;
  run.approvedWeight = step.weight;
  draft.status.nextStepTime = iso(draft.now);
  return undefined;
};

const hold: Handler = (draft, action) => {
  const { run } = draft.status;
  if (!run) return noRun;
  if (run.ending) return `the run is already ending: ${run.ending.result}`;
  run.held = { by: action.by, reason: action.reason ?? '', at: iso(draft.now) };
  return undefined;
};

const resume: Handler = (draft) => {
  const { run } = draft.status;
  if (!run?.held) return run ? 'the run is not held' : noRun;
  delete run.held;
  return undefined;
};

const promote: Handler = (draft, action) => {
  const { run } = draft.status;
  if (!run) return noRun;
  if (run.ending) return `the run is already ending: ${run.ending.result}`;
  run.promote = action.by;
  delete run.held;
  return undefined;
};

const retry: Handler = (draft, action) => {
  const revision = action.revision ?? draft.observed.desired?.revision;
  const known = draft.status.quarantined ?? [];
  if (!known.some((item) => item.revision === revision)) return `revision ${revision ?? 'unknown'} is not quarantined`;
  draft.status.quarantined = known.filter((item) => item.revision !== revision);
  return undefined;
};

const HANDLERS: Record<ActionObservation['verb'], Handler> = { abort, approve, hold, resume, promote, retry };

/** Carry out what people asked for, oldest first but aborts before all. Each is answered once, also after a restart. */
export function handleActions(draft: Draft): void {
  const done = draft.status.actions ?? [];
  const pending = draft.observed.actions.filter((action) => !action.finished);
  pending.sort((a, b) => Number(b.verb === 'abort') - Number(a.verb === 'abort'));
  for (const action of pending) {
    if (done.includes(action.name)) {
      draft.do({ type: 'finishAction', name: action.name, result: 'Applied', message: 'carried out' });
      continue;
    }
    const current = draft.status.canary?.revision ?? draft.observed.desired?.revision;
    const stale = action.revision !== undefined && action.verb !== 'retry' && action.revision !== current;
    const refusal = stale ? `it is for revision ${action.revision}, but ${current ?? 'none'} is being released` : HANDLERS[action.verb](draft, action);
    if (refusal === undefined) {
      draft.status.actions = [action.name, ...(draft.status.actions ?? [])].slice(0, MAX_ACTIONS);
      draft.do({ type: 'finishAction', name: action.name, result: 'Applied', message: 'carried out' });
    } else {
      draft.do({ type: 'finishAction', name: action.name, result: 'Refused', message: refusal });
      draft.event('Warning', 'ActionRefused', `${action.verb} by ${action.by} refused: ${refusal}`);
    }
  }
}
