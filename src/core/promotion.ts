import type { Draft } from './draft.js';
import { close, conclude, provenanceOf } from './endings.js';
import { held, progressDeadline } from './gates.js';
import { otherSlot } from './names.js';
import { keepWarm, prepareSlot } from './slots.js';
import { iso, ms } from './time.js';
import { goalOf, inForce, noteWeight, rulesOf, shift, shiftTo, takeBack } from './traffic.js';

/** All traffic to the canary, capacity first. */
export function promote(draft: Draft): void {
  const { status } = draft;
  const { canary } = status;
  if (!canary) return;
  if (held(draft)) return restoreStep(draft);
  if (status.phase !== 'Promoting') {
    status.phase = 'Promoting';
    status.deadline = progressDeadline(draft);
    delete status.nextStepTime;
  }
  if (draft.plainly(canary.slot, 100)) {
    status.phase = 'Finalising';
    delete status.deadline;
    delete status.serviceSince;
    return finalise(draft);
  }
  if (prepareSlot(draft, canary.slot, canary.revision, draft.replicas) && shift(draft, 100)) return draft.wait('PromotingTraffic', `all traffic moves to revision ${canary.revision}`);
  restoreStep(draft);
}

/** Until the last shift may be written, the weight of the last step stays in force, whoever changed it. */
function restoreStep(draft: Draft): void {
  const { step, canary } = draft.status;
  if (!step || !canary || draft.slot(draft.stableSlot).endpoints === 0) return;
  const goal = goalOf(draft, rulesOf(draft, step));
  if (!inForce(draft, goal)) shiftTo(draft, goal);
}

/**
 * The routes send everything to the canary. Callers outside the mesh follow: their Service selects both slots, and after a drain
 * the new one only. Then the slots change roles; nothing is rebuilt.
 */
export function finalise(draft: Draft): void {
  const { status } = draft;
  const { canary, run } = status;
  if (!canary || !run) return;
  noteWeight(draft);
  const slot = draft.slot(canary.slot);
  if (slot.endpoints === 0) return loseEndpoints(draft);
  // An autoscaler may want more pods while the drain runs.
  prepareSlot(draft, canary.slot, canary.revision, draft.replicas);
  if (!draft.plainly(canary.slot, 100) && !shift(draft, 100)) return;
  const narrowed = draft.serviceSelects(canary.slot) && status.serviceSince !== undefined;
  if (!draft.serviceSelects('both') && !narrowed) {
    // The clock starts when the write is seen, and again when it turns out not to be in force: a write may take its time.
    delete status.serviceSince;
    draft.do({ type: 'selectService', slots: ['blue', 'green'] });
    return draft.wait('Draining', 'callers outside the mesh are led to both versions');
  }
  status.serviceSince ??= iso(draft.now);
  const drainedAt = (ms(status.serviceSince) ?? draft.now) + draft.serviceDrainMs;
  draft.wakeAt(drainedAt);
  if (draft.now < drainedAt) return draft.wait('Draining', `all traffic is at revision ${canary.revision}; the old version finishes its requests for ${draft.spec.revisions.drainFor}`);
  if (!draft.serviceSelects(canary.slot)) {
    draft.do({ type: 'selectService', slots: [canary.slot] });
    return draft.wait('Draining', 'callers outside the mesh are given the new version');
  }
  if (draft.weights?.[canary.slot] === 100) succeed(draft);
}

function loseEndpoints(draft: Draft): void {
  const { canary } = draft.status;
  if (!canary) return;
  const slot = draft.slot(canary.slot);
  const words = `no pod of the promoted revision is ready any more${slot.failure ? `: ${slot.failure}` : ''}`;
  // With nobody ready anywhere, nothing that could be written would help anybody.
  if (draft.slot(otherSlot(canary.slot)).endpoints === 0) return draft.wait('NoReadyEndpoints', words);
  conclude(draft, 'Failed', 'PodsFailing', words);
  takeBack(draft);
}

function succeed(draft: Draft): void {
  const { status } = draft;
  const { canary, run } = status;
  if (!canary || !run) return;
  const reason = run.promote ? 'PromotedByUser' : run.skipAnalysis ? (status.knownGood?.includes(canary.revision) ? 'KnownGood' : 'AnalysisSkipped') : 'Promoted';
  const checks = status.checks ?? [];
  const newest = checks.filter((item, index) => checks.findIndex(({ metric }) => metric === item.metric) === index);
  const evidence = newest.filter((item) => item.verdict === 'Pass' && item.value !== undefined).slice(0, 3);
  const words = evidence.length > 0 ? `Last checks: ${evidence.map((item) => item.message).join('; ')}` : 'No metric was judged';
  conclude(draft, 'Succeeded', reason, words, run.promote);
  const old = status.stable;
  status.knownGood = [canary.revision, ...(status.knownGood ?? []).filter((known) => known !== canary.revision)].slice(0, draft.spec.revisions.history);
  if (old) keepWarm(draft, old.slot);
  const stable = { ...provenanceOf(canary), revision: canary.revision, slot: canary.slot };
  close(draft);
  status.stable = stable;
  draft.do({ type: 'pruneRevisions', keep: status.knownGood });
}
