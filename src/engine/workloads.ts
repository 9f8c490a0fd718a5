import type { Canary } from '../api/index.js';
import { Resources, type IndexedInformer, type KubeObject } from '../kube/index.js';
import type { Resource } from '../kube/types.js';
import type { Cache } from './cache.js';

/** Workloads of one kind: how to write them, and the local copies. */
export interface Workloads {
  resource: Resource;
  informer: IndexedInformer<KubeObject>;
}

/** Every kind of workload that may be a target. */
export const allWorkloads = (cache: Cache): Workloads[] => [
  { resource: Resources.Deployment, informer: cache.deployments },
  { resource: Resources.DaemonSet, informer: cache.daemonSets },
];

/** The kind of workload that a Canary releases; its slots are of the same kind. */
export function workloadsOf(cache: Cache, canary: Canary): Workloads {
  const kind = canary.spec?.targetRef?.kind;
  return kind === 'DaemonSet' ? { resource: Resources.DaemonSet, informer: cache.daemonSets } : { resource: Resources.Deployment, informer: cache.deployments };
}

/** The workload that a Canary names, if it is there. */
export const targetOf = (cache: Cache, canary: Canary): KubeObject | undefined => workloadsOf(cache, canary).informer.get(canary.metadata.namespace, canary.spec?.targetRef?.name ?? '');
