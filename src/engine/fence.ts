import { Annotations, SluiceResources, type Canary } from '../api/index.js';
import { isConflict, isNotFound, Resources, type IndexedInformer, type KubeObject } from '../kube/index.js';
import type { Resource } from '../kube/types.js';
import { Index, keyOf, type Cache } from './cache.js';
import { allWorkloads } from './workloads.js';
import type { Writer } from './writer.js';

export interface FenceOptions {
  cache: Cache;
  writer: Writer;
  /** Differs from that of every other leader, past or future. Undefined: nobody else can ever have written, and nothing is fenced. */
  epoch: string | undefined;
}

/** Somebody else, a controller that counts pods say, may write between our look and our mark. */
const MARK_TRIES = 5;

/**
 * Keeps a former leader's late writes out (trap K11). The Lease alone cannot: a process that was stopped just before a write
 * sends it when it goes on. So whoever leads now first writes its epoch on a Canary, its slots and its routes. From then on
 * each of them has another `resourceVersion`, without which no write of a former leader succeeds.
 */
export class Fence {
  readonly #raised = new Set<string>();

  constructor(private readonly options: FenceOptions) {}

  /**
   * Fence one Canary, once. Returns true when something was written: the answers may show what the former leader did last, so the
   * caller decides again.
   */
  async raise(canary: Canary): Promise<boolean> {
    const { cache, epoch } = this.options;
    const key = `${canary.metadata.uid}`;
    if (epoch === undefined || this.#raised.has(key)) return false;
    const objects = this.#objects(canary).filter(({ object }) => object.metadata.annotations?.[Annotations.epoch] !== epoch);
    // Of a Canary that nobody has worked on, there is nothing that anybody could write late.
    const untouched = canary.metadata.finalizers === undefined && objects.length === 1 && cache.canaries.get(canary.metadata.namespace, canary.metadata.name)?.status === undefined;
    if (!untouched) for (const { resource, object, informer } of objects) await this.#mark(resource, object, informer, epoch);
    this.#raised.add(key);
    return !untouched && objects.length > 0;
  }

  #objects(canary: Canary): { resource: Resource; object: KubeObject; informer: IndexedInformer<KubeObject> }[] {
    const { cache } = this.options;
    const key = keyOf(canary);
    const of = (resource: Resource, informer: IndexedInformer<KubeObject>) => informer.byIndex(Index.canary, key).map((object) => ({ resource, object, informer }));
    return [
      ...of(Resources.VirtualService, cache.virtualServices),
      ...allWorkloads(cache).flatMap(({ resource, informer }) => of(resource, informer)),
      // Last: its status tells what was decided, and must not be older than what the others show.
      { resource: SluiceResources.Canary as unknown as Resource, object: canary, informer: cache.canaries as unknown as IndexedInformer<KubeObject> },
    ];
  }

  /** With the version that was seen: a mark that comes late is refused like any other write. */
  async #mark(resource: Resource, seen: KubeObject, informer: IndexedInformer<KubeObject>, epoch: string): Promise<void> {
    const { writer } = this.options;
    const { namespace, name } = seen.metadata;
    const [, version = resource.version] = seen.apiVersion.split('/');
    for (let object: KubeObject | undefined = seen, left = MARK_TRIES; object; object = informer.get(namespace, name)) {
      const { resourceVersion } = object.metadata;
      try {
        await writer.patch({ ...resource, version }, object, { metadata: { resourceVersion, annotations: { [Annotations.epoch]: epoch } } }, informer);
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isConflict(error) || (left -= 1) === 0) throw error;
        await writer.reread({ ...resource, version }, namespace, name, informer);
      }
    }
  }
}
