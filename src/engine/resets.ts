import type { Canary } from '../api/index.js';
import { OWN_MANAGERS } from '../core/names.js';
import type { Reset } from '../core/observation.js';
import { resetFields } from '../core/overlay.js';
import type { KubeObject } from '../kube/index.js';
import { ownsField } from '../kube/managed-fields.js';
import { Index, overlaidKey, type Cache } from './cache.js';

/** Who, other than Sluice, wrote a field last; undefined when the server does not tell. */
export function foreignOwner(object: KubeObject, pointer: string): string | undefined {
  const owners = (object.metadata.managedFields ?? []).filter(
    ({ manager, fieldsV1 }) => manager !== undefined && !OWN_MANAGERS.includes(manager) && ownsField(fieldsV1, pointer),
  );
  return owners.sort((a, b) => (b.time ?? '').localeCompare(a.time ?? ''))[0]?.manager;
}

/** Fields of the user's objects in which somebody wrote over this Canary's overlay, and who. */
export function resetsOf(cache: Cache, { metadata: { namespace = '', name } }: Canary, target: KubeObject | undefined): Reset[] {
  const key = overlaidKey(namespace, name);
  const overlaid = [cache.services, cache.budgets, cache.autoscalers, cache.scaledObjects].flatMap((informer) => informer.byIndex(Index.callers, key));
  return [...(target ? [target] : []), ...overlaid].flatMap((object) =>
    resetFields(object).map((field) => {
      const manager = foreignOwner(object, field);
      return { kind: object.kind, name: object.metadata.name, field, ...(manager === undefined ? {} : { manager }) };
    }),
  );
}
