import { setMaxListeners } from 'node:events';
import { Backoff, sleep } from './backoff.js';
import { objectName, resourceName } from './paths.js';
import { matchesLabels } from './selector.js';
import { ObjectStore } from './store.js';
import {
  KubeError,
  type Informer,
  type KubeClient,
  type KubeObject,
  type ListOptions,
  type Resource,
  type WatchEvent,
} from './types.js';

/** How long a kind that the server does not serve is not asked for again, in ms. */
const UNSERVED_MS = 60_000;
/** A watch that lived this long, in ms, was healthy: the next failure starts from the shortest wait again. */
const HEALTHY_WATCH_MS = 10_000;

export interface InformerOptions<T extends KubeObject> extends Pick<
  ListOptions,
  'namespace' | 'labelSelector' | 'fieldSelector'
> {
  /** Keep `metadata.managedFields`, for kinds where the last writer matters. They are dropped otherwise, after `transform` saw them. */
  keepManagedFields?: boolean;
  /** Shrinks or annotates each object before it is kept. It must keep name, namespace, uid and resourceVersion. */
  transform?: (object: T) => T;
  /** The kind may not be served, or be none of ours to read: then there are no such objects, until it is. */
  optional?: boolean;
  /** Versions of the kind to fall back to, in order, where the server does not serve the resource's own. */
  versions?: readonly string[];
  /** Hears of failed lists and watches, and of listeners that threw. The informer goes on by itself. */
  onError?: (error: unknown) => void;
  random?: () => number;
  /** Time for waits and for how long a watch lived; default is the system's. */
  clock?: InformerClock;
}

export interface InformerClock {
  /** Monotonic ms. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

const systemClock: InformerClock = { monotonic: () => performance.now(), sleep };

/** An {@link Informer} with secondary indexes. */
export interface IndexedInformer<T extends KubeObject> extends Informer<T> {
  /** False while no watch is open: the copy may be old. */
  readonly following: boolean;
  /** Adds an index; `keysOf` must depend on the object alone. Returns the informer. Throws when the name is taken. */
  index(name: string, keysOf: (object: T) => string[]): IndexedInformer<T>;
  /** Objects for which `keysOf` gave this key. Throws when there is no such index. */
  byIndex(name: string, key: string): T[];
}

/** Makes an informer; nothing is asked of the server before `start`. Failures are retried for ever (0.2 s to 30 s apart). */
export function createInformer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  options: InformerOptions<T> = {},
): IndexedInformer<T> {
  return new ListWatchInformer(client, resource, options);
}

type Listener<T> = Parameters<Informer<T & KubeObject>['onChange']>[0];

class ListWatchInformer<T extends KubeObject> implements IndexedInformer<T> {
  readonly #store = new ObjectStore<T>();
  #resource: Resource<T>;
  /** Versions that were asked for in vain since one was last served. */
  #unserved = 0;
  /** The version of the kind that the copies have. */
  #listed: string | undefined;
  readonly #listeners = new Set<Listener<T>>();
  readonly #backoff: Backoff;
  readonly #clock: InformerClock;
  readonly #syncedPromise: Promise<void>;
  #markSynced: () => void = () => {};
  #synced = false;
  #following = false;
  #started = false;
  /** Version up to which the server told us everything; empty when only a list can help. */
  #seen = '';
  /** The highest version ever told, which a relist may find to have gone back (a server restored from a backup). */
  #highest = '';

  constructor(
    private readonly client: KubeClient,
    resource: Resource<T>,
    private readonly options: InformerOptions<T>,
  ) {
    this.#resource = resource;
    this.#backoff = new Backoff(options.random);
    this.#clock = options.clock ?? systemClock;
    this.#syncedPromise = new Promise((resolve) => (this.#markSynced = resolve));
  }

  get synced(): boolean {
    return this.#synced;
  }

  get resource(): Resource<T> {
    return this.#resource;
  }

