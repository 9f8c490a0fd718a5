import { ownsField } from '../kube/managed-fields.js';
import type { KubeObject } from '../kube/types.js';
import { OWN_MANAGERS } from './names.js';

/** Who, other than Sluice, wrote a field last, by JSON pointer; undefined when the server does not tell. */
export function foreignOwner(object: KubeObject, pointer: string): string | undefined {
  const owners = (object.metadata.managedFields ?? []).filter(
    ({ manager, fieldsV1 }) => manager !== undefined && !OWN_MANAGERS.includes(manager) && ownsField(fieldsV1, pointer),
  );
  return owners.sort((a, b) => (b.time ?? '').localeCompare(a.time ?? ''))[0]?.manager;
}
