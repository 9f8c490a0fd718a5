import type { Draft } from './draft.js';
import { close, conclude } from './endings.js';
import { takeBack } from './traffic.js';
import { empty } from './slots.js';
import { iso, ms } from './time.js';

/**
 * The Canary is being deleted: give the target its pods, then the routes, then the Service back, and only then remove what
 * Sluice made. The finalizer ends even if the target is gone.
 */
export function release(draft: Draft): void {
  const { status, observed } = draft;
  if (!status.stable) return draft.do({ type: 'releaseRoutes' }, { type: 'releaseServices' }, { type: 'deleteSlots' }, { type: 'removeFinalizer' });
  if (status.run) {
    conclude(draft, 'Cancelled', 'CanaryDeleted', 'the Canary was deleted');
    takeBack(draft);
    if (status.run) return draft.wait('TakingBack', 'the run ends before the target is given back');
    close(draft);
  }
  if (status.phase !== 'Terminating') announce(draft);
  status.phase = 'Terminating';
  // The Service that is given back selects by the user's labels only: nothing but stable and target may match it.
  if (!emptied(draft, draft.freeSlot)) return;
  if (targetServes(draft) && routesReturned(draft) && servicesReturned(draft)) {
    draft.event('Normal', 'Released', `${observed.name} given back: ${draft.spec.targetRef.kind} ${draft.spec.targetRef.name} serves by itself`);
    draft.do({ type: 'releaseRoutes' }, { type: 'deleteSlots' }, { type: 'removeFinalizer' });
  }
}

function announce(draft: Draft): void {
  const { stable } = draft.status;
  const { desired, name } = draft.observed;
  if (desired && desired.revision !== stable?.revision)
    draft.event('Warning', 'Released', `${name} gives the target back with revision ${desired.revision} of Git, which is not the stable ${stable?.revision}: it was not analysed`);
}

function emptied(draft: Draft, name: 'blue' | 'green'): boolean {
  const slot = draft.slot(name);
  if (slot.revision === undefined || (slot.replicas === 0 && slot.pods === 0)) return true;
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
  if (!steps.targetReadyAt && target.readyReplicas < replicas) {
    draft.wait('TakingBack', `${target.readyReplicas} of ${replicas} pods of ${draft.spec.targetRef.kind} ${draft.spec.targetRef.name} are ready`);
    return false;
  }
  steps.targetReadyAt ??= iso(draft.now);
  return passed(draft, steps.targetReadyAt);
}

function routesReturned(draft: Draft): boolean {
  const steps = (draft.status.releasing ??= {});
  if (draft.weights !== undefined && !steps.routesReturnedAt) {
    draft.do({ type: 'releaseRoutes' });
    return false;
  }
  steps.routesReturnedAt ??= iso(draft.now);
  return passed(draft, steps.routesReturnedAt);
}

function servicesReturned(draft: Draft): boolean {
  const steps = (draft.status.releasing ??= {});
  if (draft.observed.service.selects !== 'target' && !steps.serviceReturnedAt) {
    draft.do({ type: 'releaseServices' });
    return false;
  }
  steps.serviceReturnedAt ??= iso(draft.now);
  return passed(draft, steps.serviceReturnedAt);
}

function passed(draft: Draft, since: string): boolean {
  const until = ms(since) + draft.drainMs;
  draft.wakeAt(until);
  if (draft.now >= until) return true;
  draft.wait('Draining', 'proxies are given time to learn of the change');
  return false;
}
