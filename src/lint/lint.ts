import { canarySpec, durationMs, metricTemplateSpec, type CanarySpec, type MetricSpec, type MetricTemplateSpec } from '../api/index.js';
import { reporter, type CanaryRule, type Surroundings } from './context.js';
import { nameOf, readObjects, type Written } from './documents.js';
import { SEVERITIES, type Finding } from './finding.js';
import { twice, sources } from './rules/names.js';
import { absence, judging, ranges } from './rules/ranges.js';
import { templateFindings } from './rules/templates.js';
import { lengths, samples, scrapes } from './rules/timing.js';
import { comparable, shares, unreached } from './rules/traffic.js';
import { isOurs, schemaFindings } from './schema.js';

/** Every rule about one Canary; a new one is a line here. */
const RULES: readonly CanaryRule[] = [ranges, absence, judging, scrapes, lengths, samples, comparable, unreached, shares, twice, sources];

/** A file of manifests. */
export interface TextFile {
  file: string;
  text: string;
  /** Somebody named it; else it was found in a folder, and may hold something else altogether. */
  named: boolean;
}

export interface Linted {
  /** By file and line. */
  findings: Finding[];
  /** How many objects of each of Sluice's kinds were looked at. */
  looked: Record<string, number>;
}

export interface Options extends Surroundings {
  /** For objects that name none. */
  namespace: string;
}

/** Looks at manifests as a person with much time would. Pure: asks no cluster and no metrics server. */
export function lint(files: readonly TextFile[], options: Options): Linted {
  const read = files.map(({ file, text, named }) => readObjects(file, text, named));
  const objects = read.flatMap((one) => one.objects).filter(({ manifest }) => isOurs(manifest));
  const findings = [...read.flatMap((one) => one.findings), ...objects.flatMap(schemaFindings), ...againFindings(objects, options.namespace)];
  const templates = templatesOf(objects, options.namespace);
  for (const written of objects) {
    const { kind } = written.manifest;
    if (kind === 'Canary') findings.push(...canaryFindings(written, templates, options));
    if (kind === 'MetricTemplate') findings.push(...ofTemplate(written));
  }
  const looked: Record<string, number> = {};
  for (const { manifest } of objects) looked[manifest.kind] = (looked[manifest.kind] ?? 0) + 1;
  return { findings: sorted(findings), looked };
}

const namespaceOf = ({ manifest }: Written, standard: string): string => manifest.metadata.namespace ?? standard;

/** By NAMESPACE/NAME; null where it cannot be read. */
function templatesOf(objects: readonly Written[], namespace: string): Map<string, MetricTemplateSpec | null> {
  const templates = objects.filter(({ manifest }) => manifest.kind === 'MetricTemplate');
  return new Map(templates.map((written) => [`${namespaceOf(written, namespace)}/${written.manifest.metadata.name}`, metricTemplateSpec.safeParse(written.manifest['spec']).data ?? null]));
}

function canaryFindings(written: Written, templates: ReadonlyMap<string, MetricTemplateSpec | null>, options: Options): Finding[] {
  const spec = readCanary(written);
  // What is wrong with it has been said of its schema.
  if (!spec) return [];
  const namespace = namespaceOf(written, options.namespace);
  const template = ({ templateRef }: MetricSpec): MetricTemplateSpec | null | undefined => (templateRef ? templates.get(`${templateRef.namespace ?? namespace}/${templateRef.name}`) : undefined);
  return RULES.flatMap((rule) => rule({ ...options, written, namespace, spec, template }));
}

/** The spec with its defaults; undefined when it cannot be used. */
export function readCanary({ manifest }: Written): CanarySpec | undefined {
  const { data } = canarySpec.safeParse(manifest['spec']);
  if (!data) return undefined;
  const { stepWeight, stepWeights, steps, iterations, interval } = data.analysis;
  const plans = [stepWeight, stepWeights, steps, iterations].filter((plan) => plan !== undefined);
  return plans.length === 1 && durationMs(interval) > 0 ? data : undefined;
}

function ofTemplate(written: Written): Finding[] {
  const { data } = metricTemplateSpec.safeParse(written.manifest['spec']);
  return data ? templateFindings(written, data) : [];
}

/** Objects that are declared twice, and targets that two Canaries want. */
function againFindings(objects: readonly Written[], namespace: string): Finding[] {
  const [known, targets] = [new Map<string, Written>(), new Map<string, Written>()];
  return objects.flatMap((written) => {
    const { kind, metadata } = written.manifest;
    const report = reporter(written);
    const own = namespaceOf(written, namespace);
    const before = remember(known, `${kind} ${own}/${metadata.name}`, written);
    if (before) return [report('error', 'declared-twice', ['metadata', 'name'], `${nameOf(written.manifest)} is declared at ${before.file}:${before.lineOf([])}, too; keep one of them`)];
    const { targetRef } = (written.manifest['spec'] ?? {}) as { targetRef?: { kind?: string; name?: string } };
    if (kind !== 'Canary' || targetRef?.name === undefined) return [];
    const other = remember(targets, `${targetRef.kind} ${own}/${targetRef.name}`, written);
    return other ? [report('error', 'target-claimed', ['spec', 'targetRef'], `${nameOf(other.manifest)} (${other.file}:${other.lineOf([])}) releases ${targetRef.kind} ${targetRef.name}, too, and only the older one would; keep one of them`)] : [];
  });
}

function remember(known: Map<string, Written>, key: string, written: Written): Written | undefined {
  const before = known.get(key);
  if (!before) known.set(key, written);
  return before;
}

function sorted(findings: readonly Finding[]): Finding[] {
  const unique = new Map(findings.map((finding) => [JSON.stringify(finding), finding]));
  const rank = ({ severity }: Finding): number => SEVERITIES.indexOf(severity);
  return [...unique.values()].toSorted((a, b) => a.file.localeCompare(b.file) || a.line - b.line || rank(a) - rank(b));
}
