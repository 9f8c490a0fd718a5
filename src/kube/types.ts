/** The shapes that every part of Sluice shares when it speaks to a Kubernetes API server. */

/** `metadata.ownerReferences[]` of Kubernetes. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** `metadata` as the API server returns it. `managedFields` are dropped by informers (they are most of an object's bytes). */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: ManagedFields[];
}

export interface ManagedFields {
  manager?: string;
  operation?: string;
  subresource?: string;
  time?: string;
  fieldsV1?: unknown;
}

/** Any object. Fields beyond these are kept exactly as the server sent them: nothing unknown is ever dropped. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/** Where one kind lives in the API. `T` is the object's type, carried for inference only. */
export interface Resource<T extends KubeObject = KubeObject> {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  readonly _type?: T;
}

export interface ListResult<T> {
  items: T[];
  resourceVersion: string;
}

export type PatchType = 'merge' | 'json' | 'strategic' | 'apply';

/** Called at the last moment, when the request has waited its turn: what it throws is the answer, and nothing is sent. */
export type BeforeSend = () => void;

export interface WriteOptions {
  /** `status`, `scale`, … */
  subresource?: string;
  fieldManager?: string;
  /** `Strict` makes the server refuse unknown and duplicate fields. */
  fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  dryRun?: boolean;
  /** Server-side apply only: take fields from other managers. */
  force?: boolean;
  beforeSend?: BeforeSend;
}

export interface DeleteOptions {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  /** Pods only: seconds until it is killed; 0 forgets it at once. */
  gracePeriodSeconds?: number;
  uid?: string;
  resourceVersion?: string;
  beforeSend?: BeforeSend;
}

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Lists only: forget `metadata.managedFields` page by page, so that they never pile up in memory. */
  dropManagedFields?: boolean;
}

export type WatchEvent<T> =
  { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T } | { type: 'ERROR'; object: KubeStatus };

/** `metav1.Status`: what the API server answers when it refuses. */
export interface KubeStatus {
  kind: 'Status';
  status?: string;
  code?: number;
  reason?: string;
  message?: string;
}

/**
 * A failed API call. `code` is the HTTP status, 0 when no answer came (the write may or may not have happened);
 * `reason` is `metav1.StatusReason`.
 */
export class KubeError extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
    this.name = 'KubeError';
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof KubeError && error.code === 404;
export const isConflict = (error: unknown): boolean =>
  error instanceof KubeError && error.code === 409 && error.reason === 'Conflict';
export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof KubeError && error.code === 409 && error.reason === 'AlreadyExists';

/** Everything Sluice asks of an API server. Every method rejects with {@link KubeError}. */
export interface KubeClient {
  readonly server: string;
  get<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): Promise<T>;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<ListResult<T>>;
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  /** PUT. With `metadata.resourceVersion` the server refuses (409) what is stale. */
  update<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    body: unknown,
    type: PatchType,
    options?: WriteOptions,
  ): Promise<T>;
  delete(resource: Resource, namespace: string | undefined, name: string, options?: DeleteOptions): Promise<void>;
  /** Streams events until `signal` aborts, the server ends the watch (resolves) or it breaks (rejects). */
  watch<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions & { resourceVersion: string; signal: AbortSignal },
    onEvent: (event: WatchEvent<T>) => void,
  ): Promise<void>;
  /** GET of a raw path such as `/apis` or `/version`. */
  raw(path: string): Promise<unknown>;
}

/** A local, eventually consistent copy of one kind, kept by list and watch. */
export interface Informer<T extends KubeObject> {
  /** What is followed, in the version that the server serves. */
  readonly resource: Resource<T>;
  /** True once the first list is in. */
  readonly synced: boolean;
  get(namespace: string | undefined, name: string): T | undefined;
  list(namespace?: string): T[];
  /** Called after the copy changed; `object` is undefined for a deletion. Returns the unsubscriber. */
  onChange(
    listener: (key: { namespace?: string; name: string }, object: T | undefined, previous: T | undefined) => void,
  ): () => void;
  /** Lay the answer of our own write over the copy at once, so that the next read sees it (ignored when older). */
  observe(object: T): void;
  start(signal: AbortSignal): void;
  whenSynced(): Promise<void>;
}
