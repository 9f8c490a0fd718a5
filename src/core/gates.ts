import { durationMs, type WebhookSpec } from '../api/index.js';
import type { Draft } from './draft.js';
import { iso, ms } from './time.js';

/** How soon a check is made again when there was nothing to judge, in milliseconds; never later than the next regular check. */
const RETRY_EVIDENCE_MS = 5_000;
/** An interval of `0s` would leave no time in which anything could be measured. */
const SHORTEST_INTERVAL_MS = 100;
const MAX_GATES = 20;

export const hooksOf = (draft: Draft, type: WebhookSpec['type']): WebhookSpec[] => (draft.spec.analysis.webhooks ?? []).filter((hook) => hook.type === type);
export const progressDeadline = (draft: Draft): string => iso(draft.now + draft.spec.progressDeadlineSeconds * 1000);
export const intervalMs = (draft: Draft): number => Math.max(SHORTEST_INTERVAL_MS, durationMs(draft.spec.analysis.interval));

/** Look again in `after` milliseconds. */
export function lookAgain(draft: Draft, after: number): void {
  draft.status.nextStepTime = iso(draft.now + after);
  draft.wakeAt(ms(draft.status.nextStepTime));
}

/** What was missing may come any moment. */
export const postpone = (draft: Draft): void => lookAgain(draft, Math.min(RETRY_EVIDENCE_MS, intervalMs(draft)));

/**
 * Ask the webhooks of a kind once; true when all agreed. A refusal is asked again after a while. `gate` names the occasion, so
 * that what agreed is not asked twice for it.
 */
export function gatePasses(draft: Draft, type: WebhookSpec['type'], gate: string): boolean {
  const hooks = hooksOf(draft, type);
  const passed = draft.status.run?.gates ?? [];
  if (hooks.length === 0 || passed.includes(gate)) return true;
  const due = ms(draft.status.nextStepTime);
  if (due !== undefined && due > draft.now) {
    draft.wakeAt(due);
    draft.wait('WaitingForWebhook', `webhook ${hooks[0]?.name} (${type}) has not agreed; it is asked again at ${iso(due)}`);
    return false;
  }
  const answers = draft.observed.hooks ?? {};
  const unasked = hooks.filter((hook) => answers[hook.name] === undefined);
  if (unasked.length > 0) {
    draft.needs.hooks.push(...unasked);
    return false;
  }
  const refused = hooks.find((hook) => answers[hook.name]?.ok !== true);
  if (refused) {
    draft.wait('WaitingForWebhook', `webhook ${refused.name} (${type}) has not agreed: ${answers[refused.name]?.message ?? 'no answer'}`);
    postpone(draft);
    return false;
  }
  if (draft.status.run) draft.status.run.gates = [...passed, gate].slice(-MAX_GATES);
  return true;
}

/** An autoscaler that cannot read its metrics would not bring the pods that more traffic needs. */
export function autoscalerBlind(draft: Draft): boolean {
  const { autoscaler } = draft.observed;
  if (autoscaler?.inactive === undefined) return false;
  draft.wait('AutoscalerInactive', `${autoscaler.name} cannot scale (ScalingActive is False: ${autoscaler.inactive}); the weight stays until it can`);
  return true;
}

/** Holds that people and the spec put on a run. The deadline does not run meanwhile. */
export function held(draft: Draft): boolean {
  const { run } = draft.status;
  if (run?.held) {
    draft.wait('HeldByUser', `held by ${run.held.by}${run.held.reason ? `: ${run.held.reason}` : ''}; sluice resume ${draft.observed.name} lets it go on`);
    delete draft.status.deadline;
    return true;
  }
  if (draft.spec.suspend) {
    draft.wait('Suspended', 'spec.suspend is true; set it to false to let the run go on');
    delete draft.status.deadline;
    return true;
  }
  if (draft.status.phase !== 'WaitingPromotion') draft.status.deadline ??= progressDeadline(draft);
  return false;
}
