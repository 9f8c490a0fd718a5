import type { Informer, KubeObject } from '../../../kube/types.js';
import { keyOf } from '../queue.js';
import { controllerOf } from './context.js';

/** Which objects of one kind belong to which controller, kept from an informer's changes. */
export class OwnerIndex<T extends KubeObject> {
  private readonly groups = new Map<string, Map<string, T>>();
  private readonly groupOf = new Map<string, string>();

  constructor(informer: Informer<T>) {
    informer.onChange((key, object) => this.place(keyOf(key), object));
    for (const object of informer.list()) this.place(keyOf(object.metadata), object);
  }

  ownedBy(uid: string | undefined): T[] {
    return [...(this.groups.get(`owner:${uid ?? ''}`)?.values() ?? [])];
  }

  /** Objects of a namespace that no controller manages. */
  orphans(namespace: string | undefined): T[] {
    return [...(this.groups.get(`orphans:${namespace ?? ''}`)?.values() ?? [])];
  }

  private place(key: string, object: T | undefined): void {
    const before = this.groupOf.get(key);
    const owner = object && controllerOf(object)?.uid;
    const after = object && (owner === undefined ? `orphans:${object.metadata.namespace ?? ''}` : `owner:${owner}`);
    if (before !== undefined && before !== after) this.removeFrom(before, key);
    if (object === undefined || after === undefined) return;
    const group = this.groups.get(after) ?? new Map<string, T>();
    group.set(key, object);
    this.groups.set(after, group);
    this.groupOf.set(key, after);
  }

  private removeFrom(name: string, key: string): void {
    const group = this.groups.get(name);
    group?.delete(key);
    if (group?.size === 0) this.groups.delete(name);
    this.groupOf.delete(key);
  }
}
