import type { Check, Reason } from '../api/index.js';
import { readyGoal } from './capacity.js';
import { coldWindow, judge, remember, windows } from './checks.js';
import { lackingPasses, noteJudged } from './conduct.js';
import type { Draft } from './draft.js';
import { conclude } from './endings.js';
import { autoscalerBlind, gatePasses, held, hooksOf, intervalMs, lookAgain, postpone, progressDeadline } from './gates.js';
import { tell } from './messages.js';
import { compilePlan, countedBy, moreOf, nextStepIndex, replicasOf, stepName, stepWords, unreached, type PlanStep } from './plan.js';
import { promote } from './promotion.js';
import { shareReached, shareWindow } from './share.js';
import { prepareSlot } from './slots.js';
import { clip } from './text.js';
import { iso, ms } from './time.js';
import { goalOf, inForce, rulesOf, shiftTo, takeBack } from './traffic.js';
import { evaluate, shownHealthy, verdictHolds } from './verdict/evaluate.js';

type Step = NonNullable<Draft['status']['step']>;

/** A write that takes no longer than this is not worth another one that says so, in milliseconds. */
const LATE_MS = 250;

/** The step in force, or the first one. */
export function step(draft: Draft): void {
  const plan = compilePlan(draft.spec.analysis);
  const { status } = draft;
  if (!status.step) {
    const first = plan[0];
    if (!first || !stableReady(draft) || restsUnscaled(draft) || !gatePasses(draft, 'confirm-traffic-increase', gateOf(first))) return;
    goTo(draft, plan, 0);
  }
  const current = status.step;
  if (!current) return;
  const rules = rulesOf(draft, current, plan);
  if (current.startedAt === undefined || !inForce(draft, goalOf(draft, rules))) return enter(draft, current, rules);
  startLate(draft, current, rules);
  const due = ms(status.nextStepTime) ?? draft.now;
  evaluate(draft, rules, draft.now >= due);
  if (status.run?.ending) return takeBack(draft);
  // A check that is due asks for its own evidence in the same round.
  const lacking = draft.needs.windows !== undefined;
  if (lacking && draft.now < due) return;
  draft.wakeAt(ms(status.nextStepTime));
  if (held(draft)) return;
  // What a check waits for, or found, keeps its own time.
  if (draft.now < due && (saidBefore(draft) || failedLately(draft) || !shownHealthy(draft))) return analysing(draft, current, rules, due);
  const last = nextStepIndex(plan, current) === undefined;
  if (check(draft, rules, last) !== 'Pass' || lacking) return;
  status.iterations = (status.iterations ?? 0) + 1;
  leave(draft, plan, current, rules);
}

const gateOf = (next: PlanStep | undefined): string => `confirm-traffic-increase/${next ? stepName({ weight: next.weight, more: moreOf(next) }) : 100}`;

const analysing = (draft: Draft, current: Step, rules: PlanStep, due: number): void =>
  draft.wait('Analysing', `${inWords(draft, rules)}, step ${current.index + 1} of ${current.of}${passed(draft, rules)}; the next check is due at ${iso(due)}`);

const inWords = (draft: Draft, rules: PlanStep): string => stepWords({ ...rules, ...goalOf(draft, rules) });
const passed = (draft: Draft, rules: PlanStep): string => (rules.passes > 1 ? `, ${draft.status.iterations ?? 0} of ${rules.passes} checks passed` : '');

/** What the last check, or a gate after it, waits for. It holds until it is looked at again. */
const HOLDS = new Set<string>(['MetricsUnavailable', 'NotEnoughData', 'ChecksFailing', 'StableNotReady', 'AutoscalerInactive', 'WaitingForWebhook', 'WaitingForApproval'] satisfies Reason[]);

/** Say again why the step waits: entering a step says something else, so what was said is of this step. */
function saidBefore(draft: Draft): boolean {
  const said = draft.status.conditions?.find((item) => item.type === 'Progressing');
  if (!said || !HOLDS.has(said.reason)) return false;
  draft.wait(said.reason as Reason, said.message);
  return true;
}

/** Failures are counted once per interval, whatever was said since: by a hold, for example. */
function failedLately(draft: Draft): boolean {
  const since = draft.now - intervalMs(draft);
  return (draft.status.checks ?? []).some(({ verdict, dryRun, at }) => verdict === 'Fail' && !dryRun && (ms(at) ?? 0) > since);
}

function stableReady(draft: Draft): boolean {
  const slot = draft.slot(draft.stableSlot);
  // A dead stable version must not block its own fix.
  if (slot.endpoints === 0) return true;
  const goal = readyGoal(draft.replicas, draft.spec.analysis.primaryReadyThreshold);
  if (slot.ready >= goal) return true;
  draft.wait('StableNotReady', `${slot.ready} of ${goal} pods of the stable revision are ready`);
  return false;
}

/** The first step waits without a deadline. */
function restsUnscaled(draft: Draft): boolean {
  if (!autoscalerBlind(draft)) return false;
  delete draft.status.deadline;
  return true;
}

