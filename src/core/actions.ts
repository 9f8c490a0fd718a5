import type { Draft } from './draft.js';
import { conclude, quarantine } from './endings.js';
import type { ActionObservation } from './observation.js';
import { compilePlan, findStep, stepName } from './plan.js';
import { digest } from './revision.js';
import { clip } from './text.js';
import { iso } from './time.js';

const MAX_ACTIONS = 20;

/** Why an action cannot be carried out now, or undefined after it was. */
type Handler = (draft: Draft, action: ActionObservation) => string | undefined;

const noRun = 'no release is under way';

/** Abort beats everything: it works in every stage, a webhook's leave to begin included. */
const abort: Handler = (draft, action) => {
  const { run, phase } = draft.status;
  const { desired } = draft.observed;
  const why = `aborted by ${action.by}${action.reason ? `: ${action.reason}` : ''}`;
  if (!run && phase === 'Waiting' && desired) {
    quarantine(draft, { revision: desired.revision, message: clip(why, 512), endedAt: iso(draft.now) });
    draft.event('Warning', 'Aborted', `${draft.observed.name}: revision ${desired.revision} is not released, ${why}`);
    return undefined;
  }
  if (!run) return noRun;
  if (run.ending) return `the run is already ending: ${run.ending.result}`;
  conclude(draft, 'Failed', 'Aborted', why, action.by);
  return undefined;
};

/** An approval may come before its step asks for it, but never for a step that needs none: it would be lost. */
const approve: Handler = (draft) => {
  const { run, step, phase } = draft.status;
  if (!run) return noRun;
  if (run.ending) return `the run is already ending: ${run.ending.result}`;
  const plan = compilePlan(draft.spec.analysis);
  const asks = step && plan[findStep(plan, step) ?? -1]?.approve;
  if (!step || !asks) return 'no step waits for an approval';
  run.approvedStep = stepName(step);
  if (phase === 'WaitingPromotion') {
    draft.status.phase = 'Progressing';
    draft.status.nextStepTime = iso(draft.now);
  }
  return undefined;
};

const hold: Handler = (draft, action) => {
  const { run, phase } = draft.status;
  if (!run) return noRun;
  if (run.ending) return `the run is already ending: ${run.ending.result}`;
  if (phase === 'Finalising') return 'all traffic is at the new revision already; abort takes it back';
  run.held = { by: clip(action.by, 253), reason: clip(action.reason ?? '', 512), at: iso(draft.now) };
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

const REFUSED = 'refused:';
const MAX_KEY = 52;
/** An action in the status; names may be longer than what it keeps. */
const keyOf = (action: ActionObservation): string => (action.name.length <= MAX_KEY ? action.name : `${action.name.slice(0, MAX_KEY - 9)}~${digest(action.name).slice(0, 8)}`);

/** Why the action cannot be carried out now; undefined after it was. */
function refusalOf(draft: Draft, action: ActionObservation): string | undefined {
  const current = draft.status.canary?.revision ?? draft.observed.desired?.revision;
  const stale = action.revision !== undefined && action.verb !== 'retry' && action.revision !== current;
  return stale ? `it is for revision ${action.revision}, but ${current ?? 'none'} is being released` : HANDLERS[action.verb](draft, action);
}

/** Answer one action; returns how the status remembers it until the answer is known to be written. */
function answer(draft: Draft, action: ActionObservation, known: ReadonlySet<string>): string {
  const key = keyOf(action);
  const { name, verb, by } = action;
  if (known.has(key)) {
    draft.do({ type: 'finishAction', name, result: 'Applied', message: 'carried out' });
    return key;
  }
  const refusal = known.has(REFUSED + key) ? 'it could not be carried out when it came' : refusalOf(draft, action);
  if (refusal === undefined) {
    draft.do({ type: 'finishAction', name, result: 'Applied', message: 'carried out' });
    return key;
  }
  draft.do({ type: 'finishAction', name, result: 'Refused', message: refusal });
  if (!known.has(REFUSED + key)) draft.event('Warning', 'ActionRefused', `${verb} by ${by} refused: ${refusal}`);
  return REFUSED + key;
}

/**
 * Carry out what people asked for, oldest first but aborts before all. Each is decided once, also after a restart: the status
 * holds those whose answer may not have been written yet. A name that is used again later is another action.
 */
export function handleActions(draft: Draft): void {
  const pending = draft.observed.actions.filter((action) => !action.finished);
  pending.sort((a, b) => Number(b.verb === 'abort') - Number(a.verb === 'abort'));
  const known = new Set(draft.status.actions);
  const kept = pending.slice(0, MAX_ACTIONS).map((action) => answer(draft, action, known));
  if (kept.length > 0) draft.status.actions = kept;
  else delete draft.status.actions;
}
