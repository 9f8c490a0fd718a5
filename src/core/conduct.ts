import type { CanarySpec, Check, MetricSpec, MetricTemplateSpec } from '../api/index.js';
import type { Draft } from './draft.js';

/** A Job says 1 when it passed and 0 when it failed: without bounds neither would mean anything. */
const JOB_RANGE = { min: 1 };

/**
 * The spec with what the MetricTemplates say of their metrics, where the Canary itself says nothing.
 * @param templateOf the template of a metric; undefined when it has none, or it cannot be used
 */
export function withTemplateDefaults(spec: CanarySpec, templateOf: (metric: MetricSpec) => MetricTemplateSpec | undefined): CanarySpec {
  let changed = false;
  const metrics = spec.analysis.metrics.map((metric) => {
    const template = metric.templateRef && templateOf(metric);
    if (!template) return metric;
    changed = true;
    const { dryRun, failureLimit, consecutiveSuccess, initialDelay, count } = template;
    const range = template.provider.type === 'job' ? { thresholdRange: JOB_RANGE } : {};
    return { ...present({ dryRun, failureLimit, consecutiveSuccess, initialDelay, count, ...range }), ...present(metric) };
  });
  return changed ? { ...spec, analysis: { ...spec.analysis, metrics } } : spec;
}

const present = <T extends object>(object: T): T => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;

/** Checks of this run that judged the metric. */
export const judgedTimes = (draft: Draft, metric: string): number => draft.status.run?.judged?.[metric] ?? 0;

/** True when the run has judged the metric as often as it was to. */
export const isDone = (draft: Draft, metric: MetricSpec): boolean => metric.count !== undefined && judgedTimes(draft, metric.name) >= metric.count;

/** Write down what a check has found, once it has passed or failed as a whole: what waits is asked again, and it is the same check then. */
export function noteJudged(draft: Draft, checks: readonly Check[]): void {
  const { run, step } = draft.status;
  for (const metric of draft.spec.analysis.metrics) {
    const check = checks.find((item) => item.metric === metric.name);
    if (!check || (check.verdict !== 'Pass' && check.verdict !== 'Fail')) continue;
    if (run && (metric.count !== undefined || metric.templateRef)) run.judged = { ...run.judged, [metric.name]: judgedTimes(draft, metric.name) + 1 };
    if (step && metric.consecutiveSuccess !== undefined) step.passes = { ...step.passes, [metric.name]: check.verdict === 'Pass' ? (step.passes?.[metric.name] ?? 0) + 1 : 0 };
  }
}

/** A metric that has to pass more often in a row before its step may be left: how often, and what it has, in words. */
export function lackingPasses(draft: Draft): { wanted: number; message: string } | undefined {
  for (const metric of draft.spec.analysis.metrics) {
    const { name, consecutiveSuccess: wanted = 1, dryRun } = metric;
    const passes = draft.status.step?.passes?.[name] ?? 0;
    if (wanted > 1 && !dryRun && !isDone(draft, metric) && passes < wanted) return { wanted, message: `${name} passed ${passes} of ${wanted} times in a row` };
  }
  return undefined;
}
