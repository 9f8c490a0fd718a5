import { randomUUID } from 'node:crypto';
import type { KubeObject } from '../../kube/types.js';
import { conflict, failure, type Named } from './errors.js';
import { clone, deepEqual, type Json } from './json.js';
import type { ResourceInfo } from './types.js';

/** RFC 3339 with seconds, as `metav1.Time`. */
export const timestamp = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

/** Sets what the server sets on creation. Mutates. */
export function stampNew(object: KubeObject, info: ResourceInfo, now: Date): void {
  const { metadata } = object;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(now);
  delete metadata.resourceVersion;
  delete metadata.deletionTimestamp;
  delete (metadata as unknown as Json)['deletionGracePeriodSeconds'];
  delete (metadata as unknown as Json)['selfLink'];
  if (info.hasGeneration) metadata.generation = 1;
}

/** Restores the system fields that an update may not touch. Mutates `object`. */
export function keepSystemFields(object: KubeObject, previous: KubeObject): void {
  const target = object.metadata as unknown as Json;
  const source = previous.metadata as unknown as Json;
  for (const key of [
    'uid',
    'creationTimestamp',
    'generation',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'name',
    'namespace',
    'generateName',
    'selfLink',
  ]) {
    if (source[key] === undefined) delete target[key];
    else target[key] = source[key];
  }
}

/**
 * Optimistic concurrency.
 * @throws ApiError 409 when `object` names another resourceVersion or uid than the stored one
 */
export function checkPreconditions(info: Named, previous: KubeObject, wanted: { uid?: string; resourceVersion?: string }): void {
  const { name, namespace, uid, resourceVersion } = previous.metadata;
  if (wanted.uid !== undefined && wanted.uid !== '' && wanted.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid}`;
    const key = ['/registry', info.plural, ...(namespace === undefined ? [] : [namespace]), name].join('/');
    throw conflict(
      info,
      name,
      `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
    );
  }
  if (wanted.resourceVersion !== undefined && !/^\d*$/.test(wanted.resourceVersion))
    throw failure(`strconv.ParseUint: parsing ${JSON.stringify(wanted.resourceVersion)}: invalid syntax`);
  if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== '' && wanted.resourceVersion !== resourceVersion)
    throw conflict(info, name);
}

/**
 * The preconditions of a deletion.
 * @throws ApiError 409 when they name another resourceVersion or uid than the stored one
 */
export function checkDeletable(info: Named, previous: KubeObject, wanted: { uid?: string; resourceVersion?: string }): void {
  const { name, uid, resourceVersion } = previous.metadata;
  const refuse = (what: string, given: string, stored: string | undefined, how: string): never => {
    const why = `the ${what} in the precondition (${given}) does not match the ${what} in record (${stored}). The object might have been ${how}`;
    throw conflict({ ...info, plural: info.kind }, name, why);
  };
  if (wanted.uid && wanted.uid !== uid) refuse('UID', wanted.uid, uid, 'deleted and then recreated');
  if (wanted.resourceVersion && wanted.resourceVersion !== resourceVersion)
    refuse('ResourceVersion', wanted.resourceVersion, resourceVersion, 'modified');
}

/** Fields that do not raise `generation`. */
const NOT_SPEC = new Set(['apiVersion', 'kind', 'metadata', 'status']);

/** Whether the desired state differs: `spec` of built-in kinds, everything but metadata and status of custom ones. */
export function specChanged(object: KubeObject, previous: KubeObject, info: ResourceInfo): boolean {
  const from = info.strategy.generationFrom;
  if (from !== undefined && !deepEqual(object.metadata[from] ?? {}, previous.metadata[from] ?? {})) return true;
  if (!info.custom && info.plural !== 'endpointslices') return !deepEqual(object['spec'], previous['spec']);
  // Without a status subresource, `status` is a field like any other.
  const ignored = (key: string): boolean =>
    NOT_SPEC.has(key) && (key !== 'status' || info.subresources.has('status') || !info.custom);
  const keys = new Set([...Object.keys(object), ...Object.keys(previous)]);
  return [...keys].some((key) => !ignored(key) && !deepEqual(object[key], previous[key]));
}

/** Equality that ignores what every write would change: managedFields. */
export function sameObject(a: KubeObject, b: KubeObject): boolean {
  const strip = (object: KubeObject): Json => {
    const { managedFields: _, resourceVersion: __, ...metadata } = object.metadata;
    return { ...object, metadata };
  };
  return deepEqual(strip(a), strip(b));
}

/** The object a write to `status` leads to: the stored one with the new status, and for built-in kinds the new annotations and finalizers. */
export function withStatus(previous: KubeObject, update: KubeObject, info: ResourceInfo): KubeObject {
  const { labels, ownerReferences } = previous.metadata;
  const metadata = info.custom ? { ...previous.metadata } : { ...clone(update.metadata), labels, ownerReferences };
  for (const key of ['labels', 'ownerReferences'] as const) if (metadata[key] === undefined) delete metadata[key];
  const result: KubeObject = { ...previous, metadata };
  if (update['status'] === undefined) delete result['status'];
  else result['status'] = clone(update['status']);
  result.metadata.managedFields = previous.metadata.managedFields;
  return result;
}
