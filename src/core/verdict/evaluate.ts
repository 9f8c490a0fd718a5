import { durationMs, type VerdictSpec, type VerdictStatus, type VerdictStream } from '../../api/index.js';
import { isLatency } from '../checks.js';
import type { Draft } from '../draft.js';
import { conclude } from '../endings.js';
import { intervalMs } from '../gates.js';
import type { EvidenceOf, WindowsNeed } from '../observation.js';
import { countedBy, stepName, type PlanStep } from '../plan.js';
import { clip } from '../text.js';
import { iso, ms } from '../time.js';
import { differenceInterval } from './interval.js';
import { odds, optionsOf, outcomeOf, streamWords, WRITE_BACK_ALPHA, type Outcome } from './outcome.js';
import { comparedBy, incomparable } from './refusal.js';
import { bandsOf, bucketFor, foldBaseline, foldRun, newStream, shorten, withoutVerdict, type Counted } from './streams.js';

/** Longest time between two evaluations where the spec does not say, milliseconds. */
const DEFAULT_EVALUATE_MS = 10_000;
/** How long before the release the stable version is looked at, milliseconds. */
const BASELINE_MS = 600_000;
/** A window is complete a tenth of the grid after its end; looking at this share of it finds it complete. */
const SETTLED_SHARE = 0.15;
/** How long the last requests before a rollback are waited for, milliseconds: two scrapes of the usual 5 s, and their way into the server. */
const LAST_COUNT_MS = 15_000;
/** When nothing could be learnt, it is tried again after this long, milliseconds. */
const RETRY_MS = 5_000;

/** Metrics by which both versions can be compared. */
const comparedMetrics = ({ spec, observed }: Draft): string[] => comparedBy(spec, observed.counted);

const evaluateMs = (draft: Draft): number => {
  const { evaluate } = draft.spec.analysis;
  return evaluate === undefined ? Math.min(intervalMs(draft), DEFAULT_EVALUATE_MS) : Math.max(1, durationMs(evaluate));
};

/**
 * Look at what canary and stable were asked since the last time, if that is due, and end the run if the canary is worse. What is
 * missing is asked for.
 * @param now true: look, due or not; the step is about to be left
 */
export function evaluate(draft: Draft, rules: PlanStep, now: boolean): void {
  const { verdict: spec } = draft.spec.analysis;
  const startedAt = ms(draft.status.step?.startedAt);
  if (!spec || startedAt === undefined || !draft.status.run || incomparable(rules) !== undefined) return;
  const verdict = verdictOf(draft, spec);
  draft.wakeAt(ms(verdict.next));
  if (!now && draft.now < ms(verdict.next)) return;
  const outcome = look(draft, verdict, rules, startedAt, spec);
  if (outcome) conclusion(draft, verdict, outcome, spec);
}

/** Add what is new to the evidence; undefined when it has to be asked for first. */
function look(draft: Draft, verdict: VerdictStatus, rules: PlanStep, startedAt: number, spec: VerdictSpec): Outcome | undefined {
  const metrics = comparedMetrics(draft);
  const needs = metrics.flatMap((metric) => needsOf(draft, verdict, metric, rules, startedAt));
  if (needs.some((need) => answerTo(draft, need) === undefined)) {
    draft.needs.windows = needs;
    return undefined;
  }
  delete verdict.error;
  const gridMs = Math.max(0, ...needs.map((need) => learn(draft, verdict, need, startedAt, spec)));
  verdict.streams = verdict.streams.filter(({ metric }) => metrics.includes(metric)).map((stream) => withInterval(shorten(stream)));
  verdict.next = nextOf(draft, verdict, gridMs);
  draft.wakeAt(ms(verdict.next));
  return outcomeOf(verdict.streams, metrics.length, optionsOf(spec));
}

/**
 * A version is taken back as soon as there is evidence enough for that, which is less than a change in Git asks for. The requests that
 * it had got by then are counted a little later: true once they are, or nothing is to be written to Git anyway.
 */
export function countedToTheEnd(draft: Draft, rules: PlanStep): boolean {
  const { run, step, verdict } = draft.status;
  const spec = draft.spec.analysis.verdict;
  const startedAt = ms(step?.startedAt);
  const git = draft.spec.onRollback?.git ?? 'none';
  if (!spec || !verdict || startedAt === undefined || run?.evidence === undefined || git === 'none') return true;
  const until = ms(run.ending?.at ?? '') + LAST_COUNT_MS;
  if (run.evidence >= Math.log(1 / WRITE_BACK_ALPHA) || !(draft.now < until)) return true;
  draft.wakeAt(until);
  draft.wakeAt(ms(verdict.next));
  draft.wait('TakingBack', 'all traffic is with the stable revision again; its last requests are being counted, for the revert in Git');
  if (draft.now < ms(verdict.next)) return false;
  const outcome = look(draft, verdict, rules, startedAt, spec);
  if (outcome) run.evidence = Math.max(run.evidence, rounded(outcome.strength));
  return outcome !== undefined && run.evidence >= Math.log(1 / WRITE_BACK_ALPHA);
}

