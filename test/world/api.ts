import { KubeError, type DeleteOptions, type KubeObject, type Resource, type WatchEvent, type WriteOptions } from '../../src/kube/types.js';
import { Resources } from '../../src/kube/resources.js';

/** Everything about a write that an auditor may want to know. */
export interface Write {
  /** Process or person. */
  by: string;
  resource: Resource;
  subresource?: string;
  /** As they were before and are after; frozen. */
  before: KubeObject | undefined;
  after: KubeObject | undefined;
}
interface Change {
  version: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: KubeObject;
}
type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) freeze(item);
  }
  return value;
}

/** RFC 7386. */
export function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Json = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** What an API server stores and tells: versions, conflicts, generations, finalizers, subresources, a log for watches. */
export class Api {
  #version = 1_000;
  #uid = 0;
  readonly #kinds = new Map<string, Map<string, KubeObject>>();
  readonly #logs = new Map<string, Change[]>();
  readonly #watchers = new Map<string, Set<(change: Change) => void>>();
  readonly #listeners: ((write: Write) => void)[] = [];
  /** Watches from before this version are refused (410). */
  #compacted = 0;

  constructor(private readonly now: () => number) {}

  onWrite(listener: (write: Write) => void): void {
    this.#listeners.push(listener);
  }
  get version(): string {
    return String(this.#version);
  }
  /** Forget the past: watches have to list again. */
  compact(): void {
    this.#compacted = this.#version;
    this.#logs.clear();
  }

  find(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#kind(resource).get(`${namespace ?? ''}/${name}`);
  }
  get(resource: Resource, namespace: string | undefined, name: string): KubeObject {
    const found = this.find(resource, namespace, name);
    if (!found) throw new KubeError(404, 'NotFound', `${resource.plural} "${name}" not found`);
    return found;
  }
  list(resource: Resource): KubeObject[] {
    return [...this.#kind(resource).values()];
  }

  create(by: string, resource: Resource, object: KubeObject): KubeObject {
    if (this.find(resource, object.metadata.namespace, object.metadata.name)) throw new KubeError(409, 'AlreadyExists', `${resource.plural} "${object.metadata.name}" already exists`);
    const made = copy(object);
    if (resource.kind.startsWith('Canary') || resource.kind === 'Deployment') delete made['status'];
    made.metadata = { ...made.metadata, uid: `uid-${(this.#uid += 1)}`, generation: 1, creationTimestamp: this.#seconds() };
    return this.#commit(by, resource, undefined, made);
  }

  update(by: string, resource: Resource, object: KubeObject, options: WriteOptions = {}): KubeObject {
    const { namespace, name, resourceVersion } = object.metadata;
    const live = this.get(resource, namespace, name);
    this.#expect(live, resourceVersion, resource);
    if (options.subresource === 'status') return this.#replace(by, resource, live, { ...live, status: object['status'] }, 'status');
    return this.#replace(by, resource, live, resource.kind === 'Lease' ? object : { ...object, status: live['status'] });
  }

  patch(by: string, resource: Resource, namespace: string | undefined, name: string, body: unknown, options: WriteOptions = {}): KubeObject {
    const live = this.get(resource, namespace, name);
    const { resourceVersion } = (body as { metadata?: { resourceVersion?: string } }).metadata ?? {};
    this.#expect(live, resourceVersion, resource);
    if (options.subresource === 'scale') return this.#scale(by, resource, live, body);
    if (options.subresource === 'status') return this.#replace(by, resource, live, { ...live, status: merge(live['status'], (body as Json)['status']) }, 'status');
    const merged = merge(live, body) as KubeObject;
    return this.#replace(by, resource, live, { ...merged, status: live['status'] });
  }

  /** What an API server shows of a stored object after its upgrade: another spec, and nobody has written it. */
  migrate(resource: Resource, namespace: string, name: string, body: unknown): void {
    const live = this.get(resource, namespace, name);
    this.#commit('upgrade', resource, live, copy(merge(live, body) as KubeObject));
  }

  #scale(by: string, resource: Resource, live: KubeObject, body: unknown): KubeObject {
    const { replicas } = (body as { spec: { replicas: number } }).spec;
    const scaled = this.#replace(by, resource, live, { ...live, spec: { ...(live['spec'] as Json), replicas } }, 'scale');
    const { namespace, name, resourceVersion } = scaled.metadata;
    return { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name, namespace, resourceVersion }, spec: { replicas } };
  }

  delete(by: string, resource: Resource, namespace: string | undefined, name: string, options: DeleteOptions = {}): void {
    const live = this.get(resource, namespace, name);
    if (options.uid !== undefined && options.uid !== live.metadata.uid) throw new KubeError(409, 'Conflict', `the uid of ${name} is another`);
    this.#expect(live, options.resourceVersion, resource);
    if ((live.metadata.finalizers ?? []).length === 0) this.#commit(by, resource, live, undefined);
    else if (!live.metadata.deletionTimestamp) this.#commit(by, resource, live, { ...live, metadata: { ...live.metadata, deletionTimestamp: this.#seconds() } });
  }

  #expect(live: KubeObject, version: string | undefined, resource: Resource): void {
    if (version !== undefined && version !== live.metadata.resourceVersion)
      throw new KubeError(409, 'Conflict', `${resource.plural} "${live.metadata.name}": the object has been modified; please apply your changes to the latest version`);
  }

