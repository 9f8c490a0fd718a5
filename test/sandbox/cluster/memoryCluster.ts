import { randomUUID } from 'node:crypto';
import { createInformer } from '../../../src/kube/index.js';
import { KubeError, matchesLabels } from '../../../src/kube/index.js';
import type {
  DeleteOptions,
  KubeClient,
  KubeObject,
  ListOptions,
  ListResult,
  Resource,
  WatchEvent,
  WriteOptions,
} from '../../../src/kube/index.js';
import { clusterInformers } from '../../../src/sandbox/cluster/index.js';
import type { ClusterInformers } from '../../../src/sandbox/cluster/index.js';
import type { Clock } from '../../../src/sandbox/cluster/clock.js';
import { timestamp } from '../../../src/sandbox/cluster/clock.js';

type Watcher = { plural: string; send(event: WatchEvent<KubeObject>): void };

/** What the controllers and the node need of an API server, in memory, with the rules that they rely on. */
export class MemoryCluster implements KubeClient {
  readonly server = 'memory';
  readonly requests: string[] = [];
  private readonly objects = new Map<string, KubeObject>();
  private readonly watchers = new Set<Watcher>();
  private version = 1;
  /** Whether pods have the binding subresource. */
  bindings = true;
  /** Set to make the next writes of one plural fail. */
  refuse: ((verb: string, plural: string, name: string) => KubeError | undefined) | undefined;

  constructor(private readonly clock: Clock) {}

  informers(signal: AbortSignal): ClusterInformers {
    const informers = clusterInformers((resource) => createInformer(this, resource));
    for (const informer of Object.values(informers)) informer.start(signal);
    return informers;
  }

  find<T extends KubeObject>(resource: Resource<T>, filter: (object: T) => boolean = () => true): T[] {
    const all = [...this.objects].filter(([key]) => key.startsWith(`${resource.plural}|`)).map(([, object]) => object as T);
    return all.filter(filter);
  }

