import { createHash } from 'node:crypto';
import { GROUP, type GitSourceStatus } from '../api/index.js';
import { apiVersionOf } from '../kube/paths.js';
import type { KubeObject, Resource } from '../kube/types.js';

/** Field manager of everything that the sync applies. */
export const FIELD_MANAGER = 'sluice-git';

export type InventoryEntry = NonNullable<GitSourceStatus['inventory']>[number];

/** Labels that say which GitSource applied an object; only what carries both is ever pruned. */
const SourceLabels = { name: `${GROUP}/source-name`, namespace: `${GROUP}/source-namespace` } as const;

/** Names of objects may be longer than values of labels: those are shortened, with a hash so that they stay different. */
export function sourceLabels(namespace: string, name: string): Record<string, string> {
  const value =
    name.length <= 63
      ? name
      : `${name.slice(0, 50).replace(/[^a-z0-9]+$/, '')}-${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
  return { [SourceLabels.name]: value, [SourceLabels.namespace]: namespace };
}

/** GROUP/VERSION/KIND/NAMESPACE/NAME; the group of core kinds and the namespace of cluster-scoped ones are empty. */
export interface ObjectId {
  group: string;
  version: string;
  kind: string;
  namespace: string;
  name: string;
}

export const formatId = ({ group, version, kind, namespace, name }: ObjectId): string =>
  [group, version, kind, namespace, name].join('/');

export function parseId(id: string): ObjectId | undefined {
  const [group, version, kind, namespace, name, ...more] = id.split('/');
  if (group === undefined || !version || !kind || namespace === undefined || !name || more.length > 0) return undefined;
  return { group, version, kind, namespace, name };
}

/** The same object keeps its key when the version of its API changes. */
export function identityKey(id: string): string {
  const parsed = parseId(id);
  return parsed ? [parsed.group, parsed.kind, parsed.namespace, parsed.name].join('/') : id;
}

/** Group and version of a manifest. */
export function groupVersion(apiVersion: string): { group: string; version: string } {
  const [first = '', second] = apiVersion.split('/');
  return second === undefined ? { group: '', version: first } : { group: first, version: second };
}

/** For people: `Deployment shop/reviews`. */
export const describeObject = ({ kind, namespace, name }: Pick<ObjectId, 'kind' | 'namespace' | 'name'>): string =>
  `${kind} ${namespace ? `${namespace}/` : ''}${name}`;

/** The manifest in the namespace where it belongs: none for cluster-scoped kinds, the default one where none is named. */
export function place(manifest: KubeObject, resource: Resource, defaultNamespace: string): KubeObject {
  const { namespace, ...metadata } = manifest.metadata;
  return {
    ...manifest,
    apiVersion: apiVersionOf(resource),
    metadata: resource.namespaced ? { ...metadata, namespace: namespace ?? defaultNamespace } : metadata,
  };
}