/** The evidence of this run. A new run is a new question. */
function verdictOf(draft: Draft, spec: VerdictSpec): VerdictStatus {
  const run = draft.status.run?.id ?? '';
  if (draft.status.verdict?.run !== run) draft.status.verdict = { run, next: iso(draft.now), streams: [] };
  const { verdict } = draft.status;
  askAnew(draft, verdict, spec);
  const step = draft.status.step && stepName(draft.status.step);
  if (verdict.step === step) return verdict;
  // Health is of one step: the next one has more traffic, and may show what this one could not.
  for (const stream of verdict.streams) stream.health = 0;
  if (step !== undefined) verdict.step = step;
  return verdict;
}

/** Evidence answers one question. Where an edit of the spec asks another one, it begins anew. */
function askAnew(draft: Draft, verdict: VerdictStatus, { maxRegression }: VerdictSpec): void {
  const { against } = verdict;
  if (against && (against.ratio !== maxRegression.ratio || against.difference !== maxRegression.difference))
    for (const stream of verdict.streams) Object.assign(stream, withoutVerdict(stream));
  verdict.against = { ...maxRegression };
  const anew = verdict.streams.some(({ metric, given }) => given !== givenFor(draft, metric));
  if (!anew) return;
  verdict.streams = verdict.streams.filter(({ metric, given }) => given === givenFor(draft, metric));
  verdict.next = iso(draft.now);
}

function needsOf(draft: Draft, verdict: VerdictStatus, metric: string, rules: PlanStep, startedAt: number): WindowsNeed[] {
  const known = verdict.streams.filter((stream) => stream.metric === metric);
  const { control, ...source } = countedBy(rules);
  const first = ms(draft.status.run?.firstWeightAt) ?? startedAt;
  const since = known.length > 0 ? Math.min(...known.map(({ until }) => ms(until))) : startedAt;
  const need = (of: EvidenceOf, from: number, to: number): WindowsNeed => ({ metric, of, from, to, ...source });
  const run = { ...need('run', since, draft.now), ...(control ? { control } : {}) };
  if (known.length > 0) return [run];
  const before = baselineFrom(draft, first);
  return [need('baseline', before, Math.max(first, before + 1)), run];
}

/** Before it was stable, its slot had another version. */
function baselineFrom(draft: Draft, first: number): number {
  const promoted = draft.status.history?.find(({ result }) => result === 'Succeeded');
  return Math.max(first - BASELINE_MS, promoted ? ms(promoted.startedAt) : 0);
}

const answerTo = (draft: Draft, need: WindowsNeed) => draft.observed.windows?.find((item) => item.metric === need.metric && item.of === need.of)?.windows;

/** Lay what was counted over the evidence. Returns the length of the windows, 0 when there were none. */
function learn(draft: Draft, verdict: VerdictStatus, need: WindowsNeed, startedAt: number, spec: VerdictSpec): number {
  const answer = answerTo(draft, need);
  if (answer?.kind === 'Error') verdict.error = clip(`${need.metric}: ${answer.message}`, 400);
  if (answer?.kind !== 'Windows') return 0;
  if (!verdict.streams.some(({ metric }) => metric === need.metric)) begin(draft, verdict, need, answer, startedAt);
  const from = isLatency(need.metric) ? Math.max(startedAt, (ms(draft.status.run?.firstWeightAt) ?? startedAt) + durationMs(draft.spec.analysis.warmup)) : startedAt;
  for (const stream of verdict.streams.filter(({ metric }) => metric === need.metric)) {
    if (need.of === 'baseline') foldBaseline(stream, answer, startedAt);
    else foldRun(stream, answer, from, optionsOf(spec));
  }
  return answer.gridMs;
}

/** Bands that were chosen from windows of the run begin after those: what chose a question must not answer it. */
function begin(draft: Draft, verdict: VerdictStatus, need: WindowsNeed, answer: Counted, startedAt: number): void {
  // Without the baseline, clusters of errors would be taken for as many facts.
  if (draft.observed.windows?.some(({ metric, of, windows }) => metric === need.metric && of === 'baseline' && windows.kind === 'Error')) return;
  const bounds = boundsOf(draft, need.metric, answer);
  if (!bounds) return;
  const given = givenFor(draft, need.metric);
  const chosen = isLatency(need.metric) && given === undefined;
  const after = chosen ? (answer.windows.at(-1)?.to ?? startedAt) : startedAt;
  const until = need.of === 'baseline' ? need.from : after;
  verdict.streams.push(...bounds.map((bound) => ({ ...newStream(need.metric, bound, until), ...(given === undefined ? {} : { given }) })));
}