  async get<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): Promise<T> {
    await Promise.resolve();
    return structuredClone(this.must(resource, namespace, name)) as T;
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    await Promise.resolve();
    const items = this.find(
      resource,
      (object) => options.namespace === undefined || object.metadata.namespace === options.namespace,
    );
    const selected = items.filter(
      (object) => !options.labelSelector || matchesLabels(options.labelSelector, object.metadata.labels),
    );
    return { items: structuredClone(selected), resourceVersion: String(this.version) };
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    await Promise.resolve();
    const { namespace, name } = object.metadata;
    this.note('create', resource, name, options.subresource);
    if (options.subresource === 'binding') return this.bind(resource, object);
    if (this.objects.has(keyOf(resource, namespace, name)))
      throw new KubeError(409, 'AlreadyExists', `${resource.plural} "${name}" already exists`);
    const stored = structuredClone(object);
    Object.assign(stored.metadata, { uid: randomUUID(), creationTimestamp: timestamp(this.clock.now()), generation: 1 });
    const initial: KubeObject = resource.plural === 'pods' ? { ...stored, status: { phase: 'Pending' } } : stored;
    return this.store(resource, initial, 'ADDED') as T;
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T> {
    await Promise.resolve();
    this.note('update', resource, object.metadata.name);
    const current = this.must(resource, object.metadata.namespace, object.metadata.name);
    this.precondition(current, object.metadata.resourceVersion, object.metadata.uid);
    return this.store(resource, structuredClone(object), 'MODIFIED') as T;
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    body: unknown,
    type: string,
    options: WriteOptions = {},
  ): Promise<T> {
    await Promise.resolve();
    this.note('patch', resource, name, options.subresource);
    if (type !== 'merge') throw new Error(`not supported here: ${type}`);
    const current = this.must(resource, namespace, name);
    const change = body as { metadata?: { resourceVersion?: string; uid?: string }; spec?: unknown; status?: unknown };
    this.precondition(current, change.metadata?.resourceVersion, change.metadata?.uid);
    const patched =
      options.subresource === 'status'
        ? { ...current, status: merge(current['status'], change.status) }
        : (merge(current, change) as T);
    const next = structuredClone(patched) as T;
    next.metadata.resourceVersion = current.metadata.resourceVersion;
    if (JSON.stringify(next['spec']) !== JSON.stringify(current['spec']))
      next.metadata.generation = (current.metadata.generation ?? 1) + 1;
    if (JSON.stringify(next) === JSON.stringify(current)) return structuredClone(next);
    return this.store(resource, next, 'MODIFIED') as T;
  }

  async delete(resource: Resource, namespace: string | undefined, name: string, options: DeleteOptions = {}): Promise<void> {
    await Promise.resolve();
    this.note('delete', resource, name);
    const current = this.must(resource, namespace, name);
    this.precondition(current, undefined, options.uid);
    const spec = current['spec'] as { nodeName?: string; terminationGracePeriodSeconds?: number } | undefined;
    const graceful = resource.plural === 'pods' && spec?.nodeName !== undefined && options.gracePeriodSeconds !== 0;
    if (!graceful) return this.remove(resource, current);
    if (current.metadata.deletionTimestamp) return;
    const grace = spec?.terminationGracePeriodSeconds ?? 30;
    const marks = { deletionTimestamp: timestamp(this.clock.now() + grace * 1000), deletionGracePeriodSeconds: grace };
    this.store(resource, { ...current, metadata: { ...current.metadata, ...marks } }, 'MODIFIED');
  }

  async watch<T extends KubeObject>(
    resource: Resource<T>,
    options: { resourceVersion: string; signal: AbortSignal },
    onEvent: (event: WatchEvent<T>) => void,
  ): Promise<void> {
    const watcher: Watcher = { plural: resource.plural, send: (event) => onEvent(event as WatchEvent<T>) };
    // Whatever came between the list and the watch.
    for (const object of this.find(resource)) {
      if (Number(object.metadata.resourceVersion) > Number(options.resourceVersion))
        onEvent({ type: 'ADDED', object: structuredClone(object) });
    }
    this.watchers.add(watcher);
    await new Promise<void>((resolve) => options.signal.addEventListener('abort', () => resolve()));
    this.watchers.delete(watcher);
  }

  raw(): Promise<unknown> {
    return Promise.resolve({});
  }

  private bind<T extends KubeObject>(resource: Resource<T>, binding: KubeObject): T {
    if (!this.bindings) throw new KubeError(404, 'NotFound', 'the server could not find the requested resource');
    const pod = this.must(resource, binding.metadata.namespace, binding.metadata.name);
    const spec = { ...(pod['spec'] as object), nodeName: (binding['target'] as { name: string }).name };
    this.store(resource, { ...pod, spec }, 'MODIFIED');
    return { apiVersion: 'v1', kind: 'Status', metadata: { name: '' } } as unknown as T;
  }

  private remove(resource: Resource, object: KubeObject): void {
    this.objects.delete(keyOf(resource, object.metadata.namespace, object.metadata.name));
    const gone = structuredClone(object);
    gone.metadata.resourceVersion = String(++this.version);
    this.emit(resource, { type: 'DELETED', object: gone });
  }

  private store(resource: Resource, object: KubeObject, type: 'ADDED' | 'MODIFIED'): KubeObject {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.version) } };
    this.objects.set(keyOf(resource, stored.metadata.namespace, stored.metadata.name), stored);
    this.emit(resource, { type, object: structuredClone(stored) });
    return structuredClone(stored);
  }

  private emit(resource: Resource, event: WatchEvent<KubeObject>): void {
    for (const watcher of this.watchers) if (watcher.plural === resource.plural) queueMicrotask(() => watcher.send(event));
  }

  private must(resource: Resource, namespace: string | undefined, name: string): KubeObject {
    const object = this.objects.get(keyOf(resource, namespace, name));
    if (!object) throw new KubeError(404, 'NotFound', `${resource.plural} "${name}" not found`);
    return object;
  }

  private precondition(current: KubeObject, resourceVersion: string | undefined, uid: string | undefined): void {
    const stale = resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion;
    if (stale || (uid !== undefined && uid !== current.metadata.uid))
      throw new KubeError(409, 'Conflict', 'the object has been modified');
  }

  private note(verb: string, resource: Resource, name: string, subresource?: string): void {
    this.requests.push(`${verb} ${resource.plural}${subresource ? `/${subresource}` : ''} ${name}`);
    const refusal = this.refuse?.(verb, resource.plural, name);
    if (refusal) throw refusal;
  }
}

const keyOf = (resource: Resource, namespace: string | undefined, name: string): string =>
  `${resource.plural}|${namespace ?? ''}/${name}`;

function merge(target: unknown, change: unknown): unknown {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) return change;
  const result: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = merge(result[key], value);
  }
  return result;
}
