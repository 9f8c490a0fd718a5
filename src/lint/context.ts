import type { CanarySpec, MetricSpec, MetricTemplateSpec } from '../api/index.js';
import { durationMs } from '../api/index.js';
import type { FieldPath, Written } from './documents.js';
import { fieldOf } from './documents.js';
import type { Finding, Severity } from './finding.js';
import { findingAt } from './schema.js';

/** What is known of the cluster that the manifests are for. */
export interface Surroundings {
  /** Time between two scrapes of the proxies, milliseconds. */
  scrapeMs: number;
  /** Requests per second to the target; undefined when nobody said. */
  rps?: number;
}

/** A Canary that the API server would take, and what the files say beside it. */
export interface CanaryContext extends Surroundings {
  written: Written;
  namespace: string;
  spec: CanarySpec;
  /** By NAMESPACE/NAME; undefined when the files do not hold it, null when it cannot be read. */
  template: (metric: MetricSpec) => MetricTemplateSpec | null | undefined;
}

export type CanaryRule = (context: CanaryContext) => Finding[];

/** Makes findings about one object. */
export const reporter =
  (written: Written) =>
  (severity: Severity, rule: string, path: FieldPath, message: string): Finding =>
    findingAt(written, path, severity, rule, fieldOf(path), message);

/** Metrics with their paths, and the conduct that their template has as a default. */
export interface Judged {
  metric: MetricSpec;
  path: FieldPath;
  template: MetricTemplateSpec | null | undefined;
}

export const metricsOf = ({ spec, template }: CanaryContext): Judged[] =>
  spec.analysis.metrics.map((metric, index) => {
    const found = template(metric);
    return { metric: found ? { ...conductOf(found), ...given(metric) } : metric, path: ['spec', 'analysis', 'metrics', index], template: found };
  });

/** True for a template whose counts of both versions a verdict can compare, window by window. */
export const isComparable = (template: MetricTemplateSpec | null | undefined): boolean => template?.counts !== undefined && template.provider.type === 'prometheus';

const given = (metric: MetricSpec): MetricSpec => Object.fromEntries(Object.entries(metric).filter(([, value]) => value !== undefined)) as MetricSpec;
const conductOf = ({ dryRun, failureLimit, consecutiveSuccess, initialDelay, count }: MetricTemplateSpec) => ({ dryRun, failureLimit, consecutiveSuccess, initialDelay, count });

export const intervalOf = ({ spec }: CanaryContext): number => durationMs(spec.analysis.interval);
/** Longest time without progress, milliseconds. */
export const deadlineOf = ({ spec }: CanaryContext): number => spec.progressDeadlineSeconds * 1000;

/** `90s`, `5m`: as people write it. */
export function span(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  return [hours > 0 ? `${hours}h` : '', minutes > 0 ? `${minutes}m` : '', rest > 0 || seconds === 0 ? `${rest}s` : ''].join('');
}
