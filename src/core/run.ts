import { durationMs, type Check, type Provenance, type WebhookSpec } from '../api/index.js';
import { needed, readyGoal, refusal, towards } from './capacity.js';
import { judge, remember, windows } from './checks.js';
import type { Draft } from './draft.js';
import { close, conclude, provenanceOf } from './endings.js';
import { describeCommit, tell } from './messages.js';
import { otherSlot } from './names.js';
import { compilePlan, nextStepIndex, type PlanStep } from './plan.js';
import { keepWarm, prepareSlot } from './slots.js';
import { iso, ms } from './time.js';

/** How soon a check is made again when there was nothing to judge, in milliseconds; never later than the next regular check. */
const RETRY_EVIDENCE_MS = 5_000;

const hooksOf = (draft: Draft, type: WebhookSpec['type']): WebhookSpec[] => (draft.spec.analysis.webhooks ?? []).filter((hook) => hook.type === type);
const progressDeadline = (draft: Draft): string => iso(draft.now + draft.spec.progressDeadlineSeconds * 1000);

/**
 * Ask the webhooks of a kind once; true when all agreed. A refusal is asked again after the analysis interval.
 * `gate` names the occasion, so that what agreed is not asked twice for it.
 */
function gatePasses(draft: Draft, type: WebhookSpec['type'], gate: string): boolean {
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
  if (draft.status.run) draft.status.run.gates = [...passed, gate].slice(-20);
  return true;
}

/** Begin the run of a revision. Returns false while something has to come first. */
export function begin(draft: Draft, revision: string, provenance: Provenance): boolean {
  if (!gatePasses(draft, 'confirm-rollout', 'confirm-rollout')) {
    if (draft.needs.hooks.length === 0) draft.status.phase = 'Waiting';
    return false;
  }
  const known = (draft.status.knownGood ?? []).includes(revision);
  draft.status.run = {
    id: `${revision}-${draft.now.toString(36)}`,
    startedAt: iso(draft.now),
    weights: [],
    ...(known || draft.spec.skipAnalysis ? { skipAnalysis: true } : {}),
  };
  draft.status.canary = { ...provenance, revision, slot: draft.freeSlot };
  draft.status.phase = 'Progressing';
  draft.status.failedChecks = 0;
  draft.status.checks = [];
  delete draft.status.nextStepTime;
  draft.status.deadline = progressDeadline(draft);
  const what = `${draft.observed.name} releasing revision ${revision}, ${describeCommit(provenance)}`;
  tell(draft, 'Started', 'info', known ? `${what}. It had been stable before and needs no analysis.` : what, draft.status.canary, draft.status.run.id);
  draft.event('Normal', 'Started', what);
  return true;
}

/** Carry the run on by as much as the world allows. */
export function advance(draft: Draft): void {
  const { run, canary } = draft.status;
  if (!run || !canary) return;
  if (run.ending) return takeBack(draft);
  if (draft.status.phase === 'Finalising') return finalise(draft);
  noteWeight(draft);
  if (failing(draft)) return takeBack(draft);
  if (!startPods(draft)) return;
  if (!draft.status.step && !gatePasses(draft, 'pre-rollout', 'pre-rollout')) return;
  if (run.skipAnalysis || run.promote || draft.status.phase === 'Promoting') return promote(draft);
  step(draft);
}

/** What the canary has, from the routes as they are. */
function noteWeight(draft: Draft): void {
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
  if (weight > 0 && run.weights.at(-1) !== weight && weight > (run.weights.at(-1) ?? 0)) run.weights = [...run.weights, weight].slice(-60);
  draft.status.canaryWeight = weight;
}

