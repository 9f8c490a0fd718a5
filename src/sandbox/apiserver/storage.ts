import type { KubeObject } from '../../kube/types.js';

/** One change of one object, as watches see it. Objects in it are never mutated. */
export interface StoredEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  key: string;
  revision: number;
  object: KubeObject;
  previous?: KubeObject;
  /** Encoded forms, by representation: an event is serialised once, however many watches it goes to. */
  encoded: Map<string, string>;
}

type Listener = (event: StoredEvent) => void;

interface Collection {
  objects: Map<string, KubeObject>;
  /** Names in list order; undefined after an addition or removal. */
  sorted?: string[];
  /** Ring of recent events, oldest first from `start`. */
  events: StoredEvent[];
  start: number;
  /** Revision of the newest event that was forgotten. */
  forgotten: number;
  listeners: Set<Listener>;
}

const objectName = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;
const nameOf = (object: KubeObject): string => objectName(object.metadata.namespace, object.metadata.name);

export interface StoredRef {
  key: string;
  namespace?: string;
  name: string;
}

/**
 * Objects in memory, by storage key (`group/plural`), with one revision counter over all of them, a bounded history per kind and
 * indexes by uid and by owner. It knows nothing of API semantics. Stored objects are shared with readers and must not be mutated.
 */
export class Storage {
  private readonly collections = new Map<string, Collection>();
  private readonly byUid = new Map<string, StoredRef>();
  private readonly byOwner = new Map<string, Set<string>>();
  private readonly observers = new Set<Listener>();
  private current = 1;
  /** History begins here, in collections that come later too. */
  private floor = 0;

  /** @param window events kept per kind for watches that start in the past */
  constructor(private readonly window: number) {}

  get revision(): number {
    return this.current;
  }

  get(key: string, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.collections.get(key)?.objects.get(objectName(namespace, name));
  }

  /** In the order the real server lists: by namespace, then name. */
  list(key: string, namespace?: string): KubeObject[] {
    const collection = this.collections.get(key);
    if (collection === undefined) return [];
    collection.sorted ??= [...collection.objects.keys()].toSorted();
    const prefix = namespace === undefined ? '' : `${namespace}/`;
    const result: KubeObject[] = [];
    for (const name of collection.sorted) {
      if (!name.startsWith(prefix)) continue;
      const object = collection.objects.get(name);
      if (object !== undefined) result.push(object);
    }
    return result;
  }

  /** What {@link list} gave at `revision`; undefined when that is forgotten. */
  listAt(key: string, namespace: string | undefined, revision: number): KubeObject[] | undefined {
    const later = this.since(key, revision);
    if (later === undefined) return undefined;
    if (later.length === 0) return this.list(key, namespace);
    const objects = new Map(this.list(key, namespace).map((object) => [nameOf(object), object]));
    for (const { object, previous } of later.toReversed()) {
      if (namespace !== undefined && object.metadata.namespace !== namespace) continue;
      if (previous === undefined) objects.delete(nameOf(object));
      else objects.set(nameOf(object), previous);
    }
    return [...objects].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Forgets how everything came to be as it is: watches start here, or later. */
  forget(): void {
    this.floor = this.current;
    for (const collection of this.collections.values()) collection.forgotten = this.floor;
  }

  byUidRef(uid: string): StoredRef | undefined {
    return this.byUid.get(uid);
  }

  /** Objects that name `uid` in their ownerReferences. */
  dependents(uid: string): { ref: StoredRef; object: KubeObject }[] {
    const result: { ref: StoredRef; object: KubeObject }[] = [];
    for (const child of this.byOwner.get(uid) ?? []) {
      const ref = this.byUid.get(child);
      const object = ref && this.get(ref.key, ref.namespace, ref.name);
      if (ref !== undefined && object !== undefined) result.push({ ref, object });
    }
    return result;
  }

  keys(): string[] {
    return [...this.collections.keys()];
  }

  /** Stores `object` under the next revision, which is written into its metadata. */
  put(key: string, object: KubeObject): KubeObject {
    const collection = this.collection(key);
    const name = nameOf(object);
    const previous = collection.objects.get(name);
    const revision = ++this.current;
    object.metadata.resourceVersion = String(revision);
    collection.objects.set(name, object);
    if (previous === undefined) collection.sorted = undefined;
    this.index(key, object, previous);
    this.emit(collection, {
      type: previous === undefined ? 'ADDED' : 'MODIFIED',
      key,
      revision,
      object,
      previous,
      encoded: new Map(),
    });
    return object;
  }

  remove(key: string, object: KubeObject): KubeObject {
    const collection = this.collection(key);
    const name = nameOf(object);
    const previous = collection.objects.get(name);
    if (previous === undefined) return object;
    const revision = ++this.current;
    const last: KubeObject = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
    collection.objects.delete(name);
    collection.sorted = undefined;
    this.unindex(previous);
    this.emit(collection, { type: 'DELETED', key, revision, object: last, previous, encoded: new Map() });
    return last;
  }

  /** Events of `key` after `revision`; undefined when some of them are forgotten (410 Gone). */
  since(key: string, revision: number): StoredEvent[] | undefined {
    const collection = this.collection(key);
    if (revision < collection.forgotten) return undefined;
    const { events, start } = collection;
    let index = events.length;
    while (index > start && (events[index - 1]?.revision ?? 0) > revision) index--;
    return events.slice(index);
  }

  subscribe(key: string, listener: Listener): () => void {
    const { listeners } = this.collection(key);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Called for every change of every kind, after it is visible. */
  observe(listener: Listener): void {
    this.observers.add(listener);
  }

  private collection(key: string): Collection {
    let collection = this.collections.get(key);
    if (collection === undefined) {
      collection = { objects: new Map(), events: [], start: 0, forgotten: this.floor, listeners: new Set() };
      this.collections.set(key, collection);
    }
    return collection;
  }

  private emit(collection: Collection, event: StoredEvent): void {
    collection.events.push(event);
    if (collection.events.length - collection.start > this.window) {
      collection.forgotten = collection.events[collection.start]?.revision ?? collection.forgotten;
      collection.start++;
      // Dropping one element at a time from the front is O(n); compact once the dead half is as long as the window.
      if (collection.start > this.window) {
        collection.events = collection.events.slice(collection.start);
        collection.start = 0;
      }
    }
    for (const listener of collection.listeners) listener(event);
    for (const observer of this.observers) observer(event);
  }

  private index(key: string, object: KubeObject, previous: KubeObject | undefined): void {
    if (previous !== undefined) this.unindex(previous);
    const uid = object.metadata.uid;
    if (uid === undefined) return;
    this.byUid.set(uid, { key, namespace: object.metadata.namespace, name: object.metadata.name });
    for (const owner of object.metadata.ownerReferences ?? []) {
      const children = this.byOwner.get(owner.uid);
      if (children === undefined) this.byOwner.set(owner.uid, new Set([uid]));
      else children.add(uid);
    }
  }

  private unindex(object: KubeObject): void {
    const uid = object.metadata.uid;
    if (uid === undefined) return;
    this.byUid.delete(uid);
    for (const owner of object.metadata.ownerReferences ?? []) {
      const children = this.byOwner.get(owner.uid);
      children?.delete(uid);
      if (children?.size === 0) this.byOwner.delete(owner.uid);
    }
  }
}
