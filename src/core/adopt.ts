import type { SlotName } from '../api/index.js';
import type { Draft } from './draft.js';
import { provenanceOf } from './endings.js';
import { describeCommit, tell, warnOfMutableImages } from './messages.js';
import type { DesiredRevision } from './observation.js';
import { SLOTS } from './names.js';
import { prepareSlot } from './slots.js';
import { iso, ms } from './time.js';
import { giveRoutesBack } from './traffic.js';

/**
 * First sight of a running target: fill a slot with what runs, wait until it is ready and the proxies know it, lead the routes
 * through it, then callers outside the mesh, then scale the target itself to zero. Nothing that serves stops before its
 * successor serves (trap I3).
 */
export function adopt(draft: Draft): void {
  const { status, observed } = draft;
  status.phase = 'Initializing';
  if (!status.stable && !choose(draft)) return;
  followTarget(draft, observed.desired);
  const { stable } = status;
  if (!stable) return;
  seed(draft);
  if (leadsToNobody(draft, stable.slot)) retreat(draft);
  draft.do({ type: 'createSlotServices' });
  // Before the slot has pods that an autoscaler of the target would count as its own.
  if (observed.attached === false && draft.spec.replicas !== undefined) draft.do({ type: 'attach', stable: stable.slot });
  if (observed.routes.prepared === false) draft.do({ type: 'prepareRoutes' });
  if (!prepareSlot(draft, stable.slot, stable.revision, draft.replicas)) return draft.wait('Adopting', `slot ${stable.slot} is being filled with revision ${stable.revision}`);
  // Routes that lead to the slot, or did so before somebody else reset them, wait for nothing but a pod.
  const led = draft.weights?.[stable.slot] === 100 || status.adoptedAt !== undefined;
  if (draft.replicas === 0 && (!led || draft.slot(stable.slot).endpoints === 0)) return draft.wait('NoReplicas', 'the target has 0 replicas; it is adopted when they rise');
  if ((led || slotReady(draft, stable.slot)) && routesLead(draft, stable.slot) && serviceLeads(draft, stable.slot)) finish(draft);
}

/** Something keeps the adoption from going on. Callers that it has led to the slot already stay with somebody who serves. */
export function keepServing(draft: Draft): void {
  const { stable, adoptedAt } = draft.status;
  if (!stable || adoptedAt === undefined) return;
  if (leadsToNobody(draft, stable.slot)) retreat(draft);
  else routesLead(draft, stable.slot);
}

function slotReady(draft: Draft, name: SlotName): boolean {
  const slot = draft.slot(name);
  if (slot.ready < draft.replicas) {
    draft.wait('Adopting', `${slot.ready} of ${draft.replicas} pods are ready in slot ${name}${slot.failure ? `: ${slot.failure}` : ''}`);
    return false;
  }
  return passed(draft, ms(draft.record(name).readySince), 'proxies are given time to learn of the new endpoints');
}

function routesLead(draft: Draft, name: SlotName): boolean {
  if (draft.slot(name).endpoints === 0) {
    draft.wait('Adopting', `no pod in slot ${name} is ready any more`);
    return false;
  }
  if (!draft.plainly(name, 100)) {
    draft.do({ type: 'setWeights', weights: { blue: name === 'blue' ? 100 : 0, green: name === 'green' ? 100 : 0 } });
    // The target goes on until the proxies had time to learn of this, too.
    delete draft.status.serviceSince;
    draft.wait('Adopting', 'routes are being led through the slots');
    return false;
  }
  draft.status.adoptedAt ??= iso(draft.now);
  return passed(draft, ms(draft.status.adoptedAt), 'proxies are given time to learn of the new routes');
}

const leadsToNobody = (draft: Draft, name: SlotName): boolean =>
  draft.slot(name).endpoints === 0 && (draft.status.adoptedAt !== undefined || (draft.weights?.[name] ?? 0) > 0);

/** Callers go back to the target while its pods still serve, and adoption begins again when those of the slot are ready. */
function retreat(draft: Draft): void {
  const { status, observed } = draft;
  if (!observed.target || observed.target.readyReplicas === 0) return;
  if (!draft.serviceSelects('target')) draft.do({ type: 'releaseServices' });
  if (draft.weights !== undefined) giveRoutesBack(draft);
  delete status.adoptedAt;
  delete status.serviceSince;
}

