import type { Draft } from './draft.js';
import { close, conclude } from './endings.js';
import { hasSubsets, SLOTS } from './names.js';
import type { Effect } from './observation.js';
import { giveRoutesBack, leadServicesToStable, leadToStable, takeBack } from './traffic.js';
import { empty } from './slots.js';
import { iso, ms } from './time.js';

/**
 * The Canary is being deleted: give the target its pods, then the routes, then the Service back, and only then remove what
 * Sluice made. The finalizer ends even if the target is gone.
 */
export function release(draft: Draft): void {
  const { status, observed } = draft;
  if (!status.stable || nothingLeft(draft)) return leave(draft);
  if (status.run) {
    conclude(draft, 'Cancelled', 'CanaryDeleted', 'the Canary was deleted');
    // Once the routes are gone there is nothing to take back.
    if (draft.weights) bringBack(draft);
    else close(draft);
    if (status.run) return draft.wait('TakingBack', 'the run ends before the target is given back');
  }
  if (status.phase !== 'Terminating') announce(draft);
  status.phase = 'Terminating';
  // Callers may be handed over from the stable slot only.
  if (!emptied(draft, draft.freeSlot)) return;
  // Until the routes are given back they are defended as ever.
  if (draft.weights !== undefined && !status.releasing?.routesReturnedAt) leadToStable(draft);
  if (!targetServes(draft) || !routesReturned(draft) || !servicesMoved(draft) || !slotsGone(draft)) return;
  draft.do({ type: 'releaseRoutes' }, ...detach(draft), { type: 'deleteSlots' }, { type: 'releaseServices' }, { type: 'unmarkTarget' });
  if (!told(draft)) return;
  draft.event('Normal', 'Released', `${observed.name} given back: ${draft.spec.targetRef.kind} ${draft.spec.targetRef.name} serves by itself`);
  draft.do({ type: 'removeFinalizer' });
}

/** The slots go on serving until the target's own pods can: a template that never starts keeps the Canary, and says so. */
function unlikeStable(draft: Draft): string {
  const { stable } = draft.status;
  const { desired } = draft.observed;
  if (!desired || !stable || desired.revision === stable.revision) return '';
  return `; they are of revision ${desired.revision}, not of the stable ${stable.revision}, which serves meanwhile: if they cannot start, apply a template that can`;
}

/** Neither the target nor a slot is there any more, as in a namespace that is being deleted: there is nobody to hand over to, or from. */
const nothingLeft = ({ observed }: Draft): boolean => observed.target === undefined && SLOTS.every((name) => observed.slots[name].revision === undefined);

function leave(draft: Draft): void {
  conclude(draft, 'Cancelled', 'CanaryDeleted', 'the Canary was deleted');
  close(draft);
  draft.do({ type: 'releaseRoutes' }, { type: 'releaseServices' }, ...detach(draft), { type: 'deleteSlots' });
  if (told(draft)) draft.do({ type: 'removeFinalizer' });
}

/** Somebody may have asked for more pods since: traffic returns when the stable version has them, and nobody else gives it any. */
function bringBack(draft: Draft): void {
  const { stable } = draft.status;
  const slot = draft.slot(draft.stableSlot);
  if (slot.revision === stable?.revision && slot.replicas < draft.replicas)
    draft.do({ type: 'scaleSlot', slot: draft.stableSlot, replicas: draft.replicas, why: 'the stable version takes all traffic back' });
  takeBack(draft);
}

/** How long a receiver or a repository that is away keeps a Canary from going, in milliseconds: what they were not told by then goes with it. */
const TELL_MS = 60_000;

/** Everything is handed over; what is left is to tell how the last run ended. */
function told(draft: Draft): boolean {
  const { messages = [], writeBacks = [] } = draft.status;
  const steps = (draft.status.releasing ??= {});
  const since = (steps.handedOverAt ??= iso(draft.now));
  const waiting = [
    ...messages.map(({ event, to }) => `the message ${event} to ${to.join(', ')}`),
    ...writeBacks.filter(({ state }) => state === 'Pending').map(({ kind }) => `the ${kind} in Git`),
  ];
  const until = ms(since) + TELL_MS;
  if (waiting.length === 0 || draft.now >= until) return true;
  draft.wakeAt(until);
  draft.status.phase = 'Terminating';
  draft.wait('Telling', `everything is given back; until ${iso(until)} the Canary waits for ${waiting.join(' and ')}`);
  return false;
}

/** Budgets and autoscalers speak of the target again. */
const detach = ({ observed }: Draft): Effect[] => (observed.attached === false ? [{ type: 'attach' }] : []);

