import { DURATION_BUCKETS_MS } from '../../sandbox/mesh/telemetry.js';
import { isComparable, metricsOf, reporter, type CanaryRule, type Judged } from '../context.js';
import type { Finding, Severity } from '../finding.js';

/** Values that a metric can have at all. */
interface Possible {
  low: number;
  high: number;
  /** What a healthy version has. */
  good: 'low' | 'high' | 'unknown';
  words: string;
}

const HIGHEST_BUCKET = Math.max(...DURATION_BUCKETS_MS);
const PERCENT_GOOD: Possible = { low: 0, high: 100, good: 'high', words: 'a percentage of good requests is between 0 and 100' };
const PERCENT_BAD: Possible = { low: 0, high: 100, good: 'low', words: 'a percentage of bad requests is between 0 and 100' };
const LATENCY: Possible = { low: 0, high: HIGHEST_BUCKET, good: 'low', words: `a latency is more than 0 ms, and the proxies tell none above ${HIGHEST_BUCKET} ms` };
const RATIO: Possible = { low: 0, high: Number.POSITIVE_INFINITY, good: 'unknown', words: 'a ratio of the canary to the stable version is not below 0' };
const ANYTHING: Possible = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, good: 'unknown', words: '' };

function possible({ metric, template }: Judged): Possible {
  if (!metric.templateRef) return metric.name === 'request-duration' ? LATENCY : PERCENT_GOOD;
  if (template?.compare !== undefined) return template.compareAs === 'difference' ? ANYTHING : RATIO;
  return template?.counts ? PERCENT_BAD : ANYTHING;
}

/** Gates whose bounds no value keeps, or every value keeps. */
export const ranges: CanaryRule = (context) => metricsOf(context).flatMap((judged) => rangeFindings(judged, reporter(context.written), context.spec.analysis.verdict !== undefined));

type Report = ReturnType<typeof reporter>;
type Say = (severity: Severity, rule: string, bound: 'min' | 'max', message: string) => Finding[];

function rangeFindings(judged: Judged, report: Report, compared: boolean): Finding[] {
  const { metric, path } = judged;
  if (!metric.thresholdRange) return boundless(judged, report, compared);
  const say: Say = (severity, rule, bound, message) => [report(severity, rule, [...path, 'thresholdRange', bound], message)];
  const wrong = [unreachable(judged, say), unbreakable(judged, say, compared), inverted(judged, say)].find((findings) => findings.length > 0);
  return wrong ?? fraction(judged, report);
}

function unreachable(judged: Judged, say: Say): Finding[] {
  const { metric } = judged;
  const { min, max } = metric.thresholdRange ?? {};
  const { low, high, words } = possible(judged);
  if (min !== undefined && max !== undefined && min > max) return say('error', 'cannot-pass', 'min', `min ${min} is above max ${max}: no value passes; exchange them, or leave one out`);
  if (min !== undefined && min > high) return say('error', 'cannot-pass', 'min', `no value reaches ${min}: ${words}; write a smaller bound`);
  const never = max !== undefined && (max < low || (max === low && metric.name === 'request-duration'));
  return never ? say('error', 'cannot-pass', 'max', `no value is as low as ${max}: ${words}; write a larger bound`) : [];
}

function unbreakable(judged: Judged, say: Say, compared: boolean): Finding[] {
  const { min, max } = judged.metric.thresholdRange ?? {};
  const { low, high, words } = possible(judged);
  if ((min !== undefined && min > low) || (max !== undefined && max < high) || judged.template === null) return [];
  if (compared && isCompared(judged)) return say('warning', 'no-effect', min === undefined ? 'max' : 'min', `every value passes: ${words}; the verdict alone judges ${judged.metric.name}: leave thresholdRange out, or write a bound that a bad version breaks`);
  return say('error', 'cannot-fail', min === undefined ? 'max' : 'min', `every value passes: ${words}; write a bound that a bad version breaks`);
}

