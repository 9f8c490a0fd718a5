import { durationMs, type AnalysisSpec, type FaultInjection, type StepSpec, type TrafficMatch } from '../api/index.js';
import { perObject } from './per-object.js';
import { digest } from './revision.js';

/** What a step asks of the routes beside the weight. */
export interface StepExtras {
  /** Requests that are led to the canary: `weight` percent of those for which `when` holds. With `control`, the others of them go to the control arm. */
  match?: { when: TrafficMatch[]; weight: number; control?: true };
  /** Percent of the requests that are copied to the canary. */
  mirror?: number;
  /** What befalls the requests that the canary sends. */
  fault?: FaultInjection;
}

/** One step of the plan that every short form compiles to. */
export interface PlanStep extends StepExtras {
  /** Percent of the traffic. */
  weight: number;
  /** Milliseconds the step is held at least. */
  holdMs: number;
  /** A person has to approve before the run goes on. */
  approve: boolean;
  /** Checks that must pass. */
  passes: number;
  /** Pods of the canary, or percent (`50%`) of what the stable version has; all of them when absent. */
  replicas?: StepSpec['replicas'];
}

/** A step as the status tells it. */
export interface StepPlace {
  index: number;
  weight: number;
  more?: string;
}

/** `maxWeight` when only `stepWeight` is given (Flagger's is 100; half keeps the last step comparable with stable). */
const DEFAULT_MAX_WEIGHT = 50;

function linear(stepWeight: number, maxWeight: number): number[] {
  const weights: number[] = [];
  for (let weight = stepWeight; weight < maxWeight; weight += stepWeight) weights.push(weight);
  return [...weights, maxWeight];
}

/** Percent of the matching requests for the canary where a control arm has the others: the halves tell most about a difference. */
const HALF = 50;

/** All matching requests, or the half of them that a control arm leaves. */
const everyMatch = (when: TrafficMatch[], control: boolean): PlanStep['match'] => (control ? { when, weight: HALF, control } : { when, weight: 100 });

/** The steps of a run. `maxWeight` caps the last one, so 20 up to 50 is 20, 40, 50. */
export const compilePlan = perObject((analysis: AnalysisSpec): PlanStep[] => {
  const plan = stepsOf(analysis);
  return analysis.canaryReplicas === 'proportional' ? plan.map(proportional) : plan;
});

/** No more pods than the step's share of the requests needs, copies included; {@link replicasOf} sees to matches. */
function proportional(step: PlanStep): PlanStep {
  return step.replicas === undefined ? { ...step, replicas: `${Math.max(1, step.weight, step.mirror ?? 0)}%` } : step;
}

function stepsOf(analysis: AnalysisSpec): PlanStep[] {
  if (analysis.steps) return analysis.steps.map((step) => explicit(step, analysis));
  if (analysis.iterations !== undefined) return iterated(analysis, analysis.iterations);
  return weighted(analysis);
}

function explicit({ weight, hold, approve, match, mirror, fault, replicas }: StepSpec, { interval, control }: AnalysisSpec): PlanStep {
  // Other requests that reach the canary, or copies, would be counted with those that match.
  const compared = control === true && weight === 0 && mirror === undefined;
  return {
    weight,
    holdMs: durationMs(hold ?? interval),
    approve: approve ?? false,
    passes: 1,
    ...(match ? { match: everyMatch(match, compared) } : {}),
    ...(mirror === undefined ? {} : { mirror }),
    ...(fault ? { fault } : {}),
    ...(replicas === undefined ? {} : { replicas }),
  };
}

/** A mirror step first where one is asked for. With a match, only matching requests are divided, and everybody else stays. */
function weighted(analysis: AnalysisSpec): PlanStep[] {
  const base = { holdMs: durationMs(analysis.interval), approve: false, passes: 1 };
  const { stepWeight, maxWeight, match } = analysis;
  const weights = analysis.stepWeights ?? linear(stepWeight ?? DEFAULT_MAX_WEIGHT, maxWeight ?? Math.max(DEFAULT_MAX_WEIGHT, stepWeight ?? 0));
  // All of them leave none for a control arm.
  const arm = (weight: number): { control?: true } => (analysis.control && weight < 100 ? { control: true } : {});
  const steps = weights.map((weight): PlanStep => (match ? { ...base, weight: 0, match: { when: match, weight, ...arm(weight) } } : { ...base, weight }));
  return [...(analysis.mirror ? [{ ...base, weight: 0, mirror: analysis.mirrorWeight ?? 100 }] : []), ...steps];
}