/** A step may take its hold, and after it as long as the spec allows without progress. */
const stepDeadline = (draft: Draft, from: number, holdMs: number): number => from + holdMs + draft.spec.progressDeadlineSeconds * 1000;

/** Make a step the current one. Only this renews the deadline: passing a step is progress, writing its weight again is not. */
function goTo(draft: Draft, plan: PlanStep[], index: number): void {
  const next = plan[index];
  if (!next) return;
  const more = moreOf(next);
  draft.status.step = { index, of: plan.length, weight: next.weight, ...(more === undefined ? {} : { more }) };
  draft.status.deadline = iso(stepDeadline(draft, draft.now, next.holdMs));
  delete draft.status.nextStepTime;
}

/** True once the canary has the pods that its step asks for. */
function staffed(draft: Draft, rules: PlanStep): boolean {
  const { canary } = draft.status;
  if (!canary || rules.replicas === undefined) return true;
  const wanted = replicasOf(rules, draft.replicas);
  const goal = readyGoal(wanted, draft.spec.analysis.canaryReadyThreshold);
  const slot = draft.slot(canary.slot);
  if (prepareSlot(draft, canary.slot, canary.revision, wanted) && slot.ready >= goal) return true;
  draft.wait('ScalingUp', `${slot.ready} of ${goal} pods of revision ${canary.revision} are ready`);
  return false;
}

/**
 * Write the step's weight, and start its clock. The clock starts again when the weight turns out not to be in force: because the
 * write failed, we died before it, or somebody reset it. So a step is never shorter than its hold, and never skipped.
 */
function enter(draft: Draft, current: Step, rules: PlanStep): void {
  const { status } = draft;
  const goal = goalOf(draft, rules);
  const first = current.startedAt === undefined;
  const given = (status.run?.weights.at(-1) ?? 0) >= current.weight && (goal.extras === undefined || draft.extras !== undefined);
  if (!given && held(draft)) return;
  delete current.startedAt;
  delete status.nextStepTime;
  const there = inForce(draft, goal);
  if (!there && !(staffed(draft, rules) && shiftTo(draft, goal))) return;
  if (!there && draft.writesFail) return draft.wait('ApplyingWeights', `${inWords(draft, rules)} is being written`);
  current.startedAt = iso(draft.now);
  delete current.passes;
  status.iterations = 0;
  lookAgain(draft, Math.min(Math.max(rules.holdMs, 1), intervalMs(draft)));
  if (first) draft.event('Normal', 'WeightSet', `${draft.observed.name} ${inWords(draft, rules)}, step ${current.index + 1} of ${current.of}`);
  analysing(draft, current, rules, ms(status.nextStepTime) ?? draft.now);
}

/** A predecessor may have died between a write that took its time and the look after it: then the server's own note counts, to the end of its second. */
function weightSince({ observed: { routes }, status, now }: Draft): number | undefined {
  if (routes.since !== undefined || routes.writtenAt === undefined) return routes.since;
  const startedAt = ms(status.step?.startedAt) ?? 0;
  return routes.writtenAt < startedAt + LATE_MS ? undefined : Math.min(now, routes.writtenAt + 1_000);
}

/** The weight came into force later than it was written down: its clock starts then. */
function startLate(draft: Draft, current: Step, rules: PlanStep): void {
  const since = weightSince(draft);
  if (since === undefined || since < (ms(current.startedAt) ?? 0) + LATE_MS) return;
  current.startedAt = iso(since);
  lookAgain(draft, Math.max(0, since - draft.now + Math.min(Math.max(rules.holdMs, 1), intervalMs(draft))));
}

type Verdict = 'Pass' | 'Wait' | 'Fail';

const UNREACHED = '. In this step no requests are led to the canary: mirror some (analysis.mirror), let a rollout webhook send some to its Service, or judge by webhooks only (metrics: [])';

