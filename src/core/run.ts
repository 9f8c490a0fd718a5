import type { Provenance } from '../api/index.js';
import { readyGoal } from './capacity.js';
import type { Draft } from './draft.js';
import { conclude, provenanceOf } from './endings.js';
import { gatePasses, intervalMs, progressDeadline } from './gates.js';
import { describeCommit, tell, warnOfMutableImages } from './messages.js';
import { otherSlot } from './names.js';
import { compilePlan, replicasOf } from './plan.js';
import { finalise, promote } from './promotion.js';
import { prepareSlot } from './slots.js';
import { step } from './steps.js';
import { iso, ms } from './time.js';
import { noteWeight, rulesOf, takeBack } from './traffic.js';

/** Begin the run of a revision. Returns false while something has to come first. */
export function begin(draft: Draft, revision: string, from: Provenance): boolean {
  if (!gatePasses(draft, 'confirm-rollout', 'confirm-rollout')) {
    if (draft.needs.hooks.length === 0) draft.status.phase = 'Waiting';
    return false;
  }
  const known = (draft.status.knownGood ?? []).includes(revision);
  const provenance = provenanceOf(from);
  draft.status.run = {
    id: `${revision}-${draft.now.toString(36)}`,
    startedAt: iso(draft.now),
    weights: [],
    mostReplicas: draft.replicas,
    ...(known || draft.spec.skipAnalysis ? { skipAnalysis: true } : {}),
  };
  draft.status.canary = { ...provenance, revision, slot: draft.freeSlot };
  draft.status.phase = 'Progressing';
  draft.status.failedChecks = 0;
  draft.status.checks = [];
  delete draft.status.verdict;
  delete draft.status.nextStepTime;
  draft.status.deadline = firstDeadline(draft, revision);
  const what = `${draft.observed.name} releasing revision ${revision}, ${describeCommit(provenance)}`;
  tell(draft, 'Started', 'info', known ? `${what}. It had been stable before and needs no analysis.` : what, draft.status.canary, draft.status.run.id);
  draft.event('Normal', 'Started', what);
  warnOfMutableImages(draft);
  return true;
}

/** Waiting for the free slot's last callers is not a lack of progress. */
function firstDeadline(draft: Draft, revision: string): string {
  const slot = draft.slot(draft.freeSlot);
  const occupied = slot.revision !== undefined && slot.revision !== revision && (slot.replicas > 0 || slot.pods > 0);
  return occupied ? iso(draft.now + draft.drainMs + draft.spec.progressDeadlineSeconds * 1000) : progressDeadline(draft);
}

/** Carry the run on by as much as the world allows. */
export function advance(draft: Draft): void {
  const { run, canary } = draft.status;
  if (!run || !canary) return;
  if (run.ending) return takeBack(draft);
  if (draft.status.phase === 'Finalising') return finalise(draft);
  noteWeight(draft);
  judgeAfterAll(draft);
  if (draft.replicas === 0) return rest(draft);
  if (failing(draft)) return takeBack(draft);
  if (!startPods(draft)) return;
  if (!draft.status.step && !gatePasses(draft, 'pre-rollout', 'pre-rollout')) return;
  if (run.skipAnalysis || run.promote || draft.status.phase === 'Promoting') return promote(draft);
  step(draft);
}

/** Whoever takes `skipAnalysis` back before the version has any traffic wants it judged. */
function judgeAfterAll({ spec, status, weights }: Draft): void {
  const { run, canary, knownGood = [] } = status;
  if (!run?.skipAnalysis || !canary || spec.skipAnalysis || knownGood.includes(canary.revision) || (weights?.[canary.slot] ?? 0) > 0) return;
  delete run.skipAnalysis;
  delete run.firstWeightAt;
  if (status.phase === 'Promoting' && !run.promote) status.phase = 'Progressing';
}

/** Nobody wants any pods: nothing can be judged, and nothing is to blame. */
function rest(draft: Draft): void {
  delete draft.status.deadline;
  draft.wait('NoReplicas', 'the number of replicas is 0; the release goes on when it rises');
}