  #replace(by: string, resource: Resource, live: KubeObject, next: KubeObject, subresource?: string): KubeObject {
    const { uid, generation, creationTimestamp, deletionTimestamp, resourceVersion, managedFields } = live.metadata;
    const changed = !same(live['spec'], next['spec']);
    const wanted = copy(next);
    wanted.metadata = { ...wanted.metadata, uid, creationTimestamp, resourceVersion, generation: (generation ?? 0) + (changed ? 1 : 0) };
    if (deletionTimestamp) wanted.metadata.deletionTimestamp = deletionTimestamp;
    if (managedFields) wanted.metadata.managedFields = managedFields;
    if (same(copy(live), wanted)) return live;
    const gone = deletionTimestamp !== undefined && (live.metadata.finalizers ?? []).length > 0 && (wanted.metadata.finalizers ?? []).length === 0;
    return this.#commit(by, resource, live, gone ? undefined : wanted, subresource) ?? wanted;
  }

  #commit(by: string, resource: Resource, live: KubeObject | undefined, next: KubeObject, subresource?: string): KubeObject;
  #commit(by: string, resource: Resource, live: KubeObject | undefined, next: KubeObject | undefined, subresource?: string): KubeObject | undefined;
  #commit(by: string, resource: Resource, live: KubeObject | undefined, next: KubeObject | undefined, subresource?: string): KubeObject | undefined {
    this.#version += 1;
    const stored = next ?? (live && copy(live));
    if (!stored) return undefined;
    stored.metadata = { ...stored.metadata, resourceVersion: this.version };
    if (next && resource.kind === 'VirtualService' && !same(live?.['spec'], next['spec'])) stored.metadata.managedFields = this.#owned(by);
    freeze(stored);
    const kind = this.#kind(resource);
    if (next) kind.set(keyOf(stored), stored);
    else kind.delete(keyOf(stored));
    const change: Change = { version: this.#version, type: !next ? 'DELETED' : live ? 'MODIFIED' : 'ADDED', object: stored };
    const log = this.#logs.get(resource.plural) ?? [];
    log.push(change);
    this.#logs.set(resource.plural, log);
    for (const watcher of this.#watchers.get(resource.plural) ?? []) watcher(change);
    const write: Write = { by, resource, before: live, after: next ? stored : undefined, ...(subresource ? { subresource } : {}) };
    for (const listener of this.#listeners) listener(write);
    return next ? stored : undefined;
  }

  /** Hears of everything after `version`, past and future, until the returned function is called. */
  watch(resource: Resource, version: string, onChange: (event: WatchEvent<KubeObject>) => void): () => void {
    if (Number(version) < this.#compacted) throw new KubeError(410, 'Expired', 'too old resource version');
    const tell = ({ type, object }: Change): void => onChange({ type, object });
    for (const change of this.#logs.get(resource.plural) ?? []) if (change.version > Number(version)) tell(change);
    const watchers = this.#watchers.get(resource.plural) ?? new Set();
    this.#watchers.set(resource.plural, watchers);
    watchers.add(tell);
    return () => watchers.delete(tell);
  }

  #owned(by: string): NonNullable<KubeObject['metadata']['managedFields']> {
    return [{ manager: by.startsWith('sluice') ? 'sluice' : by, operation: 'Update', time: this.#seconds(), fieldsV1: { 'f:spec': { 'f:http': {} } } }];
  }
  #kind(resource: Resource): Map<string, KubeObject> {
    const known = this.#kinds.get(resource.plural) ?? new Map<string, KubeObject>();
    this.#kinds.set(resource.plural, known);
    return known;
  }
  #seconds(): string {
    return new Date(this.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}

export { Resources };