/** Judge the step once, with all the metrics and rollout webhooks. On the last step even what still warms up has to be seen. */
function check(draft: Draft, rules: PlanStep, last: boolean): Verdict {
  const { status, observed } = draft;
  const startedAt = ms(status.step?.startedAt) ?? draft.now;
  const all = windows(draft, startedAt);
  const wanted = [...all.filter((window) => window.from < window.to), ...shareWindow(draft, rules, startedAt)];
  const hooks = [...hooksOf(draft, 'rollout'), ...hooksOf(draft, 'rollback')];
  const unasked = hooks.filter((hook) => observed.hooks?.[hook.name] === undefined);
  const unmeasured = wanted.some((window) => !observed.measurements?.some((item) => item.metric === window.metric));
  if (unmeasured || unasked.length > 0) {
    if (unmeasured) draft.needs.metrics.push(...wanted.map((window) => ({ ...window, ...countedBy(rules) })));
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
  remember(draft, checks, verdict === 'Wait' && sameWait(draft, checks));
  if (verdict === 'Fail') {
    noteJudged(draft, checks);
    countFailure(draft, checks.filter((item) => item.verdict === 'Fail' && !item.dryRun));
  }
  if (verdict === 'Wait') waitForEvidence(draft, checks, rules);
  if (verdict !== 'Pass') return verdict;
  const lacking = verdictHolds(draft, rules);
  if (lacking) {
    lookAgain(draft, lacking.after);
    draft.wait(lacking.reason, lacking.message);
    return 'Wait';
  }
  const cold = coldWindow(draft, all, last);
  if (cold) {
    postpone(draft);
    draft.wait('NotEnoughData', `${cold.metric} counts from ${iso(cold.from)} on; the step waits for it`);
    return 'Wait';
  }
  noteJudged(draft, checks);
  return verdict;
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

function worst(all: Check[]): Verdict {
  const checks = all.filter(({ dryRun }) => !dryRun);
  return checks.some((item) => item.verdict === 'Fail') ? 'Fail' : checks.some((item) => item.verdict !== 'Pass') ? 'Wait' : 'Pass';
}

/** A wait that repeats itself takes the place of the one before: the list holds more than one outage. */
function sameWait(draft: Draft, checks: Check[]): boolean {
  const known = draft.status.checks ?? [];
  return checks.every((item) => {
    const newest = known.find((old) => old.metric === item.metric);
    return newest?.verdict === item.verdict && newest.weight === item.weight && newest.at >= (draft.status.step?.startedAt ?? '');
  });
}

function waitForEvidence(draft: Draft, checks: Check[], rules: PlanStep): void {
  const counting = checks.filter(({ dryRun }) => !dryRun);
  const error = counting.find((item) => item.verdict === 'Error');
  const missing = error ?? counting.find((item) => item.verdict === 'NoData');
  postpone(draft);
  draft.wait(error ? 'MetricsUnavailable' : 'NotEnoughData', `${missing?.message ?? 'there is no evidence yet'}${unreached(rules) && !error ? UNREACHED : ''}`);
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
  if (!shownHealthy(draft) && (draft.now < holdUntil || (status.iterations ?? 0) < rules.passes)) {
    // The hold may have been made longer meanwhile: that alone must not exceed the deadline.
    status.deadline = iso(Math.max(ms(status.deadline) ?? 0, stepDeadline(draft, startedAt, rules.holdMs)));
    lookAgain(draft, holdUntil > draft.now ? Math.min(intervalMs(draft), holdUntil - draft.now) : intervalMs(draft));
    return analysing(draft, current, rules, ms(status.nextStepTime) ?? draft.now);
  }
  if (lacksPasses(draft, current, rules)) return;
  if (!shareReached(draft, rules)) return postpone(draft);
  if (rules.approve && status.run?.approvedStep !== stepName(current)) return askApproval(draft, current, rules);
  if (!stableReady(draft)) return postpone(draft);
  if (autoscalerBlind(draft)) {
    // What the canary has shown is good: the wait is not its lack of progress.
    status.deadline = progressDeadline(draft);
    return postpone(draft);
  }
  const nextIndex = nextStepIndex(plan, current);
  const next = nextIndex === undefined ? undefined : plan[nextIndex];
  if (!gatePasses(draft, 'confirm-traffic-increase', gateOf(next))) return;
  if (nextIndex === undefined || !next) return gatePasses(draft, 'confirm-promotion', 'confirm-promotion') ? promote(draft) : waitForPromotion(draft);
  status.phase = 'Progressing';
  goTo(draft, plan, nextIndex);
  if (status.step) enter(draft, status.step, next);
}

/** True while a metric has to pass more often in a row. That takes its time, and the deadline allows for it. */
function lacksPasses(draft: Draft, current: Step, rules: PlanStep): boolean {
  const lacking = lackingPasses(draft);
  if (!lacking) return false;
  const { status } = draft;
  const latest = stepDeadline(draft, ms(current.startedAt) ?? draft.now, Math.max(rules.holdMs, lacking.wanted * intervalMs(draft)));
  status.deadline = iso(Math.max(ms(status.deadline) ?? 0, latest));
  lookAgain(draft, intervalMs(draft));
  draft.wait('Analysing', `${inWords(draft, rules)}, step ${current.index + 1} of ${current.of}: ${lacking.message}`);
  return true;
}

/** The webhook may take as long as the deadline, not longer. */
function waitForPromotion(draft: Draft): void {
  if (draft.needs.hooks.length > 0) return;
  draft.status.phase = 'WaitingPromotion';
  draft.status.deadline ??= progressDeadline(draft);
}

function askApproval(draft: Draft, current: Step, rules: PlanStep): void {
  const { status } = draft;
  const words = `${draft.observed.name} waits for approval at ${inWords(draft, rules)}: sluice approve ${draft.observed.name}`;
  if (status.phase !== 'WaitingPromotion') tell(draft, 'Waiting', 'warn', words, status.canary, `${status.run?.id}/${stepName(current)}`);
  status.phase = 'WaitingPromotion';
  delete status.deadline;
  lookAgain(draft, intervalMs(draft));
  draft.wait('WaitingForApproval', words);
}
