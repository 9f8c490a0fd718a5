import type { KubeObject, ListOptions, PatchType, Resource, WatchEvent, WriteOptions } from '../../kube/types.js';
import { routeNotFound } from './errors.js';
import { toVersion, type Objects } from './objects.js';
import { both, fieldPredicate, labelPredicate, type Predicate } from './selectors.js';
import type { DeleteContext, ResourceInfo, WriteContext } from './types.js';

/**
 * The server's objects in this process, for the sandbox's own controllers and for tests: the same verbs, validation and versions as over
 * HTTP, synchronous. Objects that it returns are shared and must not be mutated. Every method throws `ApiError` (a `KubeError`).
 */
export interface Store {
  /** The resourceVersion of the newest change. */
  readonly resourceVersion: string;
  /** Undefined when there is none. */
  get<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): T | undefined;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): T[];
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): T;
  update<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): T;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    body: unknown,
    type: PatchType,
    options?: WriteOptions,
  ): T;
  delete(resource: Resource, namespace: string | undefined, name: string, options?: DeleteContext): void;
  /** Calls back with ADDED for what is there, then with every change, until the returned function is called. */
  watch<T extends KubeObject>(resource: Resource<T>, listener: (event: WatchEvent<T>) => void, options?: ListOptions): () => void;
}

function contextOf(options: WriteOptions | undefined): WriteContext {
  const subresource = options?.subresource;
  return {
    fieldManager: options?.fieldManager ?? 'sandbox',
    fieldValidation: options?.fieldValidation ?? 'Ignore',
    dryRun: options?.dryRun ?? false,
    force: options?.force ?? false,
    ...(subresource === 'status' || subresource === 'scale' ? { subresource } : {}),
    warnings: [],
  };
}

export class LocalStore implements Store {
  constructor(private readonly objects: Objects) {}

  get resourceVersion(): string {
    return String(this.objects.storage.revision);
  }

  get<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): T | undefined {
    const info = this.kind(resource);
    const found = this.objects.storage.get(info.storageKey, info.namespaced ? namespace : undefined, name);
    return found && (toVersion(found, info) as T);
  }

  list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): T[] {
    const info = this.kind(resource);
    const matches = predicate(info, options);
    const objects = this.objects.storage.list(info.storageKey, options.namespace);
    return (matches === undefined ? objects : objects.filter(matches)).map((object) => toVersion(object, info) as T);
  }

  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): T {
    return this.objects.create(this.kind(resource), object.metadata.namespace, object, contextOf(options)) as T;
  }

  update<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): T {
    const { namespace, name } = object.metadata;
    return this.objects.update(this.kind(resource), namespace, name, object, contextOf(options)).object as T;
  }

  patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    body: unknown,
    type: PatchType,
    options?: WriteOptions,
  ): T {
    return this.objects.patch(this.kind(resource), namespace, name, body, type, contextOf(options)).object as T;
  }

  delete(resource: Resource, namespace: string | undefined, name: string, options: DeleteContext = {}): void {
    this.objects.delete(this.kind(resource), namespace, name, options);
  }

  watch<T extends KubeObject>(
    resource: Resource<T>,
    listener: (event: WatchEvent<T>) => void,
    options: ListOptions = {},
  ): () => void {
    const info = this.kind(resource);
    const matches = predicate(info, options);
    const inScope = (object: KubeObject): boolean =>
      options.namespace === undefined || object.metadata.namespace === options.namespace;
    const present = this.list(resource, options);
    const unsubscribe = this.objects.storage.subscribe(info.storageKey, ({ type, object, previous }) => {
      if (!inScope(object)) return;
      const was = previous !== undefined && (matches?.(previous) ?? true);
      const is = type !== 'DELETED' && (matches?.(object) ?? true);
      if (!was && !is) return;
      listener({ type: is ? (was ? 'MODIFIED' : 'ADDED') : 'DELETED', object: toVersion(object, info) as T });
    });
    for (const object of present) listener({ type: 'ADDED', object });
    return unsubscribe;
  }

  private kind(resource: Resource): ResourceInfo {
    const info = this.objects.registry.find(resource.group, resource.version, resource.plural);
    if (info === undefined) throw routeNotFound();
    return info;
  }
}

const predicate = (info: ResourceInfo, options: ListOptions): Predicate | undefined =>
  both(labelPredicate(options.labelSelector), fieldPredicate(options.fieldSelector, info));