/** A/B: the matching requests, all of them or, with a control arm, half. Blue/green: nobody, then everybody at once, seen once more while the old copy is warm. */
function iterated(analysis: AnalysisSpec, iterations: number): PlanStep[] {
  const intervalMs = durationMs(analysis.interval);
  const base = { weight: 0, holdMs: iterations * intervalMs, approve: false, passes: iterations };
  if (analysis.match) return [{ ...base, match: everyMatch(analysis.match, analysis.control === true) }];
  const mirror = analysis.mirror ? { mirror: analysis.mirrorWeight ?? 100 } : {};
  return [
    { ...base, ...mirror },
    { weight: 100, holdMs: intervalMs, approve: false, passes: 1 },
  ];
}

/** Nobody's own requests reach the canary. */
export const unreached = ({ weight, match, mirror }: PlanStep): boolean => weight === 0 && !match && mirror === undefined;

/**
 * Whose counts tell of a step. Copies have no caller who counts them, and load tests often run without a proxy: then the canary's own
 * proxy is asked. With a control arm, only that is compared with.
 */
export function countedBy(step: PlanStep): { reporter?: 'destination'; control?: true } {
  return { ...(step.mirror !== undefined || unreached(step) ? { reporter: 'destination' } : {}), ...(step.match?.control ? { control: true } : {}) };
}

/** What tells a step from others of its weight; undefined for one that has a weight only. */
export function moreOf({ match, mirror, fault, replicas }: PlanStep): string | undefined {
  const more = { match, mirror, fault, replicas };
  return Object.values(more).every((value) => value === undefined) ? undefined : digest(more).slice(0, 12);
}

/** Names a step: in gates, approvals and messages. */
export const stepName = ({ weight, more }: Pick<StepPlace, 'weight' | 'more'>): string => (more === undefined ? `${weight}` : `${weight}+${more}`);

/**
 * Where the plan has a step now. By what the step is, not by index alone: a plan that is edited during a run neither repeats nor
 * skips what the canary already had. Undefined when the plan holds it no more.
 */
export function findStep(plan: PlanStep[], place: StepPlace): number | undefined {
  const same = (step: PlanStep | undefined): boolean => step?.weight === place.weight && moreOf(step) === place.more;
  if (same(plan[place.index])) return place.index;
  const index = plan.findIndex(same);
  return index < 0 ? undefined : index;
}

/** The step after a given one; undefined after the last. */
export function nextStepIndex(plan: PlanStep[], place: StepPlace): number | undefined {
  const at = findStep(plan, place);
  const index = at === undefined ? plan.findIndex((step) => step.weight > place.weight) : at + 1;
  return index < 0 || index >= plan.length ? undefined : index;
}

/** Pods that the canary has in a step, of `full` that the whole traffic needs. */
export function replicasOf(step: PlanStep | undefined, full: number): number {
  const { replicas, weight = 0, match } = step ?? {};
  if (replicas === undefined) return full;
  const asked = typeof replicas === 'number' ? replicas : Math.ceil((full * Number.parseInt(replicas, 10)) / 100);
  // Nobody knows what share of the requests match.
  return Math.max(1, asked, Math.ceil((full * Math.max(weight, match?.weight ?? 0)) / 100));
}

const comparison = (value: { exact?: string; prefix?: string; suffix?: string; regex?: string }): string =>
  value.exact !== undefined ? value.exact : value.prefix !== undefined ? `${value.prefix}…` : value.suffix !== undefined ? `…${value.suffix}` : `/${value.regex ?? ''}/`;

function matchWords({ headers, queryParams, sourceLabels }: TrafficMatch): string {
  return [
    ...Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${comparison(value)}`),
    ...Object.entries(queryParams ?? {}).map(([name, value]) => `?${name}=${comparison(value)}`),
    ...Object.entries(sourceLabels ?? {}).map(([name, value]) => `pods with ${name}=${value}`),
  ].join(' and ');
}

const shareWords = (percentage: { value: number } | undefined): string => (percentage === undefined || percentage.value === 100 ? '' : ` for ${percentage.value} %`);

function faultWords({ delay, abort }: FaultInjection): string {
  const parts = [
    ...(delay ? [`delay ${delay.fixedDelay}${shareWords(delay.percentage)}`] : []),
    ...(abort ? [`status ${abort.httpStatus}${shareWords(abort.percentage)}`] : []),
  ];
  return parts.join(' and ');
}

/** What a step does with the traffic, for people: `weight 20 %, mirror 50 %`. */
export function stepWords({ weight, match, mirror, fault }: Pick<PlanStep, 'weight' | 'match' | 'mirror' | 'fault'>): string {
  const all = match?.when.map(matchWords).join(' or ') ?? '';
  const parts = [
    ...(match ? [`${match.weight} % of the requests with ${all}${match.control ? ' (the others of them are its control arm)' : ''}`] : []),
    ...(mirror === undefined ? [] : [`copies of ${mirror} % of the requests`]),
    ...(fault ? [`${faultWords(fault)} to what it asks of ${fault.host}`] : []),
  ];
  return [`weight ${weight} %`, ...parts].join(', ');
}
