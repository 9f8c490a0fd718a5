import { z } from 'zod';
import { Annotations, Labels, type Canary, type Provenance } from '../api/index.js';
import { revisionName } from '../core/names.js';
import type { DesiredRevision } from '../core/observation.js';
import { mutableImages, podTemplateSchema, type ConfigContent, type PodTemplate } from '../core/pod-template.js';
import { singleton } from '../core/singleton.js';
import { digest, makeRevision, snapshotName, trackedReferences, type Revision, type TrackedConfig } from '../core/revision.js';
import type { Problem } from '../core/evidence.js';
import type { RevisionData } from '../core/workload.js';
import { Resources, type KubeObject } from '../kube/index.js';
import type { Cache } from './cache.js';
import { readTemplate } from './facts.js';
import { workloadsOf } from './workloads.js';

export type Desired = { revision: Revision; observation: DesiredRevision } | { problem: Problem } | undefined;

/** Reads Secrets that are tracked; Sluice watches no others. */
export interface SecretReader {
  /** The Secret as last seen; `undefined` when it is not known yet, `'absent'` when it does not exist. */
  read(namespace: string, name: string): KubeObject | 'absent' | undefined;
}

interface Entry {
  cacheKey: string;
  desired: Desired;
}

const strings = z.record(z.string(), z.string()).optional();
export function contentOf(object: KubeObject): ConfigContent {
  const data = strings.safeParse(object['data']).data;
  const binaryData = strings.safeParse(object['binaryData']).data;
  return { ...(data ? { data } : {}), ...(binaryData ? { binaryData } : {}) };
}

const ROTATED_TYPES = new Set(['kubernetes.io/tls', 'kubernetes.io/service-account-token', 'kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg', 'bootstrap.kubernetes.io/token']);

/** Why a Secret must not be frozen: somebody renews it (trap K6). */
function rotatedByOthers(object: KubeObject): string | undefined {
  if (object.kind !== 'Secret') return undefined;
  const type = object['type'];
  if (typeof type === 'string' && ROTATED_TYPES.has(type)) return `is of type ${type}`;
  const owner = object.metadata.ownerReferences?.find(({ controller }) => controller);
  return owner && `is managed by ${owner.kind} ${owner.name}`;
}

/** Provenance as our Git sync, or nobody, wrote it on an object. */
function provenanceAt(object: KubeObject): { at: number; provenance: Provenance } | undefined {
  const notes = object.metadata.annotations ?? {};
  const commit = notes[Annotations.commit];
  if (!commit) return undefined;
  const commits = (notes[Annotations.commits] ?? '').split(',').filter(Boolean).slice(0, 20);
  const optional = { author: notes[Annotations.author], subject: notes[Annotations.subject], source: notes[Annotations.source], path: notes[Annotations.path] };
  const known = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return { at: Date.parse(notes[Annotations.syncedAt] ?? '') || 0, provenance: { commit, ...(commits.length > 0 ? { commits } : {}), ...known } };
}

/** Works out which revision the target and its tracked configuration make, and since when. */
export class Revisions {
  readonly #entries = new Map<string, Entry>();
  readonly #since = new Map<string, { revision: string; since: number }>();

  constructor(
    private readonly cache: Cache,
    private readonly secrets: SecretReader,
    private readonly now: () => number,
  ) {}

  forget(key: string): void {
    this.#entries.delete(key);
    this.#since.delete(key);
  }

