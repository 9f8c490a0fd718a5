import { OWN_MANAGERS } from '../../core/names.js';
import { ownsField } from '../../kube/managed-fields.js';
import type { Live } from './schema.js';

/**
 * Who last wrote `spec.http`, when that is not Sluice. Owners that hold the very same value share it, so at equal times (they
 * have whole seconds) ours counts: there is no quarrel then.
 */
export function foreignManagerOf(live: Live): string | undefined {
  const owners = live.meta.managedFields.filter(({ fieldsV1 }) => ownsField(fieldsV1, '/spec/http'));
  const newest = owners.reduce((latest, { time = '' }) => (time > latest ? time : latest), '');
  const last = owners.filter(({ time = '' }) => time === newest).map(({ manager }) => manager);
  if (last.some((manager) => manager !== undefined && OWN_MANAGERS.includes(manager))) return undefined;
  return last.find((manager) => manager !== undefined);
}
