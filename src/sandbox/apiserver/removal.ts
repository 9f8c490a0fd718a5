import type { KubeObject } from '../../kube/types.js';
import { asString, at, type Json } from './json.js';
import { timestamp } from './meta.js';
import type { DeleteContext, ResourceInfo } from './types.js';

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';
/** Holds a CustomResourceDefinition until its objects are gone. */
export const CRD_CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';
const CRD_KEY = 'apiextensions.k8s.io/customresourcedefinitions';

/** What a DELETE leads to: the object is gone, or stays with a deletionTimestamp. */
export interface Removal {
  gone: boolean;
  object: KubeObject;
}

const DEFAULT_GRACE_SECONDS = 30;

/** Pods that run on a node get their grace period: the kubelet deletes them for good with 0. */
function graceSeconds(object: KubeObject, info: ResourceInfo, options: DeleteContext): number {
  if (info.storageKey !== '/pods') return 0;
  const phase = asString(at(object, 'status', 'phase'));
  if (asString(at(object, 'spec', 'nodeName')) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = at(object, 'spec', 'terminationGracePeriodSeconds');
  const wanted = options.gracePeriodSeconds ?? (typeof own === 'number' ? own : DEFAULT_GRACE_SECONDS);
  const pending = at(object, 'metadata', 'deletionGracePeriodSeconds');
  return typeof pending === 'number' ? Math.min(pending, wanted) : wanted;
}

function finalizersFor(existing: string[], policy: DeleteContext['propagationPolicy']): string[] {
  if (policy === undefined) return [...existing];
  const others = existing.filter((finalizer) => finalizer !== FOREGROUND && finalizer !== ORPHAN);
  if (policy === 'Foreground') return [...others, FOREGROUND];
  return policy === 'Orphan' ? [...others, ORPHAN] : others;
}

/** Works out the effect of a DELETE. Pure: the object it returns is new. */
export function prepareDelete(previous: KubeObject, info: ResourceInfo, options: DeleteContext, now: Date): Removal {
  const finalizers = finalizersFor(previous.metadata.finalizers ?? [], options.propagationPolicy);
  if (info.storageKey === CRD_KEY && !finalizers.includes(CRD_CLEANUP)) finalizers.push(CRD_CLEANUP);
  const grace = graceSeconds(previous, info, options);
  const metadata = { ...previous.metadata };
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
  const held = finalizers.length > 0 || grace > 0 || info.storageKey === '/namespaces';
  if (!held) {
    const pending = (metadata as unknown as Json)['deletionGracePeriodSeconds'];
    if (pending !== undefined) (metadata as unknown as Json)['deletionGracePeriodSeconds'] = 0;
    return { gone: true, object: { ...previous, metadata } };
  }
  if (metadata.deletionTimestamp === undefined) {
    metadata.deletionTimestamp = timestamp(new Date(now.getTime() + grace * 1000));
    if (info.hasGeneration) metadata.generation = (metadata.generation ?? 0) + 1;
  }
  if (info.storageKey !== '/namespaces') (metadata as unknown as Json)['deletionGracePeriodSeconds'] = grace;
  const object: KubeObject = { ...previous, metadata };
  if (info.storageKey === '/namespaces') object['status'] = { ...(previous['status'] as Json | undefined), phase: 'Terminating' };
  return { gone: false, object };
}
