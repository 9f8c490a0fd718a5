import type { KubeObject } from '../../kube/types.js';
import type { Cause } from './errors.js';
import type { Json } from './json.js';
import type { Schema } from './schema/types.js';

/** One column of a `meta.k8s.io/v1` Table. */
export interface Column {
  name: string;
  type: 'string' | 'integer' | 'number' | 'date' | 'boolean';
  format?: string;
  description?: string;
  /** 0 is always shown, above 0 only with `-o wide`. */
  priority?: number;
  /** The cell of `object`; `now` in milliseconds since the epoch, for ages. */
  cell: (object: KubeObject, now: number) => string | number | boolean | null;
}

export type SubresourceName = 'status' | 'scale' | 'log' | 'eviction';

/** JSON paths (without brackets) of a `scale` subresource. */
export interface ScalePaths {
  specReplicas: string[];
  statusReplicas: string[];
  labelSelector?: string[];
}

/** What a kind adds to the common handling of objects. */
export interface Strategy {
  /** Fills what the real server defaults. Mutates `object`. */
  defaults?: (object: Json) => void;
  /** Called once when an object is created, after defaults. Mutates `object`. */
  prepareCreate?: (object: Json) => void;
  /** Called before an update is validated; may carry fields over from `previous`. Mutates `object`. */
  prepareUpdate?: (object: Json, previous: Json) => void;
  validate?: (object: Json) => Cause[];
  validateUpdate?: (object: Json, previous: Json) => Cause[];
  /** Errors that the stored object already has are let through on updates: it was valid once. */
  ratchets?: boolean;
  /** A change of this metadata raises `generation` like one of the spec. */
  generationFrom?: 'annotations' | 'labels';
  /** PUT creates what is missing. */
  createOnUpdate?: boolean;
  /** PUT without resourceVersion overwrites. Default: true for built-in kinds, false for custom ones. */
  unconditionalUpdate?: boolean;
  /** Fields that a field selector may name, beyond `metadata.name` and `metadata.namespace`. */
  selectableFields?: (object: KubeObject) => Record<string, string>;
}

/** One kind in one served version. */
export interface ResourceInfo {
  group: string;
  version: string;
  plural: string;
  singular: string;
  kind: string;
  listKind: string;
  namespaced: boolean;
  shortNames: string[];
  categories: string[];
  subresources: ReadonlySet<SubresourceName>;
  /** The kind has `metadata.generation`, raised when its spec changes. */
  hasGeneration: boolean;
  custom: boolean;
  schema: Schema;
  columns: Column[];
  strategy: Strategy;
  scale?: ScalePaths;
  /** Objects of one kind share storage across versions. */
  storageKey: string;
  storageVersion: string;
  /** Converts between the stored shape and this version's; absent when they differ in `apiVersion` only. */
  fromStorage?: (object: KubeObject) => KubeObject;
  toStorage?: (object: KubeObject) => KubeObject;
  deprecationWarning?: string;
}

export const apiVersionOf = (info: { group: string; version: string }): string =>
  info.group === '' ? info.version : `${info.group}/${info.version}`;

/** What the server says of one request after it was answered (watches: when they start). Latency in milliseconds. */
export interface AuditEntry {
  time: string;
  verb: string;
  method: string;
  path: string;
  resource?: string;
  subresource?: string;
  namespace?: string;
  name?: string;
  userAgent?: string;
  fieldManager?: string;
  code: number;
  latencyMs: number;
  requestBody?: unknown;
  /** The stored object, for successful writes. */
  responseObject?: unknown;
}

/** Query parameters of a write. */
export interface WriteContext {
  fieldManager: string;
  fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  dryRun: boolean;
  force: boolean;
  /** Paths of members that the body has twice. */
  duplicates?: string[];
  subresource?: 'status' | 'scale';
  /** Subresource to record in managedFields when it differs: a written Scale is an update of the main object. */
  recordAs?: 'scale';
  /** Warnings for the `Warning` response header. */
  warnings: string[];
}

export interface DeleteContext {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  gracePeriodSeconds?: number;
  uid?: string;
  resourceVersion?: string;
  dryRun?: boolean;
}
