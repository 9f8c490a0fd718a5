import axios from 'axios';
import { durationMs, metricTemplateSpec, type CanarySpec, type MetricTemplateSpec } from '../../api/index.js';
import type { WindowCounts } from '../../core/evidence.js';
import { verdictRefusal } from '../../core/verdict/refusal.js';
import type { MeasureRequest, MetricsSource } from '../../engine/ports.js';
import { nameOf } from '../../lint/documents.js';
import { createMetricsSource } from '../../metrics/index.js';
import type { Recording } from '../../simulate/recording.js';
import { recorded, ReplayedRelease, type Looked, type Replayed } from '../../simulate/replay.js';
import type { Answer, Question } from '../../simulate/release.js';
import { segmentsOf, type Segment } from '../../simulate/segments.js';
import { CliError, Exit, UsageError } from '../errors.js';
import { readCanaryFile, type CanaryFile } from '../files.js';
import { json } from '../format.js';
import { aborted, type Io } from '../io.js';
import type { When } from '../options.js';
import { BUILT_IN, isReplayed, readRecord, requestOf, slotsOf, type RecordOptions, type Versions } from './record.js';
import { text } from './text.js';

export interface BacktestFlags {
  output: 'text' | 'json';
  name?: string;
  namespace?: string;
  metricsServer: string;
  header: [string, string][];
  from: When;
  to: When;
  stable?: string;
  canary?: string;
  reporter?: MeasureRequest['reporter'];
  /** Milliseconds. */
  metricsGrid: number;
  timeout: number;
}

/** What `--output json` prints. Instants are RFC 3339. */
export interface Backtest {
  canary: string;
  stableService: string;
  canaryService: string;
  /** As the requests were divided. */
  segments: { from: string; to: string; weight: number }[];
  /** First and last request of the canary in the record. */
  begin: string;
  end: string;
  requests: { canary: Counted; stable: Counted };
  /** Whether it would have been taken back; why, when, and what it had cost by then. */
  rolledBack: boolean;
  reason?: string;
  message?: string;
  at?: string;
  badUntilThen?: Counted;
  looks: (Omit<Looked, 'at'> & { at: string })[];
  checks: Replayed['checks'];
  notes: string[];
}
export interface Counted {
  requests: number;
  failed: number;
}

/** How long before the release the stable version is looked at, as the controller does. */
const BASELINE_MS = 600_000;
const ERRORS = 'request-success-rate';

/** `sluice backtest`: what this Canary would have made of a release that is in the record. */
export async function backtest(io: Io, file: string, flags: BacktestFlags): Promise<number> {
  const found = await readCanaryFile(file, flags.name);
  const times = timesOf(io, flags);
  const source = createMetricsSource({ gridMs: flags.metricsGrid, timeoutMs: flags.timeout, axios: axios.create({ headers: headersOf(io, flags) }), clock: io });
  try {
    const interrupted = aborted(io.signal).then(() => undefined);
    const result = await Promise.race([replayFrom(source, found, flags, times), interrupted]);
    if (!result) return Exit.interrupted;
    io.out(flags.output === 'json' ? json(result) : text(io, result));
    return Exit.ok;
  } finally {
    source.close();
  }
}

