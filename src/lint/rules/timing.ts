import { durationMs } from '../../api/index.js';
import { compilePlan, type PlanStep } from '../../core/plan.js';
import { deadlineOf, intervalOf, metricsOf, reporter, span, type CanaryContext, type CanaryRule } from '../context.js';
import type { FieldPath } from '../documents.js';
import type { Finding } from '../finding.js';

const ANALYSIS: FieldPath = ['spec', 'analysis'];
/** Without `metrics[].interval`, a check looks at no more than this. */
const CHECK_WINDOW_MS = 60_000;
const DEFAULT_EVALUATE_MS = 10_000;

const planMs = (plan: readonly PlanStep[]): number => plan.reduce((sum, { holdMs }) => sum + holdMs, 0);

/** Counters change once per scrape: in less than two of them nothing can be told from nothing. */
export const scrapes: CanaryRule = (context) => {
  const { spec, scrapeMs, written } = context;
  const report = reporter(written);
  const least = 2 * scrapeMs;
  const { steps, interval, verdict, evaluate } = spec.analysis;
  const tooShort = (path: FieldPath, what: string, is: number): Finding[] =>
    is >= least ? [] : [report('error', 'shorter-than-two-scrapes', path, `${what} of ${span(is)} is shorter than two scrapes (${span(scrapeMs)} each, --scrape-interval), so nothing can be measured in it; write at least ${span(least)}, or scrape more often`)];
  const inSteps = (steps ?? []).flatMap(({ hold }, index) => (hold === undefined ? [] : tooShort([...ANALYSIS, 'steps', index, 'hold'], 'a hold', durationMs(hold))));
  const intervalHolds = steps === undefined || steps.some(({ hold }) => hold === undefined);
  const windows = metricsOf(context).flatMap(({ metric, path }) => (metric.interval === undefined ? [] : tooShort([...path, 'interval'], 'an interval', durationMs(metric.interval))));
  const every = verdict ? (evaluate === undefined ? Math.min(intervalOf(context), DEFAULT_EVALUATE_MS) : durationMs(evaluate)) : undefined;
  const often =
    evaluate !== undefined && every !== undefined && every < scrapeMs
      ? [report('warning', 'evaluate-shorter-than-scrape', [...ANALYSIS, 'evaluate'], `evidence is looked at every ${span(every)}, but new counts come every ${span(scrapeMs)} only (--scrape-interval); write at least ${span(scrapeMs)}, or scrape more often`)]
      : [];
  const seldom = evaluate !== undefined && every !== undefined && every > intervalOf(context) ? [report('warning', 'no-effect', [...ANALYSIS, 'evaluate'], `evidence is looked at every ${span(every)}, more seldom than the checks (analysis.interval ${interval}): a regression is seen later than need be; write 10s`)] : [];
  return [...inSteps, ...(intervalHolds ? tooShort([...ANALYSIS, 'interval'], 'an interval', durationMs(interval)) : []), ...windows, ...often, ...seldom];
};

/** Waits that are longer than the release, and releases whose own rules outlast their deadline. */
export const lengths: CanaryRule = (context) => {
  const { spec, written } = context;
  const report = reporter(written);
  const plan = compilePlan(spec.analysis);
  const total = planMs(plan);
  const deadline = deadlineOf(context);
  const judged = metricsOf(context);
  const late = (path: FieldPath, what: string, ms: number, why: string): Finding[] => {
    if (ms <= total) return [];
    // The last step may take its hold and the deadline; all before it have taken theirs.
    if (ms > total + deadline) return [report('error', 'never-finishes', path, `${what} of ${span(ms)} ends after the deadline of the last step (${span(total)} of steps and ${spec.progressDeadlineSeconds} s, progressDeadlineSeconds): every release is taken back; make it shorter, or raise progressDeadlineSeconds`)];
    return [report('warning', 'longer-than-steps', path, `${what} of ${span(ms)} is longer than all steps together (${span(total)}), ${why}: the last step waits for it; make it shorter, or the steps longer`)];
  };
  const latency = judged.some(({ metric }) => metric.name === 'request-duration' && !metric.templateRef);
  const warmup = latency ? late([...ANALYSIS, 'warmup'], 'a warmup', durationMs(spec.analysis.warmup), 'so latency is not judged in any of them') : [];
  const delays = judged.flatMap(({ metric, path, template }) =>
    metric.initialDelay === undefined ? [] : late(template?.initialDelay === metric.initialDelay && spec.analysis.metrics[Number(path.at(-1))]?.initialDelay === undefined ? path : [...path, 'initialDelay'], 'an initialDelay', durationMs(metric.initialDelay), `so ${metric.name} is not judged in any of them`),
  );
  const rows = judged.flatMap(({ metric, path }) => {
    const ms = (metric.consecutiveSuccess ?? 1) * intervalOf(context);
    const [shortest] = plan.toSorted((a, b) => a.holdMs - b.holdMs);
    if (metric.consecutiveSuccess === undefined || !shortest || ms <= shortest.holdMs + deadline) return [];
    return [report('error', 'never-finishes', [...path, 'consecutiveSuccess'], `${metric.consecutiveSuccess} passes in a row take ${span(ms)}, and a step has ${span(shortest.holdMs + deadline)} (its hold and progressDeadlineSeconds): every release is taken back; ask for fewer, or raise progressDeadlineSeconds`)];
  });
  return [...warmup, ...delays, ...rows, ...patience(context, plan), ...control(context, plan)];
};

