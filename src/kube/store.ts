import type { KubeObject } from './types.js';

/** Local copies of one kind by namespace and name, with secondary indexes that are kept as objects come and go. */
export class ObjectStore<T extends KubeObject> {
  readonly #namespaces = new Map<string, Map<string, T>>();
  readonly #indexes = new Map<string, { keysOf: (object: T) => string[]; entries: Map<string, Set<T>> }>();

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#namespaces.get(namespace ?? '')?.get(name);
  }

  list(namespace?: string): T[] {
    if (namespace !== undefined) return [...(this.#namespaces.get(namespace)?.values() ?? [])];
    return [...this.#namespaces.values()].flatMap((objects) => [...objects.values()]);
  }

  set(object: T): void {
    const { namespace = '', name } = object.metadata;
    this.delete(namespace, name);
    let objects = this.#namespaces.get(namespace);
    if (!objects) this.#namespaces.set(namespace, (objects = new Map()));
    objects.set(name, object);
    for (const index of this.#indexes.values()) addTo(index, object);
  }

  delete(namespace: string | undefined, name: string): void {
    const objects = this.#namespaces.get(namespace ?? '');
    const object = objects?.get(name);
    if (!objects || !object) return;
    objects.delete(name);
    if (objects.size === 0) this.#namespaces.delete(namespace ?? '');
    for (const { keysOf, entries } of this.#indexes.values()) {
      for (const key of keysOf(object)) {
        const bucket = entries.get(key);
        bucket?.delete(object);
        if (bucket?.size === 0) entries.delete(key);
      }
    }
  }

  addIndex(name: string, keysOf: (object: T) => string[]): void {
    if (this.#indexes.has(name)) throw new Error(`informer: index ${name} exists already; choose another name`);
    const index = { keysOf, entries: new Map<string, Set<T>>() };
    for (const object of this.list()) addTo(index, object);
    this.#indexes.set(name, index);
  }

  byIndex(name: string, key: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`informer: there is no index ${name}; add it with index() first`);
    return [...(index.entries.get(key) ?? [])];
  }
}

function addTo<T>(index: { keysOf: (object: T) => string[]; entries: Map<string, Set<T>> }, object: T): void {
  for (const key of index.keysOf(object)) {
    let bucket = index.entries.get(key);
    if (!bucket) index.entries.set(key, (bucket = new Set()));
    bucket.add(object);
  }
}
