import type { CanarySpec } from '../../api/index.js';
import { isBuiltIn } from '../checks.js';
import { compilePlan, stepWords, unreached, type PlanStep } from '../plan.js';

/** Why nothing comparable serves in a step, and what to do about it; undefined when canary and stable can be compared in it. */
export function incomparable(step: PlanStep): string | undefined {
  const { weight, match, fault } = step;
  if (fault) return 'the fault befalls the canary alone; leave the fault step out, or leave analysis.verdict out and judge by thresholdRange';
  if (weight >= 100) return 'the stable version gets no requests that it could be compared with; end at a smaller weight (maxWeight: 50 has both sides see most)';
  if (match && !match.control)
    return match.weight >= 100 || weight > 0
      ? 'all requests that match go to the canary, and those of others tell nothing about them; set analysis.control: true (and weight: 0 in that step), so that a part of them stays with the stable version'
      : 'requests that match are compared with all others; set analysis.control: true, so that those which stay with the stable version are counted apart';
  if (unreached(step)) return 'no requests are led to the canary; use weights (stepWeight, stepWeights) instead of iterations, or judge by thresholdRange without analysis.verdict';
  return undefined;
}

/**
 * Metrics by which both versions can be compared.
 * @param counted metrics of templates that give counts
 */
export function comparedBy({ analysis }: CanarySpec, counted: readonly string[] = []): string[] {
  return analysis.metrics.filter(({ name, templateRef, dryRun }) => !dryRun && (templateRef ? counted.includes(name) : isBuiltIn(name))).map(({ name }) => name);
}

/**
 * Why the verdict that a spec asks for cannot be given; undefined when it can, or none is asked for.
 * @param counted metrics of templates that give counts
 */
export function verdictRefusal(spec: CanarySpec, counted: readonly string[] = []): string | undefined {
  const { analysis } = spec;
  if (!analysis.verdict) return undefined;
  if (comparedBy(spec, counted).length === 0)
    return 'spec.analysis.verdict: no metric of spec.analysis.metrics counts requests; add request-success-rate, or a metric whose MetricTemplate has counts';
  for (const [index, step] of compilePlan(analysis).entries()) {
    const why = incomparable(step);
    if (why !== undefined) return `spec.analysis.verdict: step ${index + 1} (${stepWords(step)}) cannot be compared with the stable version: ${why}`;
  }
  return undefined;
}