function serviceLeads(draft: Draft, name: SlotName): boolean {
  if (!draft.serviceSelects(name)) {
    draft.do({ type: 'selectService', slots: [name] });
    delete draft.status.serviceSince;
    draft.wait('Adopting', 'callers outside the mesh are led to the stable slot');
    return false;
  }
  draft.status.serviceSince ??= iso(draft.now);
  return passed(draft, ms(draft.status.serviceSince), 'callers outside the mesh are given time to learn of it', draft.serviceDrainMs);
}

/** True once `drainFor` has passed: the bound on how late a proxy learns. */
function passed(draft: Draft, since: number | undefined, meanwhile: string, drainMs = draft.drainMs): boolean {
  const until = (since ?? draft.now) + drainMs;
  draft.wakeAt(until);
  if (draft.now >= until) return true;
  draft.wait('Adopting', meanwhile);
  return false;
}

/** Which revision serves: what a slot already serves, else what the target holds. */
function choose(draft: Draft): boolean {
  const { status, observed } = draft;
  const serving = SLOTS.find((name) => (draft.weights?.[name] ?? 0) >= 50 && draft.slot(name).revision !== undefined);
  const revision = serving && draft.slot(serving).revision;
  if (serving && revision) {
    status.stable = { revision, slot: serving };
    return true;
  }
  if (!observed.desired) {
    draft.wait('Adopting', 'the revision of the target is not known yet');
    return false;
  }
  status.stable = { ...provenanceOf(observed.desired.provenance), revision: observed.desired.revision, slot: 'blue' };
  return true;
}

/**
 * While nothing is routed yet, the target's latest revision is the one to adopt. But callers of its Service may be with the pods
 * of the slot already, which carry the same labels: while the target's own are not ready, what the slot holds is adopted. So it is
 * when the routes lead there although we do not know it, because a leader before us was late.
 */
function followTarget(draft: Draft, desired: DesiredRevision | undefined): void {
  const { stable } = draft.status;
  if (!stable || draft.status.adoptedAt !== undefined) return;
  const slot = draft.slot(stable.slot);
  const routed = (draft.weights?.[stable.slot] ?? 0) > 0;
  const { readyReplicas = 0, replicas = 0 } = draft.observed.target ?? {};
  if (routed || (slot.endpoints > 0 && readyReplicas < Math.max(1, replicas))) {
    if (slot.endpoints > 0 && slot.revision !== undefined && slot.revision !== stable.revision) draft.status.stable = { revision: slot.revision, slot: stable.slot };
  } else if (desired && desired.revision !== stable.revision) draft.status.stable = { ...provenanceOf(desired.provenance), revision: desired.revision, slot: stable.slot };
}

/** The number of pods in force, remembered before anything is scaled (trap K7). */
export function seed(draft: Draft): void {
  if (draft.observed.nodes !== undefined) return;
  const { spec, status } = draft;
  const wished = wishedReplicas(draft);
  if (wished !== undefined && status.targetReplicas !== wished) {
    // The user wrote another number on the target: without an autoscaler, that is the number. It counts as taken over only
    // once the spec shows it, so that a crash between the two loses nothing.
    const takenOver = spec.replicas === wished || (status.targetReplicas === undefined && spec.replicas !== undefined);
    if (takenOver) status.targetReplicas = wished;
    else {
      status.seededReplicas = wished;
      draft.seeding = wished;
      return draft.do({ type: 'seedReplicas', replicas: wished });
    }
  }
  if (spec.replicas !== undefined) status.seededReplicas = draft.replicas;
  else if (status.seededReplicas !== undefined) draft.do({ type: 'seedReplicas', replicas: status.seededReplicas });
}

/** What the user last wrote on the target. A 0 without an overlay may be ours, its memo lost: that is nobody's wish. */
function wishedReplicas(draft: Draft): number | undefined {
  const { target } = draft.observed;
  if (!target || (target.userReplicas === 0 && !target.overlaid && draft.status.adoptedAt !== undefined)) return undefined;
  return target.userReplicas;
}

function finish(draft: Draft): void {
  const { status, observed } = draft;
  const { stable } = status;
  if (!stable) return;
  if (observed.target && (observed.target.replicas > 0 || !observed.target.overlaid)) draft.do({ type: 'overlayTarget' });
  status.phase = 'Initialized';
  delete status.serviceSince;
  status.knownGood = [stable.revision];
  const text = `${observed.name} adopted: revision ${stable.revision}, ${describeCommit(stable)}, serves from slot ${stable.slot}`;
  tell(draft, 'Initialized', 'info', text, stable);
  draft.event('Normal', 'Adopted', text);
  warnOfMutableImages(draft);
}
