import { isAlreadyExists, isNotFound, type IndexedInformer, type KubeClient, type KubeObject } from '../kube/index.js';
import type { DeleteOptions, PatchType, Resource, WriteOptions } from '../kube/types.js';

/** Field manager of every write that a release makes. The Git sync has its own. */
export const FIELD_MANAGER = 'sluice';

/**
 * The only way by which the engine writes. Each write first makes sure that we still lead (trap K11), and its answer is laid over
 * the local copy, so that the next decision sees it.
 */
export class Writer {
  constructor(
    private readonly client: KubeClient,
    /** Throws when this process must not act any more. */
    readonly assertLeading: () => void,
  ) {}

  /** What the server has now, laid over the local copy. A list, because the right to `get` is needed for nothing else. */
  async reread<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string, into: IndexedInformer<T>): Promise<void> {
    const { items } = await this.client.list(resource, { namespace, fieldSelector: `metadata.name=${name}` });
    for (const item of items) if (item.metadata.name === name) into.observe(item);
  }

  /** What the server has now; for the few objects that are not watched. */
  async list<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, labelSelector: string): Promise<T[]> {
    const { items } = await this.client.list(resource, { namespace, labelSelector });
    return items;
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T, into?: IndexedInformer<T>): Promise<T | undefined> {
    this.assertLeading();
    try {
      const created = await this.client.create(resource, object, { fieldManager: FIELD_MANAGER, beforeSend: this.assertLeading });
      into?.observe(created);
      return created;
    } catch (error) {
      // Names are either ours alone or made from content: what is there already is what we wanted.
      if (isAlreadyExists(error)) return undefined;
      throw error;
    }
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T, into?: IndexedInformer<T>, options: WriteOptions = {}): Promise<T> {
    this.assertLeading();
    const updated = await this.client.update(resource, object, { fieldManager: FIELD_MANAGER, beforeSend: this.assertLeading, ...options });
    into?.observe(updated);
    return updated;
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    of: KubeObject,
    body: unknown,
    into?: IndexedInformer<T>,
    options: WriteOptions & { type?: PatchType } = {},
  ): Promise<T> {
    this.assertLeading();
    const { type = 'merge', ...rest } = options;
    const patched = await this.client.patch(resource, of.metadata.namespace, of.metadata.name, body, type, { fieldManager: FIELD_MANAGER, beforeSend: this.assertLeading, ...rest });
    if (patched.kind === resource.kind) into?.observe(patched);
    return patched;
  }

  /** `deployments/scale`, refused when the Deployment is no longer the one that was seen. Its answer is another kind, so the copy is made from both. */
  async scale(resource: Resource, of: KubeObject, replicas: number, into: IndexedInformer<KubeObject>): Promise<void> {
    const { resourceVersion, generation = 0 } = of.metadata;
    const scale = await this.patch(resource, of, { metadata: { resourceVersion }, spec: { replicas } }, undefined, { subresource: 'scale' });
    const metadata = { ...of.metadata, resourceVersion: scale.metadata.resourceVersion, generation: generation + 1 };
    into.observe({ ...of, metadata, spec: { ...(of['spec'] as object), replicas } });
  }

  /** Refused when the object is no longer the one that was seen. */
  async delete(resource: Resource, of: KubeObject, options: DeleteOptions = {}): Promise<void> {
    this.assertLeading();
    const { namespace, name, uid, resourceVersion } = of.metadata;
    try {
      await this.client.delete(resource, namespace, name, { propagationPolicy: 'Background', uid, resourceVersion, beforeSend: this.assertLeading, ...options });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