function announce(draft: Draft): void {
  const { stable } = draft.status;
  const { desired, name } = draft.observed;
  if (desired && desired.revision !== stable?.revision)
    draft.event('Warning', 'Released', `${name} gives the target back with revision ${desired.revision} of Git, which is not the stable ${stable?.revision}: it was not analysed`);
}

function emptied(draft: Draft, name: 'blue' | 'green'): boolean {
  const slot = draft.slot(name);
  if (slot.revision === undefined || (slot.replicas === 0 && slot.pods === 0)) return true;
  // Somebody took the routes to the subsets away: callers go by the Service, which selects both slots, until it selects the target.
  if (hasSubsets(draft.spec) && draft.weights === undefined) return true;
  // Somebody may have changed the routes or a Service meanwhile: then callers would never leave it.
  if (!draft.drained(name)) (draft.weights ? leadToStable : leadServicesToStable)(draft);
  empty(draft, name);
  draft.wait('EmptyingSlot', `slot ${name} is emptied first`);
  return false;
}

/** The bare target takes over with as many pods as serve now. */
function targetServes(draft: Draft): boolean {
  const steps = (draft.status.releasing ??= {});
  const { target } = draft.observed;
  if (!target) return true;
  const replicas = Math.max(draft.replicas, target.userReplicas);
  if (target.overlaid || target.replicas < replicas) draft.do({ type: 'restoreTarget', replicas });
  const serving = SLOTS.some((name) => draft.slot(name).endpoints > 0);
  // Callers of slots that serve nobody have nothing to lose: the first pod will do.
  if (!steps.targetReadyAt && target.readyReplicas < (serving ? replicas : Math.min(1, replicas))) {
    draft.wait('TakingBack', `${target.readyReplicas} of ${replicas} pods of ${draft.spec.targetRef.kind} ${draft.spec.targetRef.name} are ready${unlikeStable(draft)}`);
    return false;
  }
  steps.targetReadyAt ??= iso(draft.now);
  return !serving || passed(draft, steps.targetReadyAt);
}

function routesReturned(draft: Draft): boolean {
  const steps = (draft.status.releasing ??= {});
  if (draft.weights !== undefined && !steps.routesReturnedAt) {
    giveRoutesBack(draft);
    return false;
  }
  steps.routesReturnedAt ??= iso(draft.now);
  return passed(draft, steps.routesReturnedAt);
}

/**
 * The labels that the user's Services select are on the slots' pods too. So callers are led to the pods of the target alone, and
 * only when proxies know that, the slots' pods go: nobody calls a pod that is being stopped.
 */
function servicesMoved(draft: Draft): boolean {
  const steps = (draft.status.releasing ??= {});
  draft.do(...detach(draft));
  if (SLOTS.every((name) => draft.slot(name).pods === 0)) return true;
  if (!(draft.observed.target ? ledToTarget(draft) : ledAway(draft))) return false;
  steps.serviceReturnedAt ??= iso(draft.now);
  return passed(draft, steps.serviceReturnedAt, draft.serviceDrainMs);
}

/** All ready pods of the target are marked, and Services select by the mark. The clock starts again when somebody undoes that. */
function ledToTarget(draft: Draft): boolean {
  if (draft.observed.service.selects === 'none') return true;
  const { readyReplicas, marked = 0 } = draft.observed.target ?? { readyReplicas: 0 };
  const unmarked = marked < readyReplicas;
  if (unmarked) draft.do({ type: 'markTarget' });
  if (draft.serviceSelects('marked')) return true;
  delete draft.status.releasing?.serviceReturnedAt;
  if (!unmarked && marked > 0) draft.do({ type: 'selectTarget' });
  else draft.wait('TakingBack', `${marked} of ${readyReplicas} ready pods of ${draft.spec.targetRef.kind} ${draft.spec.targetRef.name} are marked for the Services`);
  return false;
}

/** There is nobody to hand callers over to. */
function ledAway(draft: Draft): boolean {
  if (draft.serviceSelects('target') || draft.status.releasing?.serviceReturnedAt) return true;
  draft.do({ type: 'releaseServices' });
  return false;
}

function slotsGone(draft: Draft): boolean {
  if (SLOTS.every((name) => draft.slot(name).revision === undefined && draft.slot(name).pods === 0)) return true;
  if (SLOTS.some((name) => draft.slot(name).revision !== undefined)) draft.do({ type: 'deleteSlots' });
  draft.wait('Draining', 'the pods of the slots finish');
  return false;
}

function passed(draft: Draft, since: string, drainMs = draft.drainMs): boolean {
  const until = ms(since) + drainMs;
  draft.wakeAt(until);
  if (draft.now >= until) return true;
  draft.wait('Draining', 'proxies are given time to learn of the change');
  return false;
}