  desired(canary: Canary, target: KubeObject | undefined): Desired {
    if (!target) return undefined;
    const key = `${canary.metadata.namespace}/${canary.metadata.name}`;
    const read = readTemplate(target);
    if ('problem' in read) return { problem: { reason: 'InvalidSpec', message: `${target.kind} ${target.metadata.name}: spec.template cannot be read: ${read.problem}` } };
    const { template } = read;
    const references = trackedReferences(canary.spec, template);
    const objects = references.map((reference) => ({ reference, object: this.#config(canary, reference) }));
    const versions = objects.map(({ object }) => (object === 'absent' ? '-' : (object?.metadata.resourceVersion ?? '?')));
    const { configs = [], allow = [] } = canary.spec.revisions;
    const modes = JSON.stringify(allow.length > 0 ? [configs, allow] : configs);
    const cacheKey = [target.metadata.uid, target.metadata.generation, target.metadata.annotations?.[Annotations.syncedAt], modes, ...versions].join('|');
    const known = this.#entries.get(key);
    if (known?.cacheKey === cacheKey) return this.#settling(canary, references, known.desired);
    const origin = digest([target.metadata.uid, target.metadata.generation, modes, ...versions]).slice(0, 16);
    const desired = this.#compute(canary, key, target, template, objects, origin);
    this.#entries.set(key, { cacheKey, desired });
    return this.#settling(canary, references, desired);
  }

  /**
   * After an outage caches catch up one by one: until then one may show what was before and another what is now, and together what
   * never was (trap G3). So nothing has been quiet for any time while one of them does not follow.
   */
  #settling(canary: Canary, references: { kind: string }[], desired: Desired): Desired {
    const tracked = references.some(({ kind }) => kind === 'ConfigMap');
    const follow = !tracked || (this.cache.configMaps.following && workloadsOf(this.cache, canary).informer.following);
    if (follow || !desired || !('observation' in desired)) return desired;
    return { ...desired, observation: { ...desired.observation, since: this.now() } };
  }

  #config(canary: Canary, reference: { kind: string; name: string }): KubeObject | 'absent' | undefined {
    const namespace = canary.metadata.namespace ?? '';
    if (reference.kind === 'Secret') return this.secrets.read(namespace, reference.name);
    return this.cache.configMaps.get(namespace, reference.name) ?? 'absent';
  }

  #compute(canary: Canary, key: string, target: KubeObject, template: PodTemplate, objects: { reference: { kind: 'ConfigMap' | 'Secret'; name: string; optional: boolean }; object: KubeObject | 'absent' | undefined }[], origin: string): Desired {
    const configs: TrackedConfig[] = [];
    const strategy = (target['spec'] as { strategy?: { type?: string } } | undefined)?.strategy?.type;
    const twice = singleton(template, strategy, canary.spec.revisions.allow ?? []);
    if (twice) return { problem: { reason: 'Singleton', message: `${target.kind} ${target.metadata.name}: ${twice}` } };
    for (const { reference, object } of objects) {
      const { kind, name } = reference;
      const rotated = typeof object === 'object' ? rotatedByOthers(object) : undefined;
      if (rotated) return { problem: { reason: 'InvalidSpec', message: `Secret ${name} ${rotated}: a frozen copy would outlive it. Correct spec.revisions.configs: use mode share` } };
      if (object === undefined) return undefined;
      if (object !== 'absent') configs.push({ kind, name, content: contentOf(object) });
      else if (reference.optional) configs.push({ kind, name, content: 'absent' });
      else
        return {
          problem: {
            reason: 'ConfigUnreadable',
            message: `${kind} ${name}, which ${target.kind} ${target.metadata.name} refers to, does not exist; what serves goes on serving. Create it, or mark the reference optional`,
          },
        };
    }
    const revision = makeRevision(template, configs);
    const mutable = mutableImages(template);
    const observation: DesiredRevision = {
      revision: revision.name,
      origin,
      ...(mutable.length > 0 ? { mutableImages: mutable } : {}),
      provenance: this.#provenance(canary, target, objects, revision.name),
      since: this.#seen(key, revision.name),
      ...(target.metadata.annotations?.[Annotations.retry] ? { retry: true } : {}),
    };
    return { revision, observation };
  }

  /** The newest sync among what makes the revision. A change that no sync made is of unknown origin, and says so by silence. */
  #provenance(canary: Canary, target: KubeObject, objects: { object: KubeObject | 'absent' | undefined }[], revision: string): Provenance {
    const confirmed = target.metadata.annotations?.[Annotations.confirmed];
    if (confirmed !== undefined && confirmed !== revision) return {};
    const sources = [target, ...objects.flatMap(({ object }) => (object === undefined || object === 'absent' ? [] : [object]))];
    const found = sources.flatMap((object) => provenanceAt(object) ?? []).sort((a, b) => b.at - a.at)[0];
    if (!found) return {};
    const { stable } = canary.status ?? {};
    if (stable && stable.revision !== revision && stable.commit === found.provenance.commit) return {};
    return found.provenance;
  }

  #seen(key: string, revision: string): number {
    const known = this.#since.get(key);
    if (known?.revision === revision) return known.since;
    const since = this.now();
    this.#since.set(key, { revision, since });
    return since;
  }
}

const dataSchema = z.object({
  template: podTemplateSchema,
  configs: z.array(
    // Servers may drop a null.
    z.object({ kind: z.enum(['ConfigMap', 'Secret']), name: z.string(), snapshot: z.string().nullish().transform((name) => name ?? null) }),
  ),
});

/** The ControllerRevision that keeps a revision, and the frozen copies of its configuration. Content is named by hash: creating twice is harmless. */
export function revisionObjects(canary: Canary, revision: Revision, provenance: Provenance): KubeObject[] {
  const namespace = canary.metadata.namespace ?? '';
  const labels = { [Labels.canary]: canary.metadata.name };
  const configs = revision.configs.map((config) => ({ kind: config.kind, name: config.name, snapshot: config.content === 'absent' ? null : snapshotName(config) }));
  const data: RevisionData = { template: revision.template, configs };
  const notes = Object.entries({ [Annotations.commit]: provenance.commit, [Annotations.author]: provenance.author, [Annotations.subject]: provenance.subject, [Annotations.source]: provenance.source, [Annotations.path]: provenance.path });
  const snapshots = revision.configs.flatMap((config): KubeObject[] =>
    config.content === 'absent'
      ? []
      : [
          {
            apiVersion: 'v1',
            kind: config.kind,
            metadata: { name: snapshotName(config), namespace, labels: { ...labels, [Labels.configOf]: config.name } },
            immutable: true,
            ...config.content,
          },
        ],
  );
  return [
    ...snapshots,
    {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: revisionName(canary.spec, revision.name),
        namespace,
        labels: { ...labels, [Labels.revision]: revision.name },
        annotations: Object.fromEntries(notes.filter((note): note is [string, string] => note[1] !== undefined)),
      },
      revision: Date.parse(canary.metadata.creationTimestamp ?? '') || 1,
      data,
    },
  ];
}

/** What a ControllerRevision of ours holds; undefined when it is missing or not ours. */
export function readRevision(cache: Cache, canary: Canary, revision: string): RevisionData | undefined {
  const found = cache.revisions.get(canary.metadata.namespace, revisionName(canary.spec, revision));
  return found && dataSchema.safeParse(found['data']).data;
}

export const snapshotResource = (kind: string) => (kind === 'Secret' ? Resources.Secret : Resources.ConfigMap);