/** Reasons to take the canary back that need no metrics: its pods, its deadline. */
function failing(draft: Draft): boolean {
  const { canary, deadline } = draft.status;
  if (!canary) return false;
  const slot = draft.slot(canary.slot);
  const words = slot.failure ? `: ${slot.failure}` : '';
  if ((draft.weights?.[canary.slot] ?? 0) > 0 && slot.endpoints === 0 && draft.slot(otherSlot(canary.slot)).endpoints > 0)
    conclude(draft, 'Failed', 'PodsFailing', `no pod of the canary is ready any more${words}`);
  else if (slot.revision === canary.revision && slot.exceeded && slot.ready < slot.replicas)
    conclude(draft, 'Failed', 'PodsFailing', `${slot.ready} of ${slot.replicas} pods became ready before the Deployment's own deadline${words}`);
  const due = ms(deadline);
  draft.wakeAt(due);
  if (due !== undefined && draft.now >= due) {
    const seconds = draft.spec.progressDeadlineSeconds;
    if (slot.ready < slot.replicas) conclude(draft, 'Failed', 'PodsFailing', `${slot.ready} of ${slot.replicas} pods became ready within ${seconds} s${words}`);
    else conclude(draft, 'Failed', 'ProgressDeadlineExceeded', `no progress within ${seconds} s; last: ${lastWords(draft)}`);
  }
  return draft.status.run?.ending !== undefined;
}

const lastWords = (draft: Draft): string =>
  draft.observed.writeError ?? draft.status.checks?.[0]?.message ?? draft.status.conditions?.find((item) => item.type === 'Progressing')?.message ?? 'nothing was seen';

/** True once the slot holds the revision and enough of its pods are ready to go on. */
function startPods(draft: Draft): boolean {
  const { canary } = draft.status;
  if (!canary) return false;
  const filled = prepareSlot(draft, canary.slot, canary.revision, draft.replicas);
  const slot = draft.slot(canary.slot);
  if (!filled) {
    draft.wait('StartingPods', `slot ${canary.slot} is being filled with revision ${canary.revision}`);
    return false;
  }
  const goal = readyGoal(draft.replicas, draft.spec.analysis.canaryReadyThreshold);
  if (!draft.status.step && slot.ready < goal) {
    draft.wait('StartingPods', `${slot.ready} of ${goal} pods of revision ${canary.revision} are ready${slot.failure ? `: ${slot.failure}` : ''}`);
    return false;
  }
  return true;
}