/** Credentials come by the environment, so that nobody sees them in a list of processes. */
function headersOf({ env }: Io, { header }: BacktestFlags): Record<string, string> {
  const token = env['SLUICE_METRICS_TOKEN']?.trim();
  return { ...Object.fromEntries(header), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
}

function timesOf(io: Io, { from, to, metricsGrid }: BacktestFlags): { from: number; to: number } {
  const instant = (when: When): number => ('at' in when ? when.at : io.now() - when.ago);
  const times = { from: instant(from), to: Math.min(instant(to), io.now()) };
  if (times.to - times.from < 2 * metricsGrid) throw new UsageError('--from must be before --to, by more than two windows (--metrics-grid), and not in the future');
  return times;
}

async function replayFrom(source: MetricsSource, { written, spec, others }: CanaryFile, flags: BacktestFlags, { from, to }: { from: number; to: number }): Promise<Backtest> {
  const templates = templatesOf(others);
  const options: RecordOptions = {
    source,
    server: flags.metricsServer,
    namespace: flags.namespace ?? written.manifest.metadata.namespace ?? 'default',
    name: written.manifest.metadata.name,
    spec,
    templates,
    gridMs: flags.metricsGrid,
    from: from - BASELINE_MS,
    to,
  };
  const replayed = spec.analysis.metrics.filter((metric) => isReplayed(metric, templates));
  const counted = replayed.filter(({ templateRef }) => templateRef && templates.get(templateRef.name)?.counts).map(({ name }) => name);
  const counting = [...replayed.filter(({ name, templateRef }) => !templateRef && BUILT_IN.includes(name)).map(({ name }) => name), ...counted];
  const versions = await versionsOf(options, flags, from);
  const { recording, empty } = await readRecord(options, versions, counting);
  const segments = released(recording, flags.metricsGrid, from, versions, options);
  const asPlayed = recorded(spec, segments, replayed.map(({ name }) => name));
  const release = new ReplayedRelease(asPlayed, segments, counted);
  const result = await answering(release.play(), recording, options, versions);
  const notes = [...[...empty].map(([metric, why]) => `The versions could not be compared by ${metric}: ${why}.`), ...notesOf(spec, asPlayed, segments, counted)];
  return report(nameOf(written.manifest), versions, segments, recording, result, notes);
}

/** Those of the file that ask Prometheus, of which the record is. Where its address is, the flag says. */
function templatesOf(others: CanaryFile['others']): Map<string, MetricTemplateSpec> {
  return new Map(
    others.flatMap(({ manifest }): [string, MetricTemplateSpec][] => {
      const { data } = manifest.kind === 'MetricTemplate' ? metricTemplateSpec.safeParse(manifest['spec']) : { data: undefined };
      if (!data || data.provider.type !== 'prometheus') return [];
      const { address: _address, secretRef: _secretRef, ...provider } = data.provider;
      return [[manifest.metadata.name, { ...data, provider }]];
    }),
  );
}

/** Slots take turns: the one that had the requests before the release was the stable one. */
async function versionsOf(options: RecordOptions, flags: BacktestFlags, from: number): Promise<Versions> {
  const { slots, reporter } = slotsOf(options.spec);
  const who = flags.reporter ?? reporter;
  const by = who ? { reporter: who } : {};
  if (flags.stable !== undefined && flags.canary !== undefined) return { stable: flags.stable, canary: flags.canary, ...by };
  if (flags.stable !== undefined || flags.canary !== undefined) throw new UsageError('--stable and --canary go together: name the Services of both versions');
  const [blue, green] = slots;
  const answer = await options.source.windows(requestOf(options, { stable: blue, canary: green, ...by }, ERRORS, options.from, from));
  if (answer.kind === 'Error') throw new CliError(answer.message);
  const windows = answer.kind === 'Windows' ? answer.windows : [];
  const [ofBlue, ofGreen] = [total(windows, 'stable'), total(windows, 'canary')];
  if (ofBlue === 0 && ofGreen === 0)
    throw new CliError(`the metrics server has no requests to ${blue} or ${green} in namespace ${options.namespace} in the ten minutes before --from; name the Services with --stable and --canary, the namespace with -n, or who counted with --reporter`);
  return { ...(ofBlue >= ofGreen ? { stable: blue, canary: green } : { stable: green, canary: blue }), ...by };
}

const total = (windows: readonly WindowCounts[], side: 'stable' | 'canary'): number => windows.reduce((sum, window) => sum + window[side].total, 0);

/** The release in the record: from the canary's first requests to its last ones, or to when it has them all. */
function released(recording: Recording, gridMs: number, from: number, { stable, canary }: Versions, { namespace }: RecordOptions): Segment[] {
  const windows = recording.all(ERRORS).filter(({ to }) => to - gridMs >= from);
  const segments = segmentsOf(windows, gridMs);
  const first = segments.findIndex(({ weight }) => weight > 0);
  const last = segments.findLastIndex(({ weight }) => weight > 0);
  if (first < 0) throw new CliError(`the metrics server has ${total(windows, 'canary')} requests to ${canary} and ${total(windows, 'stable')} to ${stable} in namespace ${namespace} between --from and --to: no release can be seen; choose other times, or name the Services with --stable and --canary`);
  return segments.slice(first, last + 1);
}

/** Answers what the release asks: counts from the recording, everything else from the server, for that time. */
async function answering(playing: Generator<Question, Replayed, Answer>, recording: Recording, options: RecordOptions, versions: Versions): Promise<Replayed> {
  const reply = async ({ now, needs }: Question): Promise<Answer> => ({
    windows: (needs.windows ?? []).map((need) => ({ metric: need.metric, of: need.of, windows: recording.windows(need, now) })),
    measurements: await Promise.all(
      needs.metrics.map(async (need) => ({
        metric: need.metric,
        measurement: BUILT_IN.includes(need.metric) ? recording.measure(need, now) : await options.source.measure(requestOf(options, versions, need.metric, need.from, need.to)),
      })),
    ),
  });
  for (let turn = playing.next(); ; turn = playing.next(await reply(turn.value))) if (turn.done) return turn.value;
}

/** What the replay leaves out, and what it has to take for granted. */
function notesOf(spec: CanarySpec, played: CanarySpec, segments: readonly Segment[], counted: readonly string[]): string[] {
  const left = spec.analysis.metrics.filter(({ name }) => !played.analysis.metrics.some((metric) => metric.name === name)).map(({ name }) => name);
  const { analysis } = spec;
  const refused = verdictRefusal(played, counted);
  const whole = segments.findIndex(({ weight }) => weight >= 100);
  return [
    'Weights are those of the record, as the requests were divided, not those of the file: after a check that fails, a live release would have kept its weight. Pods and deadlines are not replayed.',
    ...(left.length > 0 ? [`Not replayed: ${left.join(', ')}. Their MetricTemplates are not in the file, or are not of type prometheus.`] : []),
    ...((analysis.webhooks ?? []).length > 0 ? ['Webhooks are not asked.'] : []),
    ...(analysis.verdict?.fast ? ['Steps end when they ended in the record: analysis.verdict.fast has no effect here.'] : []),
    ...(analysis.match ?? analysis.steps?.some(({ match }) => match) ? ['With match, canary and stable were asked by different users: a difference may be one of the users.'] : []),
    ...(!analysis.verdict ? ['The Canary has no analysis.verdict: only its thresholds are replayed.'] : []),
    ...(analysis.verdict && refused !== undefined && whole < 0 ? [refused] : []),
    ...(analysis.verdict && whole >= 0 ? ['From the moment that the canary had all requests, there was nothing to compare it with.'] : []),
    ...(played.analysis.metrics.some(({ name }) => name === 'request-duration') ? [`Latency counts from ${durationMs(analysis.warmup) / 1000} s after the first request on (analysis.warmup).`] : []),
  ];
}

const iso = (at: number): string => new Date(at).toISOString();

function report(canary: string, { stable, canary: canaryService }: Versions, segments: readonly Segment[], recording: Recording, { ended, looks, checks }: Replayed, notes: string[]): Backtest {
  const [begin, end] = [segments[0]?.from ?? 0, segments.at(-1)?.to ?? 0];
  const within = (until: number): WindowCounts[] => recording.all(ERRORS).filter(({ to }) => to > begin && to <= until);
  const of = (side: 'canary' | 'stable', until: number): Counted => {
    const windows = within(until);
    return { requests: Math.round(total(windows, side)), failed: Math.round(windows.reduce((sum, window) => sum + (window[side].bad[0] ?? 0), 0)) };
  };
  return {
    canary,
    stableService: stable,
    canaryService,
    segments: segments.map(({ from, to, weight }) => ({ from: iso(from), to: iso(to), weight })),
    begin: iso(begin),
    end: iso(end),
    requests: { canary: of('canary', end), stable: of('stable', end) },
    rolledBack: ended !== undefined,
    ...(ended ? { reason: ended.reason, message: ended.message, at: iso(ended.at), badUntilThen: of('canary', ended.at) } : {}),
    looks: looks.map((look) => ({ ...look, at: iso(look.at) })),
    checks,
    notes,
  };
}
