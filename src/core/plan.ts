import { durationMs, type AnalysisSpec } from '../api/index.js';

/** One step of the plan that every short form compiles to. */
export interface PlanStep {
  /** Percent of the traffic. */
  weight: number;
  /** Milliseconds the weight is held at least. */
  holdMs: number;
  /** A person has to approve before the run goes on. */
  approve: boolean;
}

/** `maxWeight` when only `stepWeight` is given (Flagger's is 100; half keeps the last step comparable with stable). */
const DEFAULT_MAX_WEIGHT = 50;

function linear(stepWeight: number, maxWeight: number): number[] {
  const weights: number[] = [];
  for (let weight = stepWeight; weight < maxWeight; weight += stepWeight) weights.push(weight);
  return [...weights, maxWeight];
}

/** The steps of a run. `maxWeight` caps the last one, so 20 up to 50 is 20, 40, 50. */
export function compilePlan(analysis: AnalysisSpec): PlanStep[] {
  const holdMs = durationMs(analysis.interval);
  if (analysis.steps)
    return analysis.steps.map((step) => ({
      weight: step.weight,
      holdMs: step.hold === undefined ? holdMs : durationMs(step.hold),
      approve: step.approve ?? false,
    }));
  const weights = analysis.stepWeights ?? linear(analysis.stepWeight ?? DEFAULT_MAX_WEIGHT, analysis.maxWeight ?? Math.max(DEFAULT_MAX_WEIGHT, analysis.stepWeight ?? 0));
  return weights.map((weight) => ({ weight, holdMs, approve: false }));
}

/**
 * The step after a given weight. By weight, not by index: a plan that is edited during a run neither repeats nor skips
 * what the canary already had.
 */
export function nextStepIndex(plan: PlanStep[], weight: number): number | undefined {
  const index = plan.findIndex((step) => step.weight > weight);
  return index < 0 ? undefined : index;
}
