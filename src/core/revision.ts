import { createHash } from 'node:crypto';
import { Annotations, type CanarySpec } from '../api/index.js';
import type { ConfigContent, ConfigReference, PodTemplate } from './pod-template.js';
import { configReferences, withoutDefaults } from './pod-template.js';

/**
 * First letter of every revision name: the version of the algorithm below. A later algorithm gets another letter, and what
 * exists keeps its name, so an upgrade of the controller re-rolls nothing.
 */
const ALGORITHM = 'a';
const DIGITS = 9;

/** JSON with sorted keys, so that equal content gives equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

export const digest = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');

/** What is done with a reference: `track` ConfigMaps and `share` Secrets unless `spec.revisions.configs` says otherwise. */
function modeOf(spec: CanarySpec, reference: Pick<ConfigReference, 'kind' | 'name'>): 'track' | 'share' | 'ignore' {
  const said = spec.revisions.configs?.find((item) => item.kind === reference.kind && item.name === reference.name);
  return said?.mode ?? (reference.kind === 'ConfigMap' ? 'track' : 'share');
}

export const trackedReferences = (spec: CanarySpec, template: PodTemplate): ConfigReference[] =>
  configReferences(template).filter((reference) => modeOf(spec, reference) === 'track');

/** A tracked object with the content it has now; `absent` only for optional references. */
export interface TrackedConfig {
  kind: 'ConfigMap' | 'Secret';
  name: string;
  content: ConfigContent | 'absent';
}

/** An immutable revision: the pod template and the content of what it tracks, named by their hash. */
export interface Revision {
  name: string;
  template: PodTemplate;
  configs: TrackedConfig[];
}

/** `kubectl rollout restart` is not a new version: its annotation stays outside the hash (trap K8). */
function withoutRestart(template: PodTemplate): PodTemplate {
  const annotations = { ...template.metadata?.annotations };
  delete annotations[Annotations.restartedAt];
  const { annotations: _, ...metadata } = template.metadata ?? {};
  return { ...template, metadata: Object.keys(annotations).length > 0 ? { ...metadata, annotations } : metadata };
}

export function makeRevision(template: PodTemplate, configs: TrackedConfig[]): Revision {
  const kept = withoutRestart(template);
  const sorted = [...configs].sort((a, b) => `${a.kind}/${a.name}`.localeCompare(`${b.kind}/${b.name}`));
  const name = ALGORITHM + digest({ template: withoutDefaults(kept), configs: sorted }).slice(0, DIGITS);
  return { name, template: kept, configs: sorted };
}

/** Name of the frozen copy of a tracked object: by content, so that revisions with the same content share it. */
export const snapshotName = (config: TrackedConfig): string => `${config.name.slice(0, 240)}-${digest(config.content).slice(0, 8)}`;
