import { z } from 'zod';
import type { Canary } from '../../api/index.js';
import { configReferences, podTemplateSchema, type ConfigContent, type PodTemplate } from '../../core/pod-template.js';
import { makeRevision, trackedReferences, type TrackedConfig } from '../../core/revision.js';
import type { KubeObject } from '../../kube/types.js';
import type { LocalRepository } from '../fetch.js';
import { groupVersion } from '../identity.js';
import { digestOf, renderTree } from '../manifests.js';
import { SyncError } from '../reasons.js';

/** A GitSource that renders the branch which is written to. */
export interface RenderedSource {
  /** NAMESPACE/NAME. */
  name: string;
  path: string;
  defaultNamespace: string;
  submodules: boolean;
}

/** A copy, and what brings parts of it that are not there. */
export type Reader = Omit<LocalRepository, 'commit'>;

/** Configuration that no manifest declares, as the cluster has it; undefined when it is not known. */
export type LiveConfig = (kind: 'ConfigMap' | 'Secret', namespace: string, name: string) => ConfigContent | 'absent' | undefined;

/** Everything that all sources render from one commit. */
export interface Rendering {
  objects: Map<string, KubeObject>;
  digests: Map<string, string>;
  /** Where each object is declared. */
  files: Map<string, string>;
  /** What could not be rendered, in words that do not name the commit. */
  failures: string[];
}

/** @throws Error of Git; what is wrong with the manifests is part of the answer. */
export async function renderAll({ call, sparse, submodules }: Reader, commit: string, sources: RenderedSource[]): Promise<Rendering> {
  const rendering: Rendering = { objects: new Map(), digests: new Map(), files: new Map(), failures: [] };
  for (const { name, path, defaultNamespace, submodules: wanted } of sources) {
    try {
      const { objects, failures } = await renderTree({ call, commit, ...(sparse ? { sparse } : {}), ...(wanted && submodules ? { submodules } : {}) }, path, defaultNamespace);
      rendering.failures.push(...failures.map(({ message }) => `${name}: ${message}`));
      for (const { manifest, file } of objects) {
        const key = keyOf(manifest, defaultNamespace);
        rendering.objects.set(key, manifest);
        rendering.files.set(key, file);
        rendering.digests.set(`${name} ${key}`, digestOf(manifest));
      }
    } catch (error) {
      if (!(error instanceof SyncError) || (error.reason !== 'PathNotFound' && error.reason !== 'InvalidManifest')) throw error;
      rendering.failures.push(`${name}: ${error.reason}`);
    }
  }
  return rendering;
}

function keyOf({ apiVersion, kind, metadata }: KubeObject, defaultNamespace: string): string {
  return [groupVersion(apiVersion).group, kind, metadata.namespace ?? defaultNamespace, metadata.name].join('/');
}

const withTemplate = z.looseObject({ spec: z.looseObject({ template: podTemplateSchema }) });
const templateOf = (object: KubeObject | undefined): PodTemplate | undefined => withTemplate.safeParse(object).data?.spec.template;

const targetKey = ({ metadata, spec }: Canary): string => ['apps', spec.targetRef.kind, metadata.namespace ?? 'default', spec.targetRef.name].join('/');
const configKey = (canary: Canary, { kind, name }: { kind: string; name: string }): string => ['', kind, canary.metadata.namespace ?? 'default', name].join('/');

const texts = z.record(z.string(), z.string()).optional();

function contentOf(object: KubeObject): ConfigContent {
  const data = texts.safeParse(object['data']).data;
  const binaryData = texts.safeParse(object['binaryData']).data;
  const plain = texts.safeParse(object['stringData']).data;
  const encoded = plain && Object.fromEntries(Object.entries(plain).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const all = data || encoded ? { ...data, ...encoded } : undefined;
  return { ...(all ? { data: all } : {}), ...(binaryData ? { binaryData } : {}) };
}

/** The revision that a rendering makes of the canary's target; undefined when it declares none, or a part of it is not known. */
export function revisionIn({ objects }: Rendering, canary: Canary, live: LiveConfig): string | undefined {
  const template = templateOf(objects.get(targetKey(canary)));
  if (!template) return undefined;
  const configs: TrackedConfig[] = [];
  for (const { kind, name } of trackedReferences(canary.spec, template)) {
    const declared = objects.get(configKey(canary, { kind, name }));
    const content = declared ? contentOf(declared) : live(kind, canary.metadata.namespace ?? 'default', name);
    if (content === undefined) return undefined;
    configs.push({ kind, name, content });
  }
  return makeRevision(template, configs).name;
}

/** The file that declares the target. */
export const fileOfTarget = ({ files }: Rendering, canary: Canary): string | undefined => files.get(targetKey(canary));

/** The target and the configuration that is its alone: what a revert may change. */
function ownKeys({ objects }: Rendering, canary: Canary): Set<string> {
  const target = targetKey(canary);
  const template = templateOf(objects.get(target));
  const own = new Set(template ? trackedReferences(canary.spec, template).map((reference) => configKey(canary, reference)) : []);
  for (const [key, object] of objects) {
    const other = key === target || key.split('/')[2] !== (canary.metadata.namespace ?? 'default') ? undefined : templateOf(object);
    if (other) for (const reference of configReferences(other)) own.delete(configKey(canary, reference));
  }
  return own.add(target);
}

/** Objects that differ between two renderings and are not the canary's own, for people: `reviews-config of shop/main`. */
export function othersChanged(before: Rendering, after: Rendering, canary: Canary): string[] {
  const own = new Set([...ownKeys(before, canary), ...ownKeys(after, canary)]);
  const names = new Set([...before.digests.keys(), ...after.digests.keys()]);
  const changed = [...names].filter((name) => {
    const key = name.slice(name.indexOf(' ') + 1);
    return !own.has(key) && before.digests.get(name) !== after.digests.get(name);
  });
  const failures = after.failures.filter((failure) => !before.failures.includes(failure));
  return [...changed.map(describeKey), ...failures];
}

function describeKey(name: string): string {
  const [, kind, namespace, object] = name.slice(name.indexOf(' ') + 1).split('/');
  return `${kind} ${namespace}/${object}`;
}
