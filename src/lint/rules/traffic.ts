import { comparedBy, verdictRefusal } from '../../core/verdict/refusal.js';
import { compilePlan, stepWords } from '../../core/plan.js';
import { isComparable, metricsOf, reporter, type CanaryRule } from '../context.js';

const ANALYSIS = ['spec', 'analysis'];

/** A verdict where nothing comparable serves. */
export const comparable: CanaryRule = (context) => {
  const { spec, written } = context;
  if (!spec.analysis.verdict) return [];
  const judged = metricsOf(context);
  // What the files do not hold may well give counts.
  const counted = judged.filter(({ metric, template }) => metric.templateRef && (template === undefined || isComparable(template))).map(({ metric }) => metric.name);
  const refused = verdictRefusal(spec, counted);
  if (refused !== undefined) return [reporter(written)('error', 'not-comparable', [...ANALYSIS, 'verdict'], refused.replace(/^spec\.analysis\.verdict: /, ''))];
  const compared = comparedBy(spec, counted);
  const left = judged.filter(({ metric, template }) => !compared.includes(metric.name) && template !== undefined && !metric.thresholdRange);
  return left.map(({ metric, path }) => reporter(written)('error', 'cannot-fail', path, `${metric.name} gives no counts by Prometheus, so the verdict does not compare it, and it has no thresholdRange; write one, or give counts in its MetricTemplate`));
};

/** Steps in which the canary gets nothing that a metric could see. */
export const unreached: CanaryRule = (context) => {
  const { spec, written } = context;
  const { metrics, webhooks = [] } = spec.analysis;
  const seen = metricsOf(context).some(({ metric }) => metric.onNoData === 'wait' && !metric.templateRef);
  if (metrics.length === 0 || !seen || spec.skipAnalysis) return [];
  const index = compilePlan(spec.analysis).findIndex(({ weight, match, mirror }) => weight === 0 && !match && mirror === undefined);
  if (index < 0 || webhooks.some(({ type }) => type === 'rollout' || type === 'pre-rollout')) return [];
  const step = compilePlan(spec.analysis)[index];
  return [
    reporter(written)('error', 'cannot-pass', [...ANALYSIS, spec.analysis.steps ? 'steps' : 'iterations', ...(spec.analysis.steps ? [index] : [])],
      `step ${index + 1} (${step ? stepWords(step) : ''}) leads no requests to the canary, so its metrics see none and it waits until its deadline; mirror some (mirror), let a rollout webhook send some, or give it a weight`),
  ];
};

/** Checks of the share where no step has one to check. */
export const shares: CanaryRule = ({ spec, written }) => {
  const { verifyShare, sessionAffinity } = spec.analysis;
  if (!verifyShare) return [];
  const report = reporter(written);
  const path = [...ANALYSIS, 'verifyShare'];
  if (sessionAffinity) return [report('warning', 'no-effect', path, 'with sessionAffinity users stay where they are, so no share is checked; leave one of the two out')];
  const telling = compilePlan(spec.analysis).some(({ weight, match }) => weight > 0 && weight < 100 && !match);
  return telling ? [] : [report('warning', 'no-effect', path, 'no step divides all requests by a weight between 0 and 100, so no share is checked; leave it out')];
};