/** How long a bad version is kept until enough checks have failed. */
function patience(context: CanaryContext, plan: PlanStep[]): Finding[] {
  const { spec, written } = context;
  const { threshold, interval } = spec.analysis;
  const report = reporter(written);
  const path = [...ANALYSIS, 'threshold'];
  const ms = threshold * intervalOf(context);
  const most = Math.max(...plan.map(({ holdMs }) => holdMs)) + deadlineOf(context);
  if (spec.analysis.metrics.length === 0 || threshold === 1) return [];
  if (ms > most)
    return [report('error', 'no-effect', path, `${threshold} failed checks, one each ${interval}, take ${span(ms)}, and a step that does not pass ends after ${span(most)} (its hold and progressDeadlineSeconds): the threshold is never reached; lower it, or shorten the interval`)];
  if (ms <= planMs(plan) || spec.analysis.verdict) return [];
  return [report('warning', 'slow-rollback', path, `a version whose checks all fail serves for ${span(ms)} (${threshold} checks, one each ${interval}), longer than a good one takes to be promoted (${span(planMs(plan))}); lower threshold or interval, or compare by analysis.verdict, which ends a clear regression at once`)];
}

/** Proxies have to learn of the control arm's Service before a route names it. */
function control(context: CanaryContext, plan: PlanStep[]): Finding[] {
  const { spec, written } = context;
  const [first] = plan.filter(({ match }) => match?.control);
  const drain = durationMs(spec.revisions.drainFor);
  if (!first || drain <= first.holdMs + deadlineOf(context)) return [];
  return [reporter(written)('error', 'never-finishes', ['spec', 'revisions', 'drainFor'], `a control arm waits drainFor (${spec.revisions.drainFor}) until all proxies know its Service, longer than its step may take (${span(first.holdMs + deadlineOf(context))}); shorten drainFor, or raise progressDeadlineSeconds`)];
}

/** Share of the requests that reach the canary in a step, from 0 to 1; undefined where nobody can tell. */
const shareOf = ({ weight, match, mirror }: PlanStep): number | undefined => (match ? undefined : (weight + (mirror ?? 0)) / 100);

/** With the number of requests known: samples that never come. */
export const samples: CanaryRule = (context) => {
  const { spec, rps, written } = context;
  if (rps === undefined) return [];
  const report = reporter(written);
  const plan = compilePlan(spec.analysis);
  const [first] = plan;
  const share = first && shareOf(first);
  const wanted = spec.analysis.verdict?.minSamples;
  const findings: Finding[] = [];
  if (first && share !== undefined && share > 0 && wanted !== undefined) {
    const needed = (wanted / (rps * share)) * 1000;
    const path = [...ANALYSIS, 'verdict', 'minSamples'];
    if (needed > first.holdMs + deadlineOf(context))
      findings.push(report('error', 'never-finishes', path, `at ${rps} requests/s the canary gets ${wanted} of them in ${span(needed)} at weight ${first.weight} %, after the deadline of its first step (${span(first.holdMs + deadlineOf(context))}); write less, begin with a larger weight, or raise progressDeadlineSeconds`));
    else if (needed > first.holdMs)
      findings.push(report('warning', 'waits-for-samples', path, `at ${rps} requests/s the canary gets ${wanted} of them in ${span(needed)} at weight ${first.weight} %; the first step is ${span(first.holdMs)} and waits for them`));
  }
  return [...findings, ...metricsOf(context).flatMap(({ metric, path }) => tooFew(metric.minSamples, metric.onNoData === 'pass', durationMs(metric.interval ?? '60s')).map((message) => report('error', metric.onNoData === 'pass' ? 'cannot-fail' : 'never-finishes', [...path, 'minSamples'], message)))];

  function tooFew(least: number | undefined, passes: boolean, windowMs: number): string[] {
    if (least === undefined) return [];
    const longest = Math.min(windowMs, metricWindow(plan, context));
    const [poorest] = plan.filter((step) => (shareOf(step) ?? 0) > 0).toSorted((a, b) => (shareOf(a) ?? 0) - (shareOf(b) ?? 0));
    const expected = rps === undefined || !poorest ? undefined : (rps * (shareOf(poorest) ?? 0) * longest) / 1000;
    if (expected === undefined || expected >= least) return [];
    const consequence = passes ? 'onNoData: pass lets the step pass unseen' : 'the step waits until its deadline';
    return [`at ${rps} requests/s a check over ${span(longest)} sees about ${Math.floor(expected)} requests of the canary at weight ${poorest?.weight ?? 0} %, never ${least}, so ${consequence}; write less, a longer metrics[].interval, or a larger first weight`];
  }
};

/** A step that waits goes on gathering until its deadline. */
const metricWindow = (plan: readonly PlanStep[], context: CanaryContext): number => Math.max(CHECK_WINDOW_MS, ...plan.map(({ holdMs }) => holdMs)) + deadlineOf(context);
