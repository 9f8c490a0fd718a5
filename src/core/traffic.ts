import { needed, refusal, towards } from './capacity.js';
import type { Draft } from './draft.js';
import { close } from './endings.js';
import type { Weights } from './evidence.js';
import { otherSlot } from './names.js';
import { iso } from './time.js';

const MAX_WEIGHTS = 60;

/** What the canary has, from the routes as they are. */
export function noteWeight(draft: Draft): void {
  const { canary } = draft.status;
  if (canary) recordWeight(draft, draft.weights?.[canary.slot] ?? 0);
}

function recordWeight(draft: Draft, weight: number): void {
  const { run, canary } = draft.status;
  if (!run || !canary) return;
  if (weight > 0) {
    run.firstWeightAt ??= iso(draft.now);
    // With the intent, not with the next look: a drain must never be counted from before this weight.
    delete draft.record(canary.slot).unroutedSince;
  }
  if (weight > (run.weights.at(-1) ?? 0)) run.weights = [...run.weights, weight].slice(-MAX_WEIGHTS);
  draft.status.canaryWeight = weight;
}

/** With no ready endpoint behind stable, the only weights that may be written send everything to the canary. */
export const effectiveWeight = (draft: Draft, weight: number): number => (draft.slot(draft.stableSlot).endpoints === 0 ? 100 : weight);

export const inForce = (draft: Draft, weight: number): boolean =>
  draft.weights?.[draft.status.canary?.slot ?? 'green'] === effectiveWeight(draft, weight) && draft.observed.routes.consistent;

/** Write weights when the ready pods cover them; true when they are on their way. */
export function shift(draft: Draft, weight: number): boolean {
  const { canary } = draft.status;
  if (!canary) return false;
  const weights = { [canary.slot]: weight, [otherSlot(canary.slot)]: 100 - weight } as Weights;
  const why = refusal(draft, weights);
  if (why !== undefined) {
    const need = needed(draft.replicas, weight);
    draft.wait('ScalingUp', `weight ${weight} % waits: ${why} (${need} of ${draft.replicas} pods)`);
    return false;
  }
  draft.do({ type: 'setWeights', weights });
  recordWeight(draft, weight);
  return true;
}

/** Traffic returns to stable, as far as stable can carry it; then the run is closed and told. */
export function takeBack(draft: Draft): void {
  const { status, observed } = draft;
  const { canary, run } = status;
  if (!canary || !run?.ending) return;
  if (status.phase === 'Finalising') status.phase = 'Progressing';
  const stable = otherSlot(canary.slot);
  const words = `traffic returns to the stable revision: ${run.ending.message}`;
  noteWeight(draft);
  if (draft.weights?.[stable] === 100 && observed.routes.consistent) {
    if (observed.service.selects === stable) {
      recordReturn(draft, canary.slot);
      return close(draft);
    }
    if (draft.slot(stable).endpoints === 0) return draft.wait('StableNotReady', `${words}; no pod of the stable revision is ready, so the Service stays as it is`);
    draft.do({ type: 'selectService', slots: [stable] });
    return draft.wait('TakingBack', words);
  }
  const weights = towards(draft, stable);
  if (!weights) return draft.wait('StableNotReady', `${words}; no pod of the stable revision is ready, so the weights stay as they are`);
  if (weights[stable] !== draft.weights?.[stable] || !observed.routes.consistent) draft.do({ type: 'setWeights', weights });
  // Callers outside the mesh need not wait for the routes.
  if (weights[stable] === 100 && observed.service.selects !== stable) draft.do({ type: 'selectService', slots: [stable] });
  draft.wait('TakingBack', weights[stable] < 100 ? `${words}; ${weights[stable]} % until more of its pods are ready` : words);
}

function recordReturn(draft: Draft, slot: 'blue' | 'green'): void {
  draft.record(slot).unroutedSince ??= iso(draft.now);
  delete draft.record(slot).warmUntil;
}
