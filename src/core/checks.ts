import { durationMs, type Check, type MetricSpec } from '../api/index.js';
import { isDone } from './conduct.js';
import type { Draft } from './draft.js';
import type { Compared, Measurement, Tries } from './evidence.js';
import { clip, grouped } from './text.js';
import { iso, ms } from './time.js';

const MAX_CHECKS = 20;
/** Characters of a query and of a message that the status keeps: all of it must stay below 32 KiB. */
const MAX_QUERY = 1024;
const MAX_MESSAGE = 400;
/** Without `metrics[].interval`, one check looks at no more than this. */
const DEFAULT_WINDOW_MS = 60_000;

interface Wording {
  label: string;
  unit: string;
}
const BUILT_IN: Record<string, Wording> = {
  'request-success-rate': { label: 'success rate', unit: ' %' },
  'request-duration': { label: 'p99 latency', unit: ' ms' },
};
/** Metrics that need no template. */
export const isBuiltIn = (metric: string): boolean => Object.hasOwn(BUILT_IN, metric);
const wording = (metric: string): Wording => BUILT_IN[metric] ?? { label: metric, unit: '' };
export const isLatency = (metric: string): boolean => metric === 'request-duration';

/** Three significant digits, but never rounded across a bound: 98.97 is not shown as "99 < 99". */
function number(value: number, bound: number | undefined): string {
  for (const digits of [1, 2, 3, 6]) {
    const text = Number(value.toFixed(digits)).toString();
    if (bound === undefined || Number(text) !== bound || value === bound) return text;
  }
  return String(value);
}

interface Breach {
  sign: '<' | '>';
  bound: number;
}
function breachOf({ thresholdRange: { min, max } = {} }: MetricSpec, value: number): Breach | undefined {
  if (min !== undefined && value < min) return { sign: '<', bound: min };
  return max !== undefined && value > max ? { sign: '>', bound: max } : undefined;
}

/** `success rate 93.1 % < 99 % over 412 requests`. */
function describe(metric: MetricSpec, value: number, samples: number | undefined, breached: Breach | undefined, counted = 'requests'): string {
  const { label, unit } = wording(metric.name);
  const shown = `${label} ${number(value, breached?.bound)}${unit}`;
  const over = samples === undefined ? '' : ` over ${grouped(samples)} ${counted}`;
  if (breached) return `${shown} ${breached.sign} ${breached.bound}${unit}${over}`;
  const { min, max } = metric.thresholdRange ?? {};
  const bounds = [min === undefined ? [] : [`>= ${min}${unit}`], max === undefined ? [] : [`<= ${max}${unit}`]].flat().join(' and ');
  return `${shown}${bounds === '' ? '' : ` ${bounds}`}${over}`;
}

function noData(metric: MetricSpec, message: string): { verdict: Check['verdict']; message: string } {
  const verdict = ({ wait: 'NoData', pass: 'Pass', fail: 'Fail' } as const)[metric.onNoData];
  return { verdict, message: `${metric.name}: ${message}` };
}

/** What one measurement says about one metric. Absent evidence is never a pass by accident. */
export function judge(metric: MetricSpec, measurement: Measurement, at: number, weight: number): Check {
  const base = { metric: metric.name, at: iso(at), weight, query: clip(measurement.query, MAX_QUERY), ...metric.thresholdRange, ...(metric.dryRun ? { dryRun: true } : {}) };
  const trimmed = (message: string) => clip(message, MAX_MESSAGE);
  if (measurement.kind === 'Error') {
    const verdict = metric.onError === 'fail' ? 'Fail' : 'Error';
    return { ...base, verdict, message: trimmed(`${metric.name}: ${measurement.message}`), ...(measurement.permanent ? { permanent: true } : {}) };
  }
  // What is still under way is waited for, whatever a lack of data means.
  if (measurement.kind === 'NoData' && measurement.pending) return { ...base, verdict: 'NoData', message: trimmed(`${metric.name}: ${measurement.message}`) };
  if (measurement.kind === 'NoData') {
    const { verdict, message } = noData(metric, measurement.message);
    return { ...base, verdict, message: trimmed(message) };
  }
  const { value, samples } = measurement;
  const counted = samples !== undefined && Number.isFinite(samples) ? { samples } : {};
  if (Number.isNaN(value)) {
    const { verdict, message } = noData(metric, 'the answer is NaN');
    return { ...base, ...counted, verdict, message };
  }
  if (samples !== undefined && !(samples >= (metric.minSamples ?? 1))) {
    const { verdict, message } = noData(metric, `${grouped(samples)} of at least ${metric.minSamples ?? 1} requests were seen`);
    return { ...base, ...counted, verdict, message };
  }
  const breached = breachOf(metric, value);
  const hidden = breached ? undefined : hiddenByRetries(metric, value, measurement.tries);
  if (hidden) return { ...base, ...hidden, message: trimmed(hidden.message), query: clip(hidden.query, MAX_QUERY) };
  // JSON knows no infinity, and the message says it: a quantile beyond the last bucket is a value all the same.
  return { ...base, ...counted, ...(Number.isFinite(value) ? { value } : {}), verdict: breached ? 'Fail' : 'Pass', message: trimmed(describe(metric, value, samples, breached) + sidesOf(measurement.compared, breached?.bound)) };
}

