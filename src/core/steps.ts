import type { Check } from '../api/index.js';
import { readyGoal } from './capacity.js';
import { isLatency, judge, remember, windows } from './checks.js';
import type { Draft } from './draft.js';
import { conclude } from './endings.js';
import { gatePasses, held, hooksOf, intervalMs, lookAgain, postpone, progressDeadline } from './gates.js';
import { tell } from './messages.js';
import { compilePlan, nextStepIndex, type PlanStep } from './plan.js';
import { promote } from './promotion.js';
import { clip } from './text.js';
import { iso, ms } from './time.js';
import { effectiveWeight, inForce, shift, takeBack } from './traffic.js';

type Step = NonNullable<Draft['status']['step']>;

/** The step in force, or the first one. */
export function step(draft: Draft): void {
  const plan = compilePlan(draft.spec.analysis);
  const { status } = draft;
  if (!status.step) {
    const first = plan[0];
    if (!first || !stableReady(draft) || !gatePasses(draft, 'confirm-traffic-increase', `confirm-traffic-increase/${first.weight}`)) return;
    goTo(draft, plan, 0);
  }
  const current = status.step;
  if (!current) return;
  const rules = rulesOf(draft, plan, current);
  if (current.startedAt === undefined || !inForce(draft, current.weight)) return enter(draft, current, rules);
  draft.wakeAt(ms(status.nextStepTime));
  if (held(draft)) return;
  const due = ms(status.nextStepTime) ?? draft.now;
  if (draft.now < due) return analysing(draft, current, due);
  const last = nextStepIndex(plan, current.weight) === undefined;
  if (check(draft, last) === 'Pass') leave(draft, plan, current, rules);
}

/** What the plan says of a step. By weight, not by index: the plan may have been edited since, and need not hold it any more. */
const rulesOf = (draft: Draft, plan: PlanStep[], current: Step): PlanStep =>
  plan.find((item) => item.weight === current.weight) ?? { weight: current.weight, holdMs: intervalMs(draft), approve: false };

const analysing = (draft: Draft, current: Step, due: number): void =>
  draft.wait('Analysing', `weight ${draft.status.canaryWeight} %, step ${current.index + 1} of ${current.of}; the next check is due at ${iso(due)}`);

function stableReady(draft: Draft): boolean {
  const slot = draft.slot(draft.stableSlot);
  // A dead stable version must not block its own fix.
  if (slot.endpoints === 0) return true;
  const goal = readyGoal(draft.replicas, draft.spec.analysis.primaryReadyThreshold);
  if (slot.ready >= goal) return true;
  draft.wait('StableNotReady', `${slot.ready} of ${goal} pods of the stable revision are ready`);
  return false;
}

/** A step may take its hold, and after it as long as the spec allows without progress. */
const stepDeadline = (draft: Draft, from: number, holdMs: number): number => from + holdMs + draft.spec.progressDeadlineSeconds * 1000;

/** Make a step the current one. Only this renews the deadline: passing a step is progress, writing its weight again is not. */
function goTo(draft: Draft, plan: PlanStep[], index: number): void {
  const next = plan[index];
  if (!next) return;
  draft.status.step = { index, of: plan.length, weight: next.weight };
  draft.status.deadline = iso(stepDeadline(draft, draft.now, next.holdMs));
  delete draft.status.nextStepTime;
}

/**
 * Write the step's weight, and start its clock. The clock starts again when the weight turns out not to be in force: because the
 * write failed, we died before it, or somebody reset it. So a step is never shorter than its hold, and never skipped.
 */
function enter(draft: Draft, current: Step, rules: PlanStep): void {
  const { status } = draft;
  const weight = effectiveWeight(draft, current.weight);
  const first = current.startedAt === undefined;
  if (first && held(draft)) return;
  delete current.startedAt;
  delete status.nextStepTime;
  if (!inForce(draft, current.weight) && !shift(draft, weight)) return;
  current.startedAt = iso(draft.now);
  lookAgain(draft, Math.min(Math.max(rules.holdMs, 1), intervalMs(draft)));
  if (first) draft.event('Normal', 'WeightSet', `${draft.observed.name} weight ${weight} %, step ${current.index + 1} of ${current.of}`);
  analysing(draft, current, ms(status.nextStepTime) ?? draft.now);
}

type Verdict = 'Pass' | 'Wait' | 'Fail';

/** Judge the step once, with all the metrics and rollout webhooks. On the last step even what still warms up has to be seen. */
function check(draft: Draft, last: boolean): Verdict {
  const { status, observed } = draft;
  const startedAt = ms(status.step?.startedAt) ?? draft.now;
  const all = windows(draft, startedAt);
  const wanted = all.filter((window) => window.from < window.to);
  const hooks = [...hooksOf(draft, 'rollout'), ...hooksOf(draft, 'rollback')];
  const unasked = hooks.filter((hook) => observed.hooks?.[hook.name] === undefined);
  const unmeasured = wanted.some((window) => !observed.measurements?.some((item) => item.metric === window.metric));
  if (unmeasured || unasked.length > 0) {
    if (unmeasured) draft.needs.metrics.push(...wanted);
    draft.needs.hooks.push(...unasked);
    return 'Wait';
  }
  const demanded = hooksOf(draft, 'rollback').find((hook) => observed.hooks?.[hook.name]?.ok);
  if (demanded) {
    conclude(draft, 'Failed', 'RolledBackByWebhook', `webhook ${demanded.name} asked to go back`);
    takeBack(draft);
    return 'Fail';
  }
  const checks = [...metricChecks(draft, wanted), ...hookChecks(draft)];
  const verdict = worst(checks);
  if (verdict !== 'Wait' || !sameWait(draft, checks)) remember(draft, checks);
  if (verdict === 'Fail') countFailure(draft, checks.filter((item) => item.verdict === 'Fail'));
  if (verdict === 'Wait') waitForEvidence(draft, checks);
  const cold = all.find((window) => window.from >= window.to && (last || !isLatency(window.metric)));
  if (verdict !== 'Pass' || !cold) return verdict;
  postpone(draft);
  draft.wait('NotEnoughData', `${cold.metric} counts from ${iso(cold.from)} on; the step waits for it`);
  return 'Wait';
}

