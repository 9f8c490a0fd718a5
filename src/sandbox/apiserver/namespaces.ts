import type { KubeObject } from '../../kube/types.js';
import { ApiError } from './errors.js';
import type { Objects } from './objects.js';
import type { StoredEvent } from './storage.js';
import type { WriteContext } from './types.js';

const NAMESPACES = '/namespaces';
const FIRST = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];

export const systemContext = (fieldManager: string): WriteContext => ({
  fieldManager,
  fieldValidation: 'Ignore',
  dryRun: false,
  force: false,
  warnings: [],
});

/** Gives every namespace its default ServiceAccount, and empties and removes the ones that are deleted. */
export class NamespaceController {
  private readonly queue = new Set<string>();
  private scheduled = false;
  private stopped = false;

  constructor(private readonly objects: Objects) {
    objects.storage.observe((event) => this.onEvent(event));
  }

  /** Creates the namespaces that every cluster starts with. */
  bootstrap(): void {
    const info = this.objects.registry.byStorageKey(NAMESPACES);
    if (info === undefined) return;
    for (const name of FIRST) this.objects.create(info, undefined, { metadata: { name } }, systemContext('kube-apiserver'));
    this.drain();
  }

  stop(): void {
    this.stopped = true;
    this.queue.clear();
  }

  private onEvent(event: StoredEvent): void {
    if (this.stopped) return;
    if (event.key === NAMESPACES) {
      if (event.type !== 'DELETED') this.enqueue(event.object.metadata.name);
      return;
    }
    const { namespace } = event.object.metadata;
    if (event.type !== 'DELETED' || namespace === undefined) return;
    const owner = this.objects.storage.get(NAMESPACES, undefined, namespace);
    if (owner?.metadata.deletionTimestamp !== undefined) this.enqueue(namespace);
  }

  private enqueue(name: string): void {
    this.queue.add(name);
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.drain();
    });
  }

  private drain(): void {
    const names = [...this.queue];
    this.queue.clear();
    for (const name of names) {
      const namespace = this.objects.storage.get(NAMESPACES, undefined, name);
      if (namespace === undefined) continue;
      if (namespace.metadata.deletionTimestamp === undefined) this.ensureServiceAccount(name);
      else this.empty(namespace);
    }
  }

  private ensureServiceAccount(namespace: string): void {
    const info = this.objects.registry.byStorageKey('/serviceaccounts');
    if (info === undefined || this.objects.storage.get(info.storageKey, namespace, 'default') !== undefined) return;
    this.objects.create(info, namespace, { metadata: { name: 'default' } }, systemContext('kube-controller-manager'));
  }

  private empty(namespace: KubeObject): void {
    const { name } = namespace.metadata;
    let left = 0;
    for (const key of this.objects.storage.keys()) {
      const info = this.objects.registry.byStorageKey(key);
      if (info === undefined || !info.namespaced) continue;
      for (const object of this.objects.storage.list(key, name)) {
        left++;
        if (object.metadata.deletionTimestamp === undefined)
          this.tryDelete(() => this.objects.delete(info, name, object.metadata.name, {}));
      }
    }
    if (left > 0 && this.hasContent(name)) return;
    const info = this.objects.registry.byStorageKey(NAMESPACES);
    if (info !== undefined && (namespace.metadata.finalizers?.length ?? 0) === 0) this.objects.remove(info, namespace);
  }

  private hasContent(name: string): boolean {
    return this.objects.storage.keys().some((key) => {
      return this.objects.registry.byStorageKey(key)?.namespaced === true && this.objects.storage.list(key, name).length > 0;
    });
  }

  private tryDelete(remove: () => void): void {
    try {
      remove();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }
}
