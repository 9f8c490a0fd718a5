import type { Canary } from '../api/index.js';
import { Resources, type IndexedInformer, type KubeObject } from '../kube/index.js';
import type { Resource } from '../kube/types.js';
import type { Cache } from './cache.js';

/** Workloads of one kind: how to write them, and the local copies. */
export interface Workloads {
  resource: Resource;
  informer: IndexedInformer<KubeObject>;
}

const deployments = (cache: Cache): Workloads => ({ resource: Resources.Deployment, informer: cache.deployments });
const daemonSets = (cache: Cache): Workloads => ({ resource: Resources.DaemonSet, informer: cache.daemonSets });

/** Every kind of workload that may be a target. */
export const allWorkloads = (cache: Cache): Workloads[] => [deployments(cache), daemonSets(cache)];

/** The kind of workload that a Canary releases; its slots are of the same kind. */
export const workloadsOf = (cache: Cache, canary: Canary): Workloads => (canary.spec?.targetRef?.kind === 'DaemonSet' ? daemonSets(cache) : deployments(cache));

/** The workload that a Canary names, if it is there. */
export const targetOf = (cache: Cache, canary: Canary): KubeObject | undefined => workloadsOf(cache, canary).informer.get(canary.metadata.namespace, canary.spec?.targetRef?.name ?? '');