  get following(): boolean {
    return this.#following;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#store.get(namespace, name);
  }

  list(namespace?: string): T[] {
    return this.#store.list(namespace);
  }

  index(name: string, keysOf: (object: T) => string[]): this {
    this.#store.addIndex(name, keysOf);
    return this;
  }

  byIndex(name: string, key: string): T[] {
    return this.#store.byIndex(name, key);
  }

  onChange(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(signal: AbortSignal): void {
    if (this.#started)
      throw new Error(`informer of ${resourceName(this.#resource)} was started twice; start it once and share it`);
    this.#started = true;
    // Dozens of informers hang on the signal of one controller; that is no leak.
    setMaxListeners(0, signal);
    void this.#run(signal);
  }

  whenSynced(): Promise<void> {
    return this.#syncedPromise;
  }

  observe(object: T): void {
    if (!this.#selects(object)) return;
    const { namespace, name } = object.metadata;
    const known = this.get(namespace, name);
    // What we do not hold although the server told us of that version and later ones was deleted meanwhile.
    if (!known && (this.options.fieldSelector || !isNewer(versionOf(object), this.#highest))) return;
    this.#put(object);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const started = this.#clock.monotonic();
      try {
        if (!this.#seen) await this.#relist(signal);
        if (!signal.aborted) await this.#watch(signal);
        this.#backoff.reset();
        // A server that ends watches at once must not be asked in a tight loop.
        if (this.#clock.monotonic() - started < 1_000) await this.#clock.sleep(this.#backoff.next(), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (needsRelist(error)) this.#seen = '';
        if (this.#tryNextVersion(error)) continue;
        if (this.options.optional && isUnserved(error)) {
          this.#forgetAll();
          await this.#clock.sleep(UNSERVED_MS, signal);
          continue;
        }
        if (!isExpired(error)) this.#report(error);
        if (this.#clock.monotonic() - started > HEALTHY_WATCH_MS) this.#backoff.reset();
        await this.#clock.sleep(this.#waitAfter(error), signal);
      }
    }
  }

  /** True when the kind may be served in a version that was not asked for yet. */
  #tryNextVersion(error: unknown): boolean {
    const { versions = [] } = this.options;
    if (!isMissing(error) || versions.length === 0) return false;
    const { version } = this.#resource;
    const all = [...new Set([...versions, version])];
    this.#resource = { ...this.#resource, version: all[(all.indexOf(version) + 1) % all.length] ?? version };
    this.#unserved += 1;
    return this.#unserved % all.length !== 0;
  }

  #forgetAll(): void {
    this.#seen = '';
    for (const known of this.#store.list()) this.#remove(known);
    this.#synced = true;
    this.#markSynced();
  }

  #waitAfter(error: unknown): number {
    const asked = error instanceof KubeError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    return Math.max(asked, this.#backoff.next());
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const { namespace, labelSelector, fieldSelector } = this.options;
    const dropManagedFields = !this.options.keepManagedFields && !this.options.transform;
    const { items, resourceVersion } = await this.client.list(this.#resource, {
      namespace,
      labelSelector,
      fieldSelector,
      dropManagedFields,
    });
    if (signal.aborted) return;
    // Copies in a version that is not served any more are of no use, however new they are.
    const rewound = isNewer(this.#highest, resourceVersion) || (this.#listed !== undefined && this.#listed !== this.#resource.version);
    const listed = new Set<string>();
    for (const item of items) {
      listed.add(keyOf(item));
      this.#put(item, rewound);
    }
    for (const known of this.#store.list()) {
      // Our own newer write, laid over the copy by observe(), is not in this list yet.
      const newer = !rewound && isNewer(versionOf(known), resourceVersion);
      if (!listed.has(keyOf(known)) && !newer) this.#remove(known);
    }
    this.#advance(resourceVersion, rewound);
    this.#unserved = 0;
    this.#listed = this.#resource.version;
    this.#synced = true;
    this.#markSynced();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { namespace, labelSelector, fieldSelector } = this.options;
    const options = { namespace, labelSelector, fieldSelector, resourceVersion: this.#seen, signal };
    this.#following = true;
    try {
      await this.client.watch(this.#resource, options, (event) => this.#onEvent(event));
    } finally {
      this.#following = false;
    }
  }

  #onEvent(event: WatchEvent<T>): void {
    // The client rejects the watch with it.
    if (event.type === 'ERROR') return;
    const version = versionOf(event.object);
    if (event.type === 'DELETED') this.#onDeleted(event.object);
    else if (event.type !== 'BOOKMARK') this.#put(event.object);
    if (version) this.#advance(version);
  }

  #advance(version: string, rewound = false): void {
    this.#seen = version;
    if (rewound || isNewer(version, this.#highest)) this.#highest = version;
  }

  #onDeleted(object: T): void {
    const known = this.get(object.metadata.namespace, object.metadata.name);
    // A newer copy is another object of the same name that we created and observed.
    if (known && !isNewer(versionOf(known), versionOf(object))) this.#remove(known);
  }

  /** Keeps the object unless the copy is as new (or whatever it is, once the server's versions went back). */
  #put(object: T, rewound = false): void {
    const { namespace, name } = object.metadata;
    const previous = this.get(namespace, name);
    if (previous && !rewound && !isNewer(versionOf(object), versionOf(previous))) return;
    let kept: T;
    try {
      kept = this.#shrink(object);
    } catch (error) {
      this.#report(new Error(`informer: transform of ${objectName(this.#resource, namespace, name)} failed`, { cause: error }));
      return;
    }
    this.#store.set(kept);
    this.#notify(kept, kept, previous);
  }

  #shrink(object: T): T {
    const transformed = this.options.transform ? this.options.transform(object) : object;
    if (this.options.keepManagedFields || !transformed.metadata.managedFields) return transformed;
    const { managedFields: _, ...metadata } = transformed.metadata;
    return { ...transformed, metadata };
  }

  #remove(known: T): void {
    this.#store.delete(known.metadata.namespace, known.metadata.name);
    this.#notify(known, undefined, known);
  }

  #notify({ metadata: { namespace, name } }: T, object: T | undefined, previous: T | undefined): void {
    for (const listener of this.#listeners) {
      try {
        listener({ namespace, name }, object, previous);
      } catch (error) {
        this.#report(new Error(`informer: a listener failed on ${objectName(this.#resource, namespace, name)}`, { cause: error }));
      }
    }
  }

  #selects({ metadata }: T): boolean {
    const { namespace, labelSelector } = this.options;
    if (namespace !== undefined && metadata.namespace !== namespace) return false;
    return !labelSelector || matchesLabels(labelSelector, metadata.labels);
  }

  #report(error: unknown): void {
    try {
      this.options.onError?.(error);
    } catch {
      // A broken error handler must not stop the informer.
    }
  }
}

const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;
const versionOf = (object: KubeObject): string => object.metadata.resourceVersion ?? '';

/** `resourceVersion`s of one kind come from one etcd counter, so they compare as integers. */
function isNewer(a: string, b: string): boolean {
  return toVersion(a) > toVersion(b);
}

const toVersion = (version: string): bigint => (/^\d+$/.test(version) ? BigInt(version) : 0n);

/** Refusals that would meet the same watch again. An outage or a lack of rights is no reason to list everything. */
function needsRelist(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  const clientFault = error.code >= 400 && error.code < 500 && ![401, 403, 429].includes(error.code);
  return isExpired(error) || clientFault || error.code === 504;
}

const isMissing = (error: unknown): boolean => error instanceof KubeError && error.code === 404;
const isUnserved = (error: unknown): boolean => isMissing(error) || (error instanceof KubeError && error.code === 403);

function isExpired(error: unknown): boolean {
  return error instanceof KubeError && (error.code === 410 || error.reason === 'Expired' || error.reason === 'Gone');
}
