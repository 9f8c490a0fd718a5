import type { SlotName } from '../api/index.js';
import type { Draft } from './draft.js';
import type { Weights } from './evidence.js';
import { otherSlot, SLOTS } from './names.js';

/** Ready pods that a share of the traffic needs: that share of what the whole needs, at least one. */
export const needed = (replicas: number, weight: number): number => (weight === 0 ? 0 : Math.max(1, Math.ceil((replicas * weight) / 100)));

/**
 * Why these weights must not be written now, or undefined. No destination without a ready endpoint gets traffic (truth 1), and a
 * share rises only when the ready pods cover it (truth 3).
 */
export function refusal(draft: Draft, weights: Weights): string | undefined {
  for (const name of SLOTS) {
    const weight = weights[name];
    if (weight === 0) continue;
    const slot = draft.slot(name);
    if (slot.endpoints === 0) return `slot ${name} has no ready endpoint`;
    const rises = weight > (draft.weights?.[name] ?? 0);
    const need = needed(draft.replicas, weight);
    // Whoever alone can answer gets everything: pods that have much to do are better than none.
    if (weight === 100 && draft.slot(otherSlot(name)).endpoints === 0) continue;
    if (rises && slot.ready < need) return `slot ${name} has ${slot.ready} of ${need} ready pods that ${weight} % of the traffic needs`;
  }
  return undefined;
}

/**
 * The weights nearest to "everything to `name`" that may be written now: the whole when it is covered or when the other side
 * serves nobody, else the share that is covered, and never less than it has.
 */
export function towards(draft: Draft, name: SlotName): Weights | undefined {
  const other = name === 'blue' ? 'green' : 'blue';
  const slot = draft.slot(name);
  if (slot.endpoints === 0) return undefined;
  const all = { [name]: 100, [other]: 0 } as Weights;
  if (draft.slot(other).endpoints === 0 || refusal(draft, all) === undefined) return all;
  const covered = Math.floor((100 * slot.ready) / Math.max(1, draft.replicas));
  // Whatever is missing stays where it is: the other side never gets more than it has.
  const rest = Math.min(draft.weights?.[other] ?? 0, 100 - covered, 100 - (draft.weights?.[name] ?? 0));
  const share = 100 - Math.max(0, rest);
  return { [name]: share, [other]: 100 - share } as Weights;
}

/** Ready pods that a slot has to have before a run advances, from a percentage; rounded up, at least one. */
export const readyGoal = (replicas: number, percent: number): number => Math.max(1, Math.ceil((replicas * percent) / 100));
