import { Labels, type Condition, type Phase, type Reason, type SlotName } from '../api/index.js';
import type { Draft } from './draft.js';
import type { Problem } from './evidence.js';
import { describeCommit } from './messages.js';
import { SLOTS } from './names.js';
import { contestWords } from './quarrel.js';
import { clip } from './text.js';
import { iso } from './time.js';

function set(draft: Draft, type: string, status: Condition['status'], reason: Reason | Phase, message: string): void {
  const conditions = (draft.status.conditions ??= []);
  const known = conditions.find((item) => item.type === type);
  const next: Condition = {
    type,
    status,
    reason,
    message: clip(message, 1024),
    lastTransitionTime: known && known.status === status ? known.lastTransitionTime : iso(draft.now),
    observedGeneration: draft.observed.generation,
  };
  if (known) Object.assign(known, next);
  else conditions.push(next);
}

function progressing(draft: Draft): void {
  const { status } = draft;
  const active = status.run !== undefined || status.phase === 'Initializing' || status.phase === 'Terminating';
  const failed = draft.observed.writeError;
  const { reason, message } = draft.progress ?? { reason: 'Idle' as const, message: `revision ${status.stable?.revision ?? 'unknown'} serves; ${unchanged(draft) ?? 'no release is under way'}` };
  if (failed && active) return set(draft, 'Progressing', 'True', 'WriteFailed', `${failed}; ${message}`);
  set(draft, 'Progressing', active ? 'True' : 'False', reason, message);
}

/** A later commit that makes the revision which serves already: it is named, because no release will tell of it. */
function unchanged({ status: { stable }, observed: { desired } }: Draft): string | undefined {
  const commit = desired?.provenance.commit;
  const known = commit === undefined || stable?.commit === undefined || commit === stable.commit || stable.commits?.includes(commit);
  return known || desired?.revision !== stable?.revision ? undefined : `${describeCommit(desired?.provenance ?? {})} makes the same, so there is nothing to release`;
}

function ready(draft: Draft): void {
  const { status } = draft;
  if (!status.adoptedAt) return set(draft, 'Ready', 'False', 'Adopting', draft.progress?.message ?? 'the target is being adopted');
  const serving = SLOTS.some((name) => (draft.weights?.[name] ?? 0) > 0 && draft.slot(name).endpoints > 0);
  if (!serving) return set(draft, 'Ready', 'False', 'NoReadyEndpoints', 'no slot that has traffic has a ready endpoint; see the pods of both slots');
  set(draft, 'Ready', 'True', 'Serving', `revision ${status.stable?.revision} serves from slot ${status.stable?.slot}${(draft.observed.routes.warnings ?? []).map((words) => `; ${words}`).join('')}`);
}

/** Metrics that cannot be judged until somebody mends their query. */
function brokenQueries(draft: Draft): Problem[] {
  if (!draft.status.run) return [];
  return draft.spec.analysis.metrics.flatMap(({ name }): Problem[] => {
    const newest = draft.status.checks?.find((item) => item.metric === name);
    return newest?.permanent && !newest.dryRun ? [{ reason: 'InvalidQuery', message: `${newest.message}; mend the MetricTemplate or spec.analysis.metrics of Canary ${draft.observed.name}` }] : [];
  });
}

function stalled(draft: Draft): void {
  const { refused } = draft.observed;
  const problems = [...draft.observed.problems, ...(refused ? [refused] : []), ...brokenQueries(draft)];
  const [problem] = problems;
  if (problem) set(draft, 'Stalled', 'True', problem.reason, problems.map((item) => item.message).join('; '));
  else set(draft, 'Stalled', 'False', 'Configured', 'nothing that a person must fix');
}

/** Flagger's condition: `kubectl wait --for=condition=promoted`. Its message names the revision, because a condition may be of an older release. */
function promoted(draft: Draft): void {
  const { status } = draft;
  if (status.run) return set(draft, 'Promoted', 'Unknown', status.phase ?? 'Progressing', `revision ${status.canary?.revision} is being released`);
  const last = status.history?.[0];
  if (status.phase === 'Failed' && last) return set(draft, 'Promoted', 'False', 'Failed', `revision ${last.revision} was taken back: ${last.message}`);
  if (status.adoptedAt && status.stable) set(draft, 'Promoted', 'True', status.phase ?? 'Initialized', `revision ${status.stable.revision} is the stable one`);
}

/** Other managers that write the fields a release depends on. There only once somebody did: most Canaries never meet one. */
function contested(draft: Draft): void {
  const words = contestWords(draft);
  if (words !== undefined) set(draft, 'Contested', 'True', 'OverlayRestored', words);
  else if (draft.status.conditions?.some(({ type }) => type === 'Contested')) set(draft, 'Contested', 'False', 'Configured', 'nobody else writes what a release depends on');
}

/** Pods, endpoints and the numbers that autoscalers read, per side. */
function numbers(draft: Draft): void {
  const { status, observed } = draft;
  for (const side of [status.stable, status.canary]) {
    if (!side) continue;
    const slot = draft.slot(side.slot);
    side.replicas = slot.replicas;
    side.readyReplicas = slot.ready;
    side.endpoints = slot.endpoints;
  }
  const weights = draft.effects.findLast((effect) => effect.type === 'setWeights')?.weights ?? draft.weights;
  const bare = status.phase === 'Initializing' || status.phase === 'Terminating' ? observed.target?.selector : undefined;
  const weighted = SLOTS.filter((name: SlotName) => (weights?.[name] ?? 0) > 0);
  // The pods of the target itself serve: before the routes lead to a slot, and when they do no more.
  if (weighted.length === 0 && bare !== undefined) {
    status.replicas = observed.target?.replicas ?? 0;
    status.selector = `${bare},${Labels.slot} notin (${SLOTS.join(',')})`;
    return;
  }
  const counted = weighted.length > 0 ? weighted : [draft.stableSlot];
  status.replicas = counted.reduce((sum, name) => sum + draft.slot(name).replicas, 0);
  status.selector = `${Labels.canary}=${draft.observed.name},${Labels.slot} in (${counted.join(',')})`;
}

/** Say where everything is. Only what changed moves a transition time. */
export function summarise(draft: Draft): void {
  draft.status.observedGeneration = draft.observed.generation;
  numbers(draft);
  ready(draft);
  progressing(draft);
  stalled(draft);
  contested(draft);
  promoted(draft);
}
