import type { KubeObject } from '../../../kube/types.js';
import { toVersion } from '../objects.js';
import { apiVersionOf, type ResourceInfo } from '../types.js';

/** Encoded objects, kept as long as the object lives. Stored objects never change, so neither does their JSON. */
const full = new WeakMap<KubeObject, string>();
const items = new WeakMap<KubeObject, string>();

export function encodeObject(object: KubeObject): string {
  let text = full.get(object);
  if (text === undefined) {
    text = JSON.stringify(object);
    full.set(object, text);
  }
  return text;
}

/** A list item: built-in kinds leave `apiVersion` and `kind` out there. */
function encodeItem(object: KubeObject, info: ResourceInfo): string {
  const versioned = toVersion(object, info);
  if (info.custom) return encodeObject(versioned);
  let text = items.get(versioned);
  if (text === undefined) {
    const { apiVersion: _, kind: __, ...rest } = versioned;
    text = JSON.stringify(rest);
    items.set(versioned, text);
  }
  return text;
}

export interface ListMeta {
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
}

export function encodeList(objects: KubeObject[], info: ResourceInfo, metadata: ListMeta): string {
  const shown = info.custom ? { continue: '', ...metadata } : metadata;
  const head = JSON.stringify({ kind: info.listKind, apiVersion: apiVersionOf(info), metadata: shown });
  return `${head.slice(0, -1)},"items":[${objects.map((object) => encodeItem(object, info)).join(',')}]}`;
}

const PARTIAL_VERSION = 'meta.k8s.io/v1';

export function partialObject(object: KubeObject): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: PARTIAL_VERSION, metadata: object.metadata };
}

export function partialList(objects: KubeObject[], metadata: ListMeta): unknown {
  return { kind: 'PartialObjectMetadataList', apiVersion: PARTIAL_VERSION, metadata, items: objects.map(partialObject) };
}

/** One value of a `Warning` header. */
export const warningHeader = (text: string): string => `299 - ${JSON.stringify(text)}`;
