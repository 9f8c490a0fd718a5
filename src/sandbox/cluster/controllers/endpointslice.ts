import { isNotFound } from '../../../kube/types.js';
import { randomSuffix } from '../names.js';
import { WorkQueue, keyOf, splitKey } from '../queue.js';
import { matchesLabels } from '../selectors.js';
import { Kinds } from '../types.js';
import type { EndpointSlice, Pod, Service } from '../types.js';
import type { ControllerContext } from './context.js';
import { controllerOf, controllerReference, sameValue } from './context.js';
import { MANAGED_BY, MANAGER, SERVICE_NAME, desiredSlices, sliceLabels } from './endpoints.js';
import type { SliceContent } from './endpoints.js';

/** Keeps EndpointSlices for every Service that has a selector. */
export class EndpointSliceController {
  private readonly queue: WorkQueue;

  constructor(private readonly context: ControllerContext) {
    const { informers, clock } = context;
    this.queue = new WorkQueue({
      work: (key) => this.sync(key),
      onError: (key, error) => context.onError('endpointslice', key, error),
      clock,
      concurrency: 8,
    });
    informers.services.onChange((key) => this.queue.add(keyOf(key)));
    informers.pods.onChange((_key, pod, previous) => this.podChanged(pod, previous));
    informers.endpointSlices.onChange((_key, slice, previous) => this.sliceChanged(slice ?? previous));
  }

  start(): void {
    for (const service of this.context.informers.services.list()) this.queue.add(keyOf(service.metadata));
  }

  stop(): void {
    this.queue.stop();
  }

  private podChanged(pod: Pod | undefined, previous: Pod | undefined): void {
    const namespace = (pod ?? previous)?.metadata.namespace;
    for (const service of this.context.informers.services.list(namespace)) {
      if (selects(service, pod) || selects(service, previous)) this.queue.add(keyOf(service.metadata));
    }
  }

  private sliceChanged(slice: EndpointSlice | undefined): void {
    const service = slice?.metadata.labels?.[SERVICE_NAME];
    if (!slice || service === undefined || slice.metadata.labels?.[MANAGED_BY] !== MANAGER) return;
    this.queue.add(keyOf({ namespace: slice.metadata.namespace, name: service }));
  }

  private async sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const { services, pods } = this.context.informers;
    const service = services.get(namespace, name);
    const existing = this.slicesOf(namespace, name);
    // A Service without a selector is served by hand-written slices; a deleted one's go here or by garbage collection.
    if (!service || service.metadata.deletionTimestamp || !hasSelector(service)) {
      for (const slice of existing) await this.remove(slice);
      return;
    }
    const selected = pods.list(namespace).filter((pod) => selects(service, pod));
    await this.reconcile(service, desiredSlices(service, selected), existing);
  }

  private slicesOf(namespace: string, service: string): EndpointSlice[] {
    return this.context.informers.endpointSlices
      .list(namespace)
      .filter(({ metadata: { labels } }) => labels?.[SERVICE_NAME] === service && labels[MANAGED_BY] === MANAGER)
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** Reuses slices with the same ports first, then any other, so that names and watchers see little change. */
  private async reconcile(service: Service, desired: SliceContent[], existing: EndpointSlice[]): Promise<void> {
    const free = [...existing].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const pairs = desired.map((content) => {
      const index = free.findIndex((slice) => sameValue(slice.ports ?? [], content.ports));
      return { content, slice: index < 0 ? undefined : free.splice(index, 1)[0] };
    });
    // Made and changed before removed: an endpoint may be in two slices for a moment, never in none.
    for (const { content, slice } of pairs) await this.write(service, content, slice ?? free.pop());
    for (const slice of free) await this.remove(slice);
  }

  private async write(service: Service, content: SliceContent, slice: EndpointSlice | undefined): Promise<void> {
    const { endpointSlices } = this.context.informers;
    const labels = sliceLabels(service);
    if (!slice) {
      endpointSlices.observe(await this.context.client.create(Kinds.EndpointSlice, newSlice(service, labels, content)));
      return;
    }
    const owned = controllerOf(slice)?.uid === service.metadata.uid;
    const unchanged = sameValue(slice.endpoints ?? [], content.endpoints) && sameValue(slice.ports ?? [], content.ports);
    if (owned && unchanged && sameValue(slice.metadata.labels, labels)) return;
    const ownerReferences = [controllerReference(service, 'v1', 'Service')];
    const next: EndpointSlice = { ...slice, ...content, metadata: { ...slice.metadata, labels, ownerReferences } };
    endpointSlices.observe(await this.context.client.update(Kinds.EndpointSlice, next));
  }

  private async remove({ metadata }: EndpointSlice): Promise<void> {
    await this.context.client
      .delete(Kinds.EndpointSlice, metadata.namespace, metadata.name, { uid: metadata.uid })
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
  }
}

const hasSelector = (service: Service): boolean => Object.keys(service.spec.selector ?? {}).length > 0;

const selects = (service: Service, pod: Pod | undefined): boolean =>
  pod !== undefined && hasSelector(service) && matchesLabels(service.spec.selector ?? {}, pod.metadata.labels);

function newSlice(service: Service, labels: Record<string, string>, content: SliceContent): EndpointSlice {
  const { name, namespace } = service.metadata;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${randomSuffix(5)}`,
      generateName: `${name}-`,
      namespace,
      labels,
      ownerReferences: [controllerReference(service, 'v1', 'Service')],
    },
    addressType: 'IPv4',
    ...content,
  };
}