/** The bound that the spec gives for a metric whose comparison has one. */
const givenFor = (draft: Draft, metric: string): number | undefined => (isLatency(metric) ? draft.spec.analysis.metrics.find(({ name }) => name === metric)?.thresholdRange?.max : undefined);

/** The bounds by which a metric is compared; undefined while they cannot be told. */
function boundsOf(draft: Draft, metric: string, answer: Counted): (number | undefined)[] | undefined {
  if (!isLatency(metric)) return [undefined];
  const given = givenFor(draft, metric);
  if (given === undefined) return bandsOf(answer);
  const bucket = bucketFor(answer.bounds, given);
  return bucket === undefined ? undefined : [bucket];
}

function withInterval(stream: VerdictStream): VerdictStream {
  const interval = differenceInterval(stream);
  const points = (value: number): number => Math.round(value * 1000) / 1000 + 0;
  return interval ? { ...stream, low: points(interval.low), high: points(interval.high) } : stream;
}

/** When the next windows are complete. */
function nextOf(draft: Draft, verdict: VerdictStatus, gridMs: number): string {
  const every = evaluateMs(draft);
  if (gridMs === 0) return iso(draft.now + Math.min(every, RETRY_MS));
  const newest = Math.max(...verdict.streams.map(({ until }) => ms(until)));
  const windows = Math.max(1, Math.ceil(every / gridMs));
  const aligned = newest + windows * gridMs + gridMs * SETTLED_SHARE;
  return iso(Math.max(draft.now + Math.min(every, gridMs) / 2, Number.isFinite(aligned) ? aligned : draft.now + every));
}

function conclusion(draft: Draft, verdict: VerdictStatus, { worse, strength }: Outcome, spec: VerdictSpec): void {
  const missing = missingSamples(verdict, spec);
  if (missing > 0) verdict.missing = missing;
  else delete verdict.missing;
  if (!worse || !draft.status.run) return;
  conclude(draft, 'Failed', 'Regression', `${streamWords(worse)}; chance would show this of a version that is not worse in ${odds(strength)} runs`);
  draft.status.run.evidence = rounded(strength);
}

const rounded = (strength: number): number => Math.round(strength * 100) / 100;

/** Requests that the canary must have had before a step is left, less those that it had. */
function missingSamples({ streams }: VerdictStatus, { minSamples }: VerdictSpec): number {
  const counted = streams.filter(({ metric }) => !isLatency(metric));
  const seen = Math.min(...(counted.length > 0 ? counted : streams).map(({ canary }) => canary.total));
  return Math.max(0, Math.ceil(minSamples - (Number.isFinite(seen) ? seen : 0)));
}

/** Why a step may not be left yet, and in how many milliseconds that may be otherwise. */
interface Lacking {
  reason: 'NotEnoughData' | 'MetricsUnavailable';
  message: string;
  after: number;
}

/** Why a step may not be left yet; undefined when the verdict has nothing against it. */
export function verdictHolds(draft: Draft, rules: PlanStep): Lacking | undefined {
  const { verdict } = draft.status;
  if (!draft.spec.analysis.verdict || incomparable(rules) !== undefined || !verdict) return undefined;
  if (verdict.error !== undefined) return { reason: 'MetricsUnavailable', message: `the versions could not be compared: ${verdict.error}`, after: Math.min(RETRY_MS, intervalMs(draft)) };
  const { missing } = verdict;
  if (missing === undefined) return undefined;
  return { reason: 'NotEnoughData', message: `${missing} more request${missing === 1 ? '' : 's'} to the canary are needed before it can be compared with the stable version (analysis.verdict.minSamples ${draft.spec.analysis.verdict.minSamples})`, after: afterSamples(draft, missing) };
}

/** When as many more requests may have come, at the rate so far: looking sooner, night after night, would cost a write each time. */
function afterSamples(draft: Draft, missing: number): number {
  const { run, step } = draft.status;
  const seen = Math.max(0, (draft.spec.analysis.verdict?.minSamples ?? 0) - missing);
  const since = ms(run?.firstWeightAt) ?? ms(step?.startedAt) ?? draft.now;
  const expected = seen > 0 ? (missing * (draft.now - since)) / seen : Number.POSITIVE_INFINITY;
  return Math.min(intervalMs(draft), Math.max(RETRY_MS, expected));
}

/** With `fast`: it has been shown, in this step, that the canary is not worse. */
export function shownHealthy(draft: Draft): boolean {
  const { verdict } = draft.status;
  const spec = draft.spec.analysis.verdict;
  if (!spec?.fast || !verdict || verdict.missing !== undefined || verdict.error !== undefined) return false;
  return outcomeOf(verdict.streams, comparedMetrics(draft).length, optionsOf(spec)).healthy;
}
