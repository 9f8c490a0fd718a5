import { SluiceResources, type Canary } from '../api/index.js';
import { canaryNames, ownVirtualServices } from '../core/names.js';
import { KubeError, Resources, type IndexedInformer, type KubeObject } from '../kube/index.js';
import type { Resource } from '../kube/types.js';
import type { Cache } from './cache.js';
import { callerServices, routeInput } from './observe.js';
import { targetOf, workloadsOf } from './workloads.js';
import type { Writer } from './writer.js';

/** No answer, or one that the server gave up on: the write may have been carried out all the same. */
export const leavesDoubt = (error: unknown): boolean => error instanceof KubeError && (error.code === 0 || error.code >= 500);

type Read = [resource: Resource, informer: IndexedInformer<KubeObject>, name: string, apiVersion?: string];

function routesOf(cache: Cache, canary: Canary): Read[] {
  const { service } = canaryNames(canary.spec);
  const routes = new Map(routeInput(cache, canary).virtualServices.flatMap(({ metadata, apiVersion }) => (metadata.namespace === canary.metadata.namespace ? [[metadata.name, apiVersion] as const] : [])));
  if (ownVirtualServices(canary.spec).length === 0 && !routes.has(service)) routes.set(service, `${Resources.VirtualService.group}/${cache.virtualServices.resource.version}`);
  return [...routes].map(([name, apiVersion]): Read => [Resources.VirtualService, cache.virtualServices, name, apiVersion]);
}

function objectsOf(cache: Cache, canary: Canary): Read[] {
  const { slots } = canaryNames(canary.spec);
  const { name: target } = canary.spec.targetRef;
  const workloads = workloadsOf(cache, canary);
  const callers = callerServices(cache, canary, targetOf(cache, canary));
  return [
    ...routesOf(cache, canary),
    ...[target, ...Object.values(slots)].map((name): Read => [workloads.resource, workloads.informer, name]),
    ...callers.map((item): Read => [Resources.Service, cache.services, item.metadata.name]),
    [SluiceResources.Canary as unknown as Resource, cache.canaries as unknown as IndexedInformer<KubeObject>, canary.metadata.name],
  ];
}

/**
 * After a write whose outcome is not known, the local copies may lack what we did ourselves: a weight that is already written, say,
 * to a slot that is about to be emptied. So everything that decides about traffic is read once before the next decision.
 * Rejects when the server does not answer.
 */
export const reread = (cache: Cache, writer: Writer, canary: Canary): Promise<void> => readAll(writer, canary, objectsOf(cache, canary));

/**
 * A process that was stopped for a while, or whose watch is late, does not know what somebody else wrote to the routes meanwhile.
 * Rejects when the server does not answer.
 */
export const rereadRoutes = (cache: Cache, writer: Writer, canary: Canary): Promise<void> => readAll(writer, canary, routesOf(cache, canary));

async function readAll(writer: Writer, canary: Canary, objects: Read[]): Promise<void> {
  for (const [resource, informer, name, apiVersion] of objects) {
    const version = apiVersion?.split('/')[1] ?? resource.version;
    await writer.reread({ ...resource, version }, canary.metadata.namespace, name, informer);
  }
}
