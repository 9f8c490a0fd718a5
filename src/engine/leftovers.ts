import { Labels, SluiceResources } from '../api/index.js';
import { SLOTS } from '../core/names.js';
import { readOverlay } from '../core/overlay.js';
import { Resources, type IndexedInformer, type KubeObject } from '../kube/index.js';
import type { Resource } from '../kube/types.js';
import { unmarkTarget } from './apply.js';
import { Index, overlaidKey, type Cache } from './cache.js';
import { markedPods } from './observe.js';
import type { Writer } from './writer.js';
import { allWorkloads } from './workloads.js';

interface Leftover {
  resource: Resource;
  object: KubeObject;
}

const of = (resource: Resource, objects: KubeObject[]): Leftover[] => objects.map((object) => ({ resource, object }));
const isOurs = (name: string) => (object: KubeObject): boolean => object.metadata.labels?.[Labels.canary] === name;

/** What was made for a Canary, in the order in which it may go: first what leads callers, then what answers them. */
function madeFor(cache: Cache, namespace: string, name: string): Leftover[] {
  const key = `${namespace}/${name}`;
  const labelled = (informer: IndexedInformer<KubeObject>): KubeObject[] => informer.byIndex(Index.canary, key).filter(isOurs(name));
  return [
    ...of(Resources.VirtualService, labelled(cache.virtualServices)),
    ...of(Resources.DestinationRule, cache.destinationRules.list(namespace).filter(isOurs(name))),
    ...allWorkloads(cache).flatMap(({ resource, informer }) => of(resource, labelled(informer))),
    ...of(Resources.PodDisruptionBudget, labelled(cache.budgets)),
    ...of(Resources.Service, labelled(cache.services)),
    ...of(Resources.ConfigMap, labelled(cache.configMaps)),
    ...of(Resources.ControllerRevision, labelled(cache.revisions)),
  ];
}

/** Something of the user's still carries the overlay of this Canary, or its pods answer by routes of ours: it was never given back. */
function serves(cache: Cache, namespace: string, name: string, made: Leftover[]): boolean {
  const key = `${namespace}/${name}`;
  const overlaid = [
    ...cache.virtualServices.byIndex(Index.canary, key).filter((object) => !isOurs(name)(object)),
    ...cache.services.byIndex(Index.callers, overlaidKey(namespace, name)),
    ...allWorkloads(cache).flatMap(({ informer }) => informer.list(namespace).filter((object) => readOverlay(object)?.canary === name)),
  ];
  const routed = made.some(({ object }) => object.kind === Resources.VirtualService.kind);
  const pods = SLOTS.flatMap((slot) => cache.pods.byIndex(Index.slot, `${key}/${slot}`));
  return overlaid.length > 0 || (routed && pods.length > 0);
}

/**
 * Remove what a former leader made for a Canary that is gone: a write that was on its way while its successor let the Canary go comes
 * when nobody expects it any more (trap K11), and nothing else would ever remove it. A Canary whose finalizer somebody took away was
 * never given back: its slots may serve, and nothing of them is touched.
 */
export async function removeLeftovers(cache: Cache, writer: Writer, key: string): Promise<void> {
  const [namespace = '', name = ''] = key.split('/');
  const made = madeFor(cache, namespace, name);
  if (made.length + markedPods(cache, key).length === 0 || serves(cache, namespace, name, made)) return;
  // A copy that is late must not make a Canary of now one of the past.
  await writer.reread(SluiceResources.Canary, namespace, name, cache.canaries);
  if (cache.canaries.get(namespace, name)) return;
  for (const { resource, object } of made) await writer.delete(resource, object);
  await unmarkTarget(cache, writer, key);
}

/** Keys of Canaries that are gone and of which something may be left. */
export function bereft(cache: Cache): Set<string> {
  const objects = [cache.virtualServices, cache.services, cache.revisions, cache.configMaps, ...allWorkloads(cache).map(({ informer }) => informer)].flatMap((informer) => informer.list());
  return new Set(objects.flatMap((object) => bereftOf(cache, object) ?? []));
}

/** The key of the Canary that an object was made for, when that is gone. */
export function bereftOf(cache: Cache, object: KubeObject | undefined): string | undefined {
  const name = object?.metadata.labels?.[Labels.canary];
  const { namespace = '' } = object?.metadata ?? {};
  return name === undefined || cache.canaries.get(namespace, name) ? undefined : `${namespace}/${name}`;
}