/** The step in force, or the first one. */
function step(draft: Draft): void {
  const plan = compilePlan(draft.spec.analysis);
  const { status } = draft;
  if (!status.step) {
    const first = plan[0];
    if (!first || !stableReady(draft)) return;
    goTo(draft, plan, 0);
  }
  const current = status.step;
  if (!current) return;
  if (current.startedAt === undefined || !inForce(draft, current.weight)) return enter(draft, current, plan);
  draft.wakeAt(ms(status.nextStepTime));
  if (held(draft)) return;
  const due = ms(status.nextStepTime) ?? draft.now;
  if (draft.now < due) return draft.wait('Analysing', `weight ${status.canaryWeight} %, step ${current.index + 1} of ${current.of}; the next check is due at ${iso(due)}`);
  const verdict = check(draft, plan, current.index);
  if (verdict === 'Pass') leave(draft, plan, current.index);
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

/** With no ready endpoint behind stable, the only weights that may be written send everything to the canary. */
const effectiveWeight = (draft: Draft, weight: number): number => (draft.slot(draft.stableSlot).endpoints === 0 ? 100 : weight);

/** Make a step the current one. Only this renews the deadline: passing a step is progress, writing its weight again is not. */
function goTo(draft: Draft, plan: PlanStep[], index: number): void {
  const next = plan[index];
  if (!next) return;
  draft.status.step = { index, of: plan.length, weight: next.weight };
  draft.status.deadline = iso(draft.now + next.holdMs + draft.spec.progressDeadlineSeconds * 1000);
  delete draft.status.nextStepTime;
}

const inForce = (draft: Draft, weight: number): boolean =>
  draft.weights?.[draft.status.canary?.slot ?? 'green'] === effectiveWeight(draft, weight) && draft.observed.routes.consistent;

/**
 * Write the step's weight, and start its clock. The clock starts again when the weight turns out not to be in force: because the
 * write failed, we died before it, or somebody reset it. So a step is never shorter than its hold, and never skipped.
 */
function enter(draft: Draft, current: NonNullable<Draft['status']['step']>, plan: PlanStep[]): void {
  const { status } = draft;
  const weight = effectiveWeight(draft, current.weight);
  if (draft.spec.suspend && current.startedAt === undefined) return draft.wait('Suspended', 'spec.suspend is true; set it to false to let the run go on');
  const holdMs = plan[current.index]?.holdMs ?? intervalMs(draft);
  const first = current.startedAt === undefined;
  delete current.startedAt;
  delete status.nextStepTime;
  if (!inForce(draft, current.weight) && !shift(draft, weight)) return;
  current.startedAt = iso(draft.now);
  status.nextStepTime = iso(draft.now + Math.min(holdMs, intervalMs(draft)));
  draft.wakeAt(ms(status.nextStepTime));
  if (first) draft.event('Normal', 'WeightSet', `${draft.observed.name} weight ${weight} %, step ${current.index + 1} of ${current.of}`);
  draft.wait('Analysing', `weight ${weight} %, step ${current.index + 1} of ${current.of}; the next check is due at ${status.nextStepTime}`);
}

/** Write weights when the ready pods cover them; true when they are on their way. */
function shift(draft: Draft, weight: number): boolean {
  const { canary } = draft.status;
  if (!canary) return false;
  const weights = { [canary.slot]: weight, [otherSlot(canary.slot)]: 100 - weight } as Record<'blue' | 'green', number>;
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

const intervalMs = (draft: Draft): number => durationMs(draft.spec.analysis.interval);

/** Holds that people and the spec put on a run. The deadline does not run meanwhile. */
function held(draft: Draft): boolean {
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

type Verdict = 'Pass' | 'Wait' | 'Fail';

/** Judge the step once, with all the metrics and rollout webhooks. */
function check(draft: Draft, plan: PlanStep[], index: number): Verdict {
  const { status, observed } = draft;
  const startedAt = ms(status.step?.startedAt) ?? draft.now;
  const last = nextStepIndex(plan, plan[index]?.weight ?? 100) === undefined;
  const hooks = [...hooksOf(draft, 'rollout'), ...hooksOf(draft, 'rollback')];
  const wanted = windows(draft, startedAt).filter((window) => window.from < window.to || last);
  const unasked = hooks.filter((hook) => observed.hooks?.[hook.name] === undefined);
  if ((wanted.length > 0 && !observed.measurements) || unasked.length > 0) {
    if (!observed.measurements) draft.needs.metrics.push(...wanted);
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
  return verdict;
}

function metricChecks(draft: Draft, wanted: { metric: string }[]): Check[] {
  return draft.spec.analysis.metrics.flatMap((metric) => {
    if (!wanted.some((window) => window.metric === metric.name)) return [];
    const found = draft.observed.measurements?.find((item) => item.metric === metric.name)?.measurement;
    return [judge(metric, found ?? { kind: 'Error', query: '', message: 'it was not measured', permanent: false }, draft.now, draft.status.canaryWeight)];
  });
}

function hookChecks(draft: Draft): Check[] {
  return hooksOf(draft, 'rollout').map((hook) => {
    const answer = draft.observed.hooks?.[hook.name];
    const message = `webhook ${hook.name}: ${answer?.message ?? 'no answer'}`.slice(0, 1024);
    return { metric: hook.name, verdict: answer?.ok ? 'Pass' : 'Fail', message, weight: draft.status.canaryWeight, at: iso(draft.now) };
  });
}

const worst = (checks: Check[]): Verdict =>
  checks.some((item) => item.verdict === 'Fail') ? 'Fail' : checks.some((item) => item.verdict !== 'Pass') ? 'Wait' : 'Pass';

/** A wait that repeats itself is not written again and again. */
function sameWait(draft: Draft, checks: Check[]): boolean {
  const known = draft.status.checks ?? [];
  return checks.every((item) => known.some((old) => old.metric === item.metric && old.verdict === item.verdict && old.weight === item.weight));
}

function waitForEvidence(draft: Draft, checks: Check[]): void {
  const error = checks.find((item) => item.verdict === 'Error');
  const missing = error ?? checks.find((item) => item.verdict === 'NoData');
  draft.status.nextStepTime = iso(draft.now + Math.min(RETRY_EVIDENCE_MS, intervalMs(draft)));
  draft.wakeAt(ms(draft.status.nextStepTime));
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
  status.nextStepTime = iso(draft.now + intervalMs(draft));
  draft.wakeAt(ms(status.nextStepTime));
  draft.wait('ChecksFailing', `${status.failedChecks} of ${spec.analysis.threshold} checks failed; last: ${words}`);
}

/** The step's check passed: hold on, ask for approval, or go to the next weight. */
function leave(draft: Draft, plan: PlanStep[], index: number): void {
  const { status } = draft;
  const current = plan[index];
  const startedAt = ms(status.step?.startedAt) ?? draft.now;
  const holdUntil = startedAt + (current?.holdMs ?? 0);
  if (draft.now < holdUntil) {
    status.nextStepTime = iso(Math.min(draft.now + intervalMs(draft), holdUntil));
    draft.wakeAt(ms(status.nextStepTime));
    return draft.wait('Analysing', `weight ${status.canaryWeight} %, step ${index + 1} of ${plan.length}; the next check is due at ${status.nextStepTime}`);
  }
  if (current?.approve && (status.run?.approvedWeight ?? 0) < current.weight) return askApproval(draft, current.weight);
  if (!stableReady(draft)) return postpone(draft);
  const nextIndex = nextStepIndex(plan, current?.weight ?? 100);
  const next = nextIndex === undefined ? undefined : plan[nextIndex];
  if (!gatePasses(draft, 'confirm-traffic-increase', `confirm-traffic-increase/${next?.weight ?? 100}`)) return;
  if (nextIndex === undefined || !next) return gatePasses(draft, 'confirm-promotion', 'confirm-promotion') ? promote(draft) : waitForPromotion(draft);
  status.phase = 'Progressing';
  goTo(draft, plan, nextIndex);
  if (status.step) enter(draft, status.step, plan);
}

function postpone(draft: Draft): void {
  draft.status.nextStepTime = iso(draft.now + Math.min(RETRY_EVIDENCE_MS, intervalMs(draft)));
  draft.wakeAt(ms(draft.status.nextStepTime));
}

function waitForPromotion(draft: Draft): void {
  if (draft.needs.hooks.length === 0) draft.status.phase = 'WaitingPromotion';
}

function askApproval(draft: Draft, weight: number): void {
  const { status } = draft;
  status.phase = 'WaitingPromotion';
  delete status.deadline;
  postpone(draft);
  const words = `${draft.observed.name} waits for approval at weight ${weight} %: sluice approve ${draft.observed.name}`;
  draft.wait('WaitingForApproval', words);
  tell(draft, 'Waiting', 'warn', words, status.canary, `${status.run?.id}/${weight}`);
}

/** All traffic to the canary, capacity first. */
function promote(draft: Draft): void {
  const { status } = draft;
  const { canary } = status;
  if (!canary) return;
  if (held(draft)) return;
  if (status.phase !== 'Promoting') {
    status.phase = 'Promoting';
    status.deadline = progressDeadline(draft);
    delete status.nextStepTime;
  }
  if (draft.weights?.[canary.slot] === 100 && draft.observed.routes.consistent) {
    status.phase = 'Finalising';
    delete status.deadline;
    delete status.serviceSince;
    return finalise(draft);
  }
  if (shift(draft, 100)) draft.wait('PromotingTraffic', `all traffic moves to revision ${canary.revision}`);
}

/**
 * The routes send everything to the canary. Callers outside the mesh follow: their Service selects both slots, and after a drain
 * the new one only. Then the slots change roles; nothing is rebuilt.
 */
function finalise(draft: Draft): void {
  const { status } = draft;
  const { canary, run } = status;
  if (!canary || !run) return;
  noteWeight(draft);
  const slot = draft.slot(canary.slot);
  const old = otherSlot(canary.slot);
  if (slot.endpoints === 0 && draft.slot(old).endpoints > 0) {
    conclude(draft, 'Failed', 'PodsFailing', `no pod of the promoted revision is ready any more${slot.failure ? `: ${slot.failure}` : ''}`);
    return takeBack(draft);
  }
  const { selects } = draft.observed.service;
  const narrowed = selects === canary.slot && status.serviceSince !== undefined;
  if (selects !== 'both' && !narrowed) {
    // The clock starts with the write, and again when the write turns out not to be in force.
    draft.do({ type: 'selectService', slots: ['blue', 'green'] });
    status.serviceSince = iso(draft.now);
  }
  const drainedAt = (ms(status.serviceSince) ?? draft.now) + draft.drainMs;
  draft.wakeAt(drainedAt);
  if (draft.now < drainedAt) return draft.wait('Draining', `all traffic is at revision ${canary.revision}; the old version finishes its requests for ${draft.spec.revisions.drainFor}`);
  if (selects !== canary.slot) {
    draft.do({ type: 'selectService', slots: [canary.slot] });
    return draft.wait('Draining', 'callers outside the mesh are given the new version');
  }
  succeed(draft);
}

function succeed(draft: Draft): void {
  const { status } = draft;
  const { canary, run } = status;
  if (!canary || !run) return;
  const reason = run.promote ? 'PromotedByUser' : run.skipAnalysis ? (draft.spec.skipAnalysis ? 'AnalysisSkipped' : 'KnownGood') : 'Promoted';
  const evidence = status.checks?.filter((item) => item.verdict === 'Pass' && item.value !== undefined).slice(0, 2) ?? [];
  const words = evidence.length > 0 ? `Last checks: ${evidence.map((item) => item.message).join('; ')}` : 'No metric was judged';
  conclude(draft, 'Succeeded', reason, words, run.promote);
  const old = status.stable;
  status.knownGood = [canary.revision, ...(status.knownGood ?? []).filter((known) => known !== canary.revision)].slice(0, draft.spec.revisions.history);
  if (old) keepWarm(draft, old.slot);
  const stable = { ...provenanceOf(canary), revision: canary.revision, slot: canary.slot };
  close(draft);
  status.stable = stable;
  draft.do({ type: 'pruneRevisions', keep: status.knownGood });
}

/** Traffic returns to stable, as far as stable can carry it; then the run is closed and told. */
export function takeBack(draft: Draft): void {
  const { status } = draft;
  const { canary, run } = status;
  if (!canary || !run?.ending) return;
  status.phase = status.phase === 'Finalising' ? 'Progressing' : status.phase;
  const stable = otherSlot(canary.slot);
  const done = draft.weights?.[stable] === 100 && draft.observed.service.selects === stable;
  noteWeight(draft);
  if (done) {
    recordReturn(draft, canary.slot);
    return close(draft);
  }
  const words = `traffic returns to the stable revision: ${run.ending.message}`;
  if (draft.weights?.[stable] !== 100) {
    const weights = towards(draft, stable);
    if (!weights) return draft.wait('StableNotReady', `${words}; no pod of the stable revision is ready, so the weights stay as they are`);
    if (weights[stable] !== draft.weights?.[stable]) draft.do({ type: 'setWeights', weights });
    if (weights[stable] < 100) return draft.wait('TakingBack', `${words}; ${weights[stable]} % until more of its pods are ready`);
  } else if (draft.observed.service.selects !== stable) draft.do({ type: 'selectService', slots: [stable] });
  draft.wait('TakingBack', words);
}

function recordReturn(draft: Draft, slot: 'blue' | 'green'): void {
  draft.record(slot).unroutedSince = iso(draft.now);
  delete draft.record(slot).warmUntil;
}
