import { durationMs, type CanaryStatus, type Reason } from '../api/index.js';
import { handleActions } from './actions.js';
import { adopt, keepServing, seed } from './adopt.js';
import { bound } from './bounds.js';
import { summarise } from './conditions.js';
import { Draft } from './draft.js';
import { conclude } from './endings.js';
import { countGrowth, giveGrowthTime } from './growth.js';
import { describeCommit, tell } from './messages.js';
import { hasControl, otherSlot, SLOTS } from './names.js';
import type { Decision, DecisionInput, DesiredRevision } from './observation.js';
import { learnProvenance } from './provenance.js';
import { nameForeignManagers } from './quarrel.js';
import { release } from './release.js';
import { digest } from './revision.js';
import { advance, begin } from './run.js';
import { recordSlots, restart, retire } from './slots.js';
import { leadToStable } from './traffic.js';

/**
 * What to do next with one Canary. Pure: the same input gives the same decision, in the controller, in `sluice explain` and in
 * every test. The whole behaviour of a release is readable from here.
 */
export function decide(input: DecisionInput): Decision {
  const draft = new Draft(input);
  recordSlots(draft);
  if (!draft.observed.finalizer && !draft.observed.deleting) draft.do({ type: 'addFinalizer' });
  if (draft.observed.deleting) dismiss(draft);
  else if (!draft.status.adoptedAt || draft.status.phase === 'Initializing') adoptOrExplain(draft);
  else serve(draft);
  if (lacksEvidence(draft))
    return { status: input.status, effects: [], events: [], needs: draft.needs };
  summarise(draft);
  bound(draft.status);
  return draft.finish();
}

const lacksEvidence = ({ needs }: Draft): boolean => needs.metrics.length > 0 || needs.hooks.length > 0 || needs.windows !== undefined;

/** What people asked for is answered before the Canary goes. */
function dismiss(draft: Draft): void {
  handleActions(draft);
  release(draft);
}

function adoptOrExplain(draft: Draft): void {
  handleActions(draft);
  const problem = draft.observed.problems[0];
  if (problem) {
    draft.status.phase ??= 'Initializing';
    draft.wait(problem.reason, problem.message);
    return keepServing(draft);
  }
  adopt(draft);
}

/** An adopted Canary: people first, then the run or the wish for one, then what must hold at any time. */
function serve(draft: Draft): void {
  nameForeignManagers(draft);
  handleActions(draft);
  countGrowth(draft);
  seed(draft);
  giveGrowthTime(draft);
  reconsider(draft);
  learnProvenance(draft);
  if (draft.status.run) advance(draft);
  // A run that has just ended leaves room for the next wish at once: nothing may change any more that would wake us.
  if (!draft.status.run) wish(draft);
  maintain(draft);
}

/** A run is for one revision. What Git wants now may have changed since it began. */
function reconsider(draft: Draft): void {
  const { run, canary, stable, phase } = draft.status;
  const { desired } = draft.observed;
  if (!run || !canary || run.ending || phase === 'Finalising' || !desired || desired.revision === canary.revision) return;
  if (!settled(draft, desired.since)) return;
  if (desired.revision === stable?.revision) return conclude(draft, 'Cancelled', 'BackToStable', `Git went back to the stable revision ${stable.revision}`);
  conclude(draft, 'Superseded', 'NewRevision', `revision ${desired.revision} took its place`);
}

function settled(draft: Draft, since: number): boolean {
  const until = since + durationMs(draft.spec.revisions.settle);
  draft.wakeAt(until);
  return draft.now >= until;
}

/** Start a run when Git wants another revision than the one that serves. */
function wish(draft: Draft): void {
  const { desired } = draft.observed;
  if (!desired || !startable(draft, desired)) return stopWaiting(draft);
  if (begin(draft, desired.revision, desired.provenance)) advance(draft);
}

/** Nothing asks a webhook for leave to begin any more. */
function stopWaiting(draft: Draft): void {
  if (draft.status.phase !== 'Waiting') return;
  draft.status.phase = 'Initialized';
  delete draft.status.nextStepTime;
}