/** Time in which a pod that is ready and a commit that takes another back are noticed, in milliseconds. */
const MIN_WATCH_MS = 10_000;

/** A copy that catches up and shows nothing new tells nobody, in milliseconds. */
const BLIND_MS = 1_000;

/** Reasons to take the canary back that need no metrics: its pods, its deadline. */
function failing(draft: Draft): boolean {
  const { canary, deadline } = draft.status;
  if (!canary) return false;
  const slot = draft.slot(canary.slot);
  const words = slot.failure ? `: ${slot.failure}` : '';
  // Traffic that somebody else led to pods that are only starting says nothing about them.
  const given = draft.status.step !== undefined || draft.status.phase === 'Promoting';
  if (draft.observed.blind) draft.wakeAt(draft.now + BLIND_MS);
  else if (slot.revision === canary.revision && slot.edited && slot.pods > 0)
    conclude(draft, 'Failed', 'SlotEdited', `what was analysed is not what would be promoted: ${slot.edited}`);
  else if (given && ((draft.weights?.[canary.slot] ?? 0) > 0 || draft.extras) && slot.endpoints === 0 && draft.slot(otherSlot(canary.slot)).endpoints > 0)
    conclude(draft, 'Failed', 'PodsFailing', `no pod of the canary is ready any more${words}`);
  else if (slot.revision === canary.revision && slot.exceeded && slot.ready < slot.replicas)
    conclude(draft, 'Failed', 'PodsFailing', `${slot.ready} of ${slot.replicas} pods became ready before the Deployment's own deadline${words}`);
  const due = enforcedAt(draft, ms(deadline));
  draft.wakeAt(due);
  if (due !== undefined && draft.now >= due) {
    const seconds = draft.spec.progressDeadlineSeconds;
    if (slot.ready < slot.replicas) conclude(draft, 'Failed', 'PodsFailing', `${slot.ready} of ${slot.replicas} pods became ready within ${seconds} s${words}`);
    else conclude(draft, 'Failed', 'ProgressDeadlineExceeded', `no progress within ${seconds} s; last: ${lastWords(draft)}`);
  }
  return draft.status.run?.ending !== undefined;
}

/** After a while in which nobody looked, a run has the time of one check to show progress: it is not to blame for that while. */
function enforcedAt(draft: Draft, deadline: number | undefined): number | undefined {
  const { watchedSince } = draft.observed;
  if (deadline === undefined || watchedSince === undefined) return deadline;
  return Math.max(deadline, watchedSince + Math.max(MIN_WATCH_MS, intervalMs(draft)));
}

const lastWords = (draft: Draft): string =>
  draft.observed.writeError ?? draft.status.checks?.[0]?.message ?? draft.status.conditions?.find((item) => item.type === 'Progressing')?.message ?? 'nothing was seen';

/** Pods that the canary has in the step in force, or will have in the first one; all of them where there are no steps. */
function podsOfStep(draft: Draft): number {
  const { run, phase, step: current } = draft.status;
  if (run?.skipAnalysis || run?.promote || phase === 'Promoting') return draft.replicas;
  const plan = compilePlan(draft.spec.analysis);
  return replicasOf(current ? rulesOf(draft, current, plan) : plan[0], draft.replicas);
}

/** True once the slot holds the revision and enough of its pods are ready to go on. */
function startPods(draft: Draft): boolean {
  const { canary } = draft.status;
  if (!canary) return false;
  if (!draft.status.step) draft.status.deadline ??= progressDeadline(draft);
  const wanted = podsOfStep(draft);
  const filled = prepareSlot(draft, canary.slot, canary.revision, wanted);
  const slot = draft.slot(canary.slot);
  if (!filled) {
    draft.wait('StartingPods', `slot ${canary.slot} is being filled with revision ${canary.revision}`);
    return false;
  }
  const goal = readyGoal(wanted, draft.spec.analysis.canaryReadyThreshold);
  if (!draft.status.step && slot.ready < goal) {
    draft.wait('StartingPods', `${slot.ready} of ${goal} pods of revision ${canary.revision} are ready${slot.failure ? `: ${slot.failure}` : ''}`);
    return false;
  }
  return true;
}