/** Bounds on the side on which good versions are. */
function inverted(judged: Judged, say: Say): Finding[] {
  const { min, max } = judged.metric.thresholdRange ?? {};
  const { low, high, good } = possible(judged);
  if (good === 'high' && max !== undefined && max < high) return say('warning', 'fails-good-versions', 'max', `a version whose requests all succeed has 100 and fails by max ${max}; write min, and leave max out`);
  if (good === 'low' && min !== undefined && min > low) return say('warning', 'fails-good-versions', 'min', `a version without bad or slow requests has ${low} and fails by min ${min}; write max, and leave min out`);
  return [];
}

/** 0.99 is written where 99 was meant. */
function fraction({ metric, path }: Judged, report: Report): Finding[] {
  const min = metric.thresholdRange?.min;
  if (metric.name !== 'request-success-rate' || metric.templateRef || min === undefined || min > 1 || min <= 0) return [];
  return [report('error', 'cannot-fail', [...path, 'thresholdRange', 'min'], `request-success-rate is in percent, so min ${min} lets versions pass that fail ${100 - min} % of their requests; write ${min * 100} if that was meant`)];
}

/** Providers that say whether they passed, rather than how much. */
const VERDICTS = new Set(['job', 'kayenta']);

/** With a verdict, the comparison with the stable version is the gate. */
const isCompared = ({ metric, template }: Judged): boolean => !metric.templateRef || isComparable(template);

function boundless(judged: Judged, report: Report, compared: boolean): Finding[] {
  const { metric, path, template } = judged;
  if (template === undefined && metric.templateRef) return [];
  if (template && VERDICTS.has(template.provider.type)) return [];
  if (compared && isCompared(judged)) return [];
  return [report('error', 'cannot-fail', path, `${metric.name} has no thresholdRange, so every value passes; write thresholdRange with min or max${compared ? '' : ', or compare with the stable version by analysis.verdict'}`)];
}

/** What a gate does when there is nothing to judge. */
export const absence: CanaryRule = (context) => {
  const report = reporter(context.written);
  return metricsOf(context).flatMap(({ metric, path, template }) => [
    ...(metric.onNoData === 'pass'
      ? [report('warning', 'passes-without-data', [...path, 'onNoData'], `${metric.name} passes when there is no data${metric.minSamples === undefined ? '' : ` or fewer than ${metric.minSamples} requests`}: a typo in a label, or a release at night, is never judged by it; write wait, or add a metric that does see requests`)]
      : []),
    ...(metric.minSamples !== undefined && template && !template.counts
      ? [report('warning', 'no-effect', [...path, 'minSamples'], `MetricTemplate ${metric.templateRef?.name} gives no number of requests, so minSamples does nothing; give counts in place of query`)]
      : []),
  ]);
};

/** Limits that another limit makes useless, and releases that nothing judges. */
export const judging: CanaryRule = (context) => {
  const { spec, written } = context;
  const report = reporter(written);
  const { metrics, threshold, webhooks = [], verdict } = spec.analysis;
  const analysis = ['spec', 'analysis'];
  const judged = metricsOf(context);
  const limits = judged.flatMap(({ metric, path }) =>
    metric.failureLimit !== undefined && metric.failureLimit >= threshold
      ? [report('warning', 'no-effect', [...path, 'failureLimit'], `failureLimit ${metric.failureLimit} is not below analysis.threshold ${threshold}, which ends the run sooner; write less than ${threshold}, or leave it out`)]
      : [],
  );
  if (spec.skipAnalysis) return [...limits, report('warning', 'nothing-judged', ['spec', 'skipAnalysis'], 'every revision is promoted as soon as its pods are ready, whatever spec.analysis says; set it to false')];
  const counting = judged.some(({ metric }) => !metric.dryRun) || (verdict !== undefined && metrics.length > 0);
  const asked = webhooks.some(({ type }) => type !== 'post-rollout' && type !== 'pre-rollout') || (spec.analysis.steps ?? []).some(({ approve }) => approve);
  if (counting || asked) return limits;
  const why = metrics.length === 0 ? 'metrics is empty' : 'every metric has dryRun: true';
  return [...limits, report('error', 'nothing-judged', [...analysis, 'metrics'], `${why}, and neither a webhook nor an approval judges the canary: whatever becomes ready is promoted; add a metric, a rollout webhook, or a step with approve: true`)];
};