function startable(draft: Draft, desired: DesiredRevision): boolean {
  const { status, observed, spec } = draft;
  if (desired.revision === status.stable?.revision) return false;
  // An edited slot is filled afresh; it must not keep the next revision from that.
  const problem = observed.problems.find((item) => item.reason !== 'SlotEdited');
  if (problem) return refuse(draft, problem.reason, problem.message);
  if (!settled(draft, desired.since)) return refuse(draft, 'Settling', `revision ${desired.revision} was seen; its writes are given ${spec.revisions.settle} to be complete`);
  if (!draft.serviceSelects(draft.stableSlot) && draft.slot(draft.stableSlot).endpoints > 0)
    return refuse(draft, 'Settling', `revision ${desired.revision} was seen; Services that select its pods, too, are led to the stable version first`);
  const quarantined = status.quarantined?.find((item) => item.revision === desired.revision);
  // One retry per commit: when it fails too, the revision is quarantined with that commit, and stays so.
  if (quarantined && desired.retry && quarantined.commit !== desired.provenance.commit) status.quarantined = status.quarantined?.filter((item) => item !== quarantined);
  else if (quarantined) {
    tellAgain(draft, desired, quarantined);
    return refuse(draft, 'Quarantined', `revision ${desired.revision} failed at ${quarantined.at}: ${quarantined.reason}; commit a change, or run: sluice retry ${observed.name}`);
  }
  if (spec.suspend) return refuse(draft, 'Suspended', 'spec.suspend is true; set it to false to release the new revision');
  if (draft.replicas === 0) return refuse(draft, 'NoReplicas', 'the number of replicas is 0; the release starts when it rises');
  return true;
}

/** Somebody, often a machine, commits what failed once more: it does not run, and people hear of it once. */
function tellAgain(draft: Draft, desired: DesiredRevision, quarantined: NonNullable<CanaryStatus['quarantined']>[number]): void {
  const { commit } = desired.provenance;
  if (commit === undefined || commit === quarantined.commit || quarantined.again !== undefined || quarantined.commit === undefined) return;
  quarantined.again = commit;
  const text = `${draft.observed.name}: ${describeCommit(desired.provenance)} brings revision ${desired.revision} again, which failed at ${quarantined.at} and is not released: ${quarantined.reason}`;
  tell(draft, 'Waiting', 'warn', text, { ...desired.provenance, revision: desired.revision }, `again-${digest(`${desired.revision}/${commit}`).slice(0, 10)}`);
}

function refuse(draft: Draft, reason: Reason, message: string): false {
  draft.wait(reason, message);
  return false;
}

/** What must hold at any time: weights, selectors and scale as decided, whoever changed them. */
function maintain(draft: Draft): void {
  const { status, observed } = draft;
  const { stable, run, canary } = status;
  if (!stable || lacksEvidence(draft)) return;
  if (!run && !canary) {
    leadToStable(draft);
    retire(draft, otherSlot(stable.slot));
    dropControl(draft);
    if (draft.slot(stable.slot).revision === stable.revision) restart(draft, stable.slot);
  } else restoreRunRoutes(draft);
  const slot = draft.slot(stable.slot);
  // Somebody who asks for no pods at all gets none, but not in the middle of a run.
  if (slot.revision === stable.revision && slot.replicas !== draft.replicas && (draft.replicas > 0 || !run))
    draft.do({ type: 'scaleSlot', slot: stable.slot, replicas: draft.replicas, why: 'the stable version has the number of pods that is asked for' });
  if (slot.revision === undefined) draft.do({ type: 'keepRevision', revision: stable.revision }, { type: 'fillSlot', slot: stable.slot, revision: stable.revision, replicas: draft.replicas });
  draft.do({ type: 'createSlotServices' });
  // An autoscaler that found no number would make it the least one (trap K7).
  if (observed.attached === false && (draft.spec.replicas ?? observed.nodes) !== undefined) draft.do({ type: 'attach', stable: stable.slot });
  if (observed.target && (observed.target.replicas !== 0 || !observed.target.overlaid)) draft.do({ type: 'overlayTarget' });
}

/** Nobody wants a control arm any more, and no proxy can still send to the one that was. */
function dropControl(draft: Draft): void {
  if (hasControl(draft.spec) || SLOTS.every((slot) => draft.slot(slot).control === undefined)) return;
  if (draft.plainly(draft.stableSlot, 100) && draft.drained(draft.freeSlot)) draft.do({ type: 'deleteControl' });
}

/** During a run, callers outside the mesh stay with the stable slot until the routes have all gone to the new one. */
function restoreRunRoutes(draft: Draft): void {
  const { run, canary, phase } = draft.status;
  if (!run || !canary || run.ending || phase === 'Finalising') return;
  // Before its first step the canary has nothing, whoever gave it something.
  if (!draft.status.step && phase !== 'Promoting') return leadToStable(draft);
  const stable = otherSlot(canary.slot);
  if (!draft.serviceSelects(stable) && draft.slot(stable).endpoints > 0) draft.do({ type: 'selectService', slots: [stable] });
}