/** ` (1.2 of the canary against 0.5 of the stable version)`, after a value that was made of both. */
function sidesOf(compared: Compared | undefined, bound: number | undefined): string {
  if (!compared) return '';
  return ` (${compared.as}: ${number(compared.canary, bound)} of the canary against ${number(compared.stable, bound)} of the stable version)`;
}

/**
 * Callers' proxies repeat what failed and count only the final answer, so a version that fails often may look well there. Its own
 * proxies count each try. Where there are none, or too few tries, that says nothing.
 */
function hiddenByRetries(metric: MetricSpec, atCallers: number, tries: Tries | undefined): (Pick<Check, 'message' | 'verdict'> & Tries) | undefined {
  const breached = tries && breachOf(metric, tries.value);
  if (!tries || !breached || !(tries.samples >= (metric.minSamples ?? 1))) return undefined;
  const message = `${describe(metric, tries.value, tries.samples, breached, 'tries')} (callers, whose proxies tried again, got ${number(atCallers, breached.bound)}${wording(metric.name).unit})`;
  return { ...tries, verdict: 'Fail', message };
}

/** Evidence for one metric. */
export interface CheckWindow {
  metric: string;
  from: number;
  to: number;
}

/** When evidence begins to count: latency warms up, and a metric may have a delay of its own. */
function countsFrom(draft: Draft, metric: MetricSpec, stepStartedAt: number): number {
  const firstWeightAt = ms(draft.status.run?.firstWeightAt) ?? stepStartedAt;
  const delay = metric.initialDelay === undefined ? 0 : durationMs(metric.initialDelay);
  return firstWeightAt + Math.max(delay, isLatency(metric.name) ? durationMs(draft.spec.analysis.warmup) : 0);
}

/** The evidence that a check at `now` looks at, per metric; a metric that still warms up has none yet, one that was judged often enough is left out. */
export function windows(draft: Draft, stepStartedAt: number): CheckWindow[] {
  return draft.spec.analysis.metrics
    .filter((metric) => !isDone(draft, metric))
    .map((metric) => {
      const longest = metric.interval === undefined ? DEFAULT_WINDOW_MS : durationMs(metric.interval);
      return { metric: metric.name, from: Math.max(stepStartedAt, draft.now - longest, warms(metric) ? countsFrom(draft, metric, stepStartedAt) : 0), to: draft.now };
    });
}

/** True when the first evidence of a run does not count. */
const warms = (metric: MetricSpec): boolean => isLatency(metric.name) || metric.initialDelay !== undefined;

/**
 * A metric without evidence that counts, for which the step has to wait.
 * @param last true on the last step: even what still warms up has to be seen before it is left
 */
export function coldWindow(draft: Draft, all: readonly CheckWindow[], last: boolean): CheckWindow | undefined {
  return all.find(({ metric: name, from, to }) => {
    const metric = draft.spec.analysis.metrics.find((item) => item.name === name);
    return metric !== undefined && !metric.dryRun && from >= to && (last || !warms(metric));
  });
}

/**
 * Keep the checks in the status, newest first, or put them in the place of the newest of the same metrics. Only the newest keep
 * their query: it is the longest part, and repeats itself.
 */
export function remember(draft: Draft, checks: Check[], replace: boolean): void {
  const known = draft.status.checks ?? [];
  const replaced = new Set(replace ? checks.map(({ metric }) => known.find((item) => item.metric === metric)) : []);
  const older = known.filter((item) => !replaced.has(item)).map(({ query: _query, ...check }) => check);
  draft.status.checks = [...checks, ...older].slice(0, MAX_CHECKS);
}
