import type { CanarySpec, MetricSpec, MetricTemplateSpec } from '../../api/index.js';
import { canaryNames } from '../../core/names.js';
import type { MeasureRequest, MetricsSource } from '../../engine/ports.js';
import { Recording } from '../../simulate/recording.js';
import { CliError } from '../errors.js';

/** Which two versions, and who counted their requests. */
export interface Versions {
  stable: string;
  canary: string;
  reporter?: MeasureRequest['reporter'];
}

export interface RecordOptions {
  source: MetricsSource;
  server: string;
  namespace: string;
  name: string;
  spec: CanarySpec;
  templates: ReadonlyMap<string, MetricTemplateSpec>;
  gridMs: number;
  /** Unix milliseconds: what is read, the time before the release included. */
  from: number;
  to: number;
}

/** Windows that are asked for at once. */
const CHUNK = 500;
export const BUILT_IN = ['request-success-rate', 'request-duration'];
const ERRORS = 'request-success-rate';

export const isReplayed = (metric: MetricSpec, templates: RecordOptions['templates']): boolean => (metric.templateRef ? templates.has(metric.templateRef.name) : BUILT_IN.includes(metric.name));

/** The question that a metric asks of the past. */
export function requestOf({ server, namespace, name, spec, templates }: RecordOptions, { stable, canary, reporter }: Versions, metric: string, from: number, to: number): MeasureRequest {
  const given = spec.analysis.metrics.find((one) => one.name === metric);
  const template = given?.templateRef && templates.get(given.templateRef.name);
  return {
    metric,
    server,
    namespace,
    name,
    target: spec.targetRef.name,
    revision: canary,
    service: canary,
    stableService: stable,
    from,
    to,
    ...(reporter ? { reporter } : {}),
    ...(template && given.templateRef ? { template: { name: given.templateRef.name, spec: template, variables: given.templateVariables ?? {} } } : {}),
  };
}

/**
 * Counts of both versions from the metrics server, of every metric that gives counts; and those of which there are none, with the reason.
 * @throws CliError when the server cannot be asked
 */
export async function readRecord(options: RecordOptions, versions: Versions, metrics: readonly string[]): Promise<{ recording: Recording; empty: Map<string, string> }> {
  const { source, gridMs, from, to } = options;
  const recording = new Recording(gridMs);
  const empty = new Map<string, string>();
  for (const metric of new Set([ERRORS, ...metrics]))
    for (let start = from; start < to; start += CHUNK * gridMs) {
      const answer = await source.windows(requestOf(options, versions, metric, start, Math.min(to, start + CHUNK * gridMs)));
      if (answer.kind === 'Error') throw new CliError(`${metric}: ${answer.message}`);
      if (answer.kind === 'Windows') recording.add(metric, answer.bounds, answer.windows);
      else if (answer.kind === 'NoData') empty.set(metric, answer.message);
    }
  for (const metric of empty.keys()) if (recording.has(metric)) empty.delete(metric);
  return { recording, empty };
}

/** The Services of a Canary by its own names: which of them was the stable one is for the record to say. */
export function slotsOf(spec: CanarySpec): { slots: [string, string]; reporter?: MeasureRequest['reporter'] } {
  const { slots, subsets } = canaryNames(spec);
  return { slots: [slots.blue, slots.green], ...(subsets ? { reporter: 'workload' as const } : {}) };
}