function metricChecks(draft: Draft, wanted: { metric: string }[]): Check[] {
  return draft.spec.analysis.metrics.flatMap((metric) => {
    const found = wanted.some((window) => window.metric === metric.name) && draft.observed.measurements?.find((item) => item.metric === metric.name);
    return found ? [judge(metric, found.measurement, draft.now, draft.status.canaryWeight)] : [];
  });
}

function hookChecks(draft: Draft): Check[] {
  return hooksOf(draft, 'rollout').map((hook) => {
    const answer = draft.observed.hooks?.[hook.name];
    const message = clip(`webhook ${hook.name}: ${answer?.message ?? 'no answer'}`, 400);
    return { metric: hook.name, verdict: answer?.ok ? 'Pass' : 'Fail', message, weight: draft.status.canaryWeight, at: iso(draft.now) };
  });
}

const worst = (checks: Check[]): Verdict =>
  checks.some((item) => item.verdict === 'Fail') ? 'Fail' : checks.some((item) => item.verdict !== 'Pass') ? 'Wait' : 'Pass';

/** A wait that repeats itself is not written again and again. */
function sameWait(draft: Draft, checks: Check[]): boolean {
  const known = draft.status.checks ?? [];
  return checks.every((item) => {
    const newest = known.find((old) => old.metric === item.metric);
    return newest?.verdict === item.verdict && newest.weight === item.weight;
  });
}

function waitForEvidence(draft: Draft, checks: Check[]): void {
  const error = checks.find((item) => item.verdict === 'Error');
  const missing = error ?? checks.find((item) => item.verdict === 'NoData');
  postpone(draft);
  draft.wait(error ? 'MetricsUnavailable' : 'NotEnoughData', missing?.message ?? 'there is no evidence yet');
}

function countFailure(draft: Draft, failed: Check[]): void {
  const { status, spec } = draft;
  const { run } = status;
  if (!run) return;
  status.failedChecks += 1;
  const failures = { ...run.failures };
  for (const item of failed) failures[item.metric] = (failures[item.metric] ?? 0) + 1;
  run.failures = failures;
  const words = failed.map((item) => item.message).join('; ');
  draft.event('Warning', 'CheckFailed', `${draft.observed.name} check ${status.failedChecks} of ${spec.analysis.threshold} failed: ${words}`);
  const exhausted = spec.analysis.metrics.some((metric) => metric.failureLimit !== undefined && (failures[metric.name] ?? 0) >= metric.failureLimit);
  if (status.failedChecks >= spec.analysis.threshold || exhausted) {
    conclude(draft, 'Failed', 'ChecksFailed', words);
    return takeBack(draft);
  }
  lookAgain(draft, intervalMs(draft));
  draft.wait('ChecksFailing', `${status.failedChecks} of ${spec.analysis.threshold} checks failed; last: ${words}`);
}

/** The step's check passed: hold on, ask for approval, or go to the next weight. */
function leave(draft: Draft, plan: PlanStep[], current: Step, rules: PlanStep): void {
  const { status } = draft;
  const startedAt = ms(current.startedAt) ?? draft.now;
  const holdUntil = startedAt + rules.holdMs;
  if (draft.now < holdUntil) {
    // The hold may have been made longer meanwhile: that alone must not exceed the deadline.
    status.deadline = iso(Math.max(ms(status.deadline) ?? 0, stepDeadline(draft, startedAt, rules.holdMs)));
    lookAgain(draft, Math.min(intervalMs(draft), holdUntil - draft.now));
    return analysing(draft, current, ms(status.nextStepTime) ?? draft.now);
  }
  if (rules.approve && (status.run?.approvedWeight ?? 0) < current.weight) return askApproval(draft, current.weight);
  if (!stableReady(draft)) return postpone(draft);
  const nextIndex = nextStepIndex(plan, current.weight);
  const next = nextIndex === undefined ? undefined : plan[nextIndex];
  if (!gatePasses(draft, 'confirm-traffic-increase', `confirm-traffic-increase/${next?.weight ?? 100}`)) return;
  if (nextIndex === undefined || !next) return gatePasses(draft, 'confirm-promotion', 'confirm-promotion') ? promote(draft) : waitForPromotion(draft);
  status.phase = 'Progressing';
  goTo(draft, plan, nextIndex);
  if (status.step) enter(draft, status.step, next);
}

/** The webhook may take as long as the deadline, not longer. */
function waitForPromotion(draft: Draft): void {
  if (draft.needs.hooks.length > 0) return;
  draft.status.phase = 'WaitingPromotion';
  draft.status.deadline ??= progressDeadline(draft);
}

function askApproval(draft: Draft, weight: number): void {
  const { status } = draft;
  const words = `${draft.observed.name} waits for approval at weight ${weight} %: sluice approve ${draft.observed.name}`;
  if (status.phase !== 'WaitingPromotion') tell(draft, 'Waiting', 'warn', words, status.canary, `${status.run?.id}/${weight}`);
  status.phase = 'WaitingPromotion';
  delete status.deadline;
  lookAgain(draft, intervalMs(draft));
  draft.wait('WaitingForApproval', words);
}
