import type { KubeClient, KubeObject, OwnerReference } from '../../../kube/types.js';
import type { Clock } from '../clock.js';
import type { EventSink } from '../events.js';
import type { ControllerInformers } from '../informers.js';

/** What every controller is given. */
export interface ControllerContext {
  client: KubeClient;
  informers: ControllerInformers;
  clock: Clock;
  events: EventSink;
  /** A failed reconciliation, already scheduled to be tried again. */
  onError: (controller: string, key: string, error: unknown) => void;
}

export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((reference) => reference.controller === true);

/** The reference that makes `owner` the managing controller. */
export function controllerReference(owner: KubeObject, apiVersion: string, kind: string): OwnerReference {
  const { name, uid } = owner.metadata;
  if (uid === undefined)
    throw new Error(`${kind} ${name}: metadata.uid is missing, expected one from the API server; read it again`);
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** JSON with sorted keys: equal text means equal value. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Whether two JSON values are equal; a field that is undefined is a field that is missing. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b))
    return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  return Object.keys({ ...left, ...right }).every((key) => sameValue(left[key], right[key]));
}
