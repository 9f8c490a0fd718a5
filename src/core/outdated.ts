import type { SlotName } from '../api/index.js';
import { SLOTS } from './names.js';
import type { Effect, Observation } from './observation.js';

/** What a write to the routes or to a slot relies on. */
export type Traffic = Pick<Observation, 'slots' | 'routes'>;

/** True for effects that rely on it. */
export const isOfTraffic = (effect: Effect): boolean => effect.type === 'setWeights' || effect.type === 'scaleSlot' || followsRoutes(effect);

/** True for effects that take pods away, or lead other callers where the routes lead theirs: the routes are read from the server once more right before them. */
export const followsRoutes = (effect: Effect): boolean =>
  (effect.type === 'selectService' && effect.slots.length === 1) ||
  effect.type === 'fillSlot' || effect.type === 'overlayTarget' || effect.type === 'deleteSlots' || (effect.type === 'scaleSlot' && effect.replicas === 0);

/**
 * Why an effect must not be carried out as it was decided; undefined while it may. Between a decision and its effects the intent is
 * stored, and that may be long enough for pods to die and for somebody else to change the routes.
 */
export function outdated(effect: Effect, before: Traffic, now: Traffic): string | undefined {
  if (effect.type === 'setWeights') return SLOTS.map((slot) => uncovered(slot, effect.weights[slot], before, now) ?? (effect.extras?.match?.control && armLost(slot, before, now))).find((why) => why !== undefined);
  if (effect.type === 'fillSlot') return reached(effect.slot, before, now) ?? occupied(effect.slot, before, now);
  if (effect.type === 'scaleSlot' && effect.replicas === 0) return reached(effect.slot, before, now);
  if (effect.type === 'selectService') return effect.slots.map((slot) => left(slot, before, now)).find((why) => why !== undefined);
  if (effect.type === 'deleteSlots') return SLOTS.map((slot) => reached(slot, before, now)).find((why) => why !== undefined);
  if (effect.type === 'overlayTarget' && before.routes.weights && !now.routes.weights) return 'the routes lead to the target again';
  return undefined;
}

function uncovered(slot: SlotName, weight: number, before: Traffic, now: Traffic): string | undefined {
  if (before.slots[slot].endpoints === 0 && now.slots[slot].endpoints > 0) return `slot ${slot} has ready pods again`;
  if (weight <= (now.routes.weights?.[slot] ?? 0)) return undefined;
  const [was, is] = [before.slots[slot], now.slots[slot]];
  return is.endpoints < was.endpoints || is.ready < was.ready ? `slot ${slot} has ${is.ready} ready pods now, and had ${was.ready}` : undefined;
}

const armLost = (slot: SlotName, before: Traffic, now: Traffic): string | undefined =>
  before.slots[slot].control?.endpoints && !now.slots[slot].control?.endpoints ? `the control arm of slot ${slot} has no ready endpoint any more` : undefined;

function reached(slot: SlotName, before: Traffic, now: Traffic): string | undefined {
  const weight = now.routes.weights?.[slot] ?? 0;
  return weight > (before.routes.weights?.[slot] ?? 0) ? `the routes give slot ${slot} ${weight} % now` : undefined;
}

/** A former leader's late write may have filled it meanwhile. */
function occupied(slot: SlotName, before: Traffic, now: Traffic): string | undefined {
  const [was, is] = [before.slots[slot], now.slots[slot]];
  return is.revision !== was.revision || is.replicas > was.replicas || is.pods > was.pods ? `slot ${slot} holds revision ${is.revision ?? 'none'} with ${is.pods} pods now` : undefined;
}

function left(slot: SlotName, before: Traffic, now: Traffic): string | undefined {
  if (now.slots[slot].endpoints === 0 && before.slots[slot].endpoints > 0) return `slot ${slot} has no ready endpoint any more`;
  const weight = now.routes.weights?.[slot] ?? 0;
  return weight < (before.routes.weights?.[slot] ?? 0) ? `the routes give slot ${slot} only ${weight} % now` : undefined;
}
