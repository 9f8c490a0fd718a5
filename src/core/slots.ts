import { durationMs, type SlotName } from '../api/index.js';
import type { Draft } from './draft.js';
import { hasSubsets, SLOTS } from './names.js';
import { iso, ms } from './time.js';

/** True when the Services for callers outside the mesh select pods of the slot. */
function selected(draft: Draft, name: SlotName): boolean {
  const { selects } = draft.observed.service;
  // With subsets one Service always selects both slots, and its callers go by the routes, where there are any.
  if (hasSubsets(draft.spec) && draft.weights === undefined && selects !== 'target' && selects !== 'marked' && selects !== 'none') return true;
  return selects === undefined || selects === name || selects === 'both';
}

/** Note what the cluster shows of each slot: since when it is ready (for adoption), since when nothing routes to it. */
export function recordSlots(draft: Draft): void {
  for (const name of SLOTS) {
    const slot = draft.slot(name);
    const record = draft.record(name);
    // A pod that proxies cannot be led to yet is not ready for them.
    if (draft.status.adoptedAt !== undefined || slot.ready === 0 || draft.observed.routes.prepared === false) delete record.readySince;
    else if (slot.replicas > 0 && slot.ready >= slot.replicas) record.readySince ??= iso(draft.now);
    if (!slot.control?.endpoints) delete record.controlSince;
    // Routes that are as they should be have the DestinationRule of its host with them.
    else if (draft.observed.routes.consistent) record.controlSince ??= iso(draft.now);
    const reached = (draft.weights?.[name] ?? 0) > 0 || draft.observed.routes.reaches?.includes(name);
    const routed = reached || (draft.status.adoptedAt !== undefined && selected(draft, name));
    if (routed) delete record.unroutedSince;
    else record.unroutedSince ??= iso(draft.now);
  }
}

/**
 * Bring `name` to hold `revision` with `replicas` pods. A slot takes another revision only while it has no weight, its drain has
 * passed and it runs no pods; one that somebody edited holds another revision, whatever its label says. Returns true once its
 * Deployment holds the revision and asks for the pods.
 */
export function prepareSlot(draft: Draft, name: SlotName, revision: string, replicas: number): boolean {
  const slot = draft.slot(name);
  if (slot.revision === revision && slot.edited === undefined) {
    // Pods that are on their way out, and not known to be, would be taken for ready ones.
    const leaving = slot.replicas === 0 && slot.pods > 0;
    if (slot.replicas < replicas && !leaving) draft.do({ type: 'scaleSlot', slot: name, replicas, why: `${replicas} pods for revision ${revision}` });
    return slot.replicas >= replicas;
  }
  if (slot.revision !== undefined && (slot.replicas > 0 || slot.pods > 0)) {
    empty(draft, name);
    return false;
  }
  if ((draft.weights?.[name] ?? 0) > 0 || draft.observed.routes.reaches?.includes(name)) return false;
  draft.do({ type: 'keepRevision', revision }, { type: 'fillSlot', slot: name, revision, replicas });
  return false;
}

/** Scale a slot to zero once nothing routes to it and its drain has passed. */
export function empty(draft: Draft, name: SlotName): void {
  const slot = draft.slot(name);
  delete draft.record(name).warmUntil;
  if (!draft.drained(name)) return draft.wait('EmptyingSlot', `slot ${name} still finishes requests; it is emptied ${draft.spec.revisions.drainFor} after its traffic ended`);
  if (slot.replicas > 0) draft.do({ type: 'scaleSlot', slot: name, replicas: 0, why: 'nothing routes to it any more' });
  if (slot.pods > 0) draft.wait('EmptyingSlot', `slot ${name} waits for ${slot.pods} pods of revision ${slot.revision ?? 'unknown'} to end`);
}

/**
 * `kubectl rollout restart` of the target is not a new version: the pods of the slot are replaced in place, by its Deployment's
 * own strategy. Pods that are younger have been restarted already.
 */
export function restart(draft: Draft, name: SlotName): void {
  const at = draft.observed.target?.restartedAt;
  const slot = draft.slot(name);
  if (at === undefined || at === slot.restartedAt || slot.edited !== undefined) return;
  const asked = Date.parse(at);
  if (Number.isNaN(asked) || slot.oldestPod === undefined || slot.oldestPod >= asked) return;
  draft.do({ type: 'restartSlot', slot: name, at });
  draft.event('Normal', 'Restarted', `${draft.observed.name}: the pods of slot ${name} are replaced one after another, as kubectl rollout restart asked at ${at}`);
}

/** Keep the free slot warm while it should be, then empty it. */
export function retire(draft: Draft, name: SlotName): void {
  const slot = draft.slot(name);
  if (slot.replicas === 0) return;
  const record = draft.record(name);
  const warmUntil = ms(record.warmUntil) ?? 0;
  draft.wakeAt(warmUntil);
  if (draft.now < warmUntil) return;
  if (!draft.drained(name)) return;
  draft.do({ type: 'scaleSlot', slot: name, replicas: 0, why: 'it is no longer kept warm' });
}

/** Leave a slot at full scale for `warmFor`, so that going back is one weight write. */
export function keepWarm(draft: Draft, name: SlotName): void {
  draft.record(name).warmUntil = iso(draft.now + Math.max(durationMs(draft.spec.revisions.warmFor), draft.observed.service.slow ? draft.serviceDrainMs : 0));
}
