import { OWN_MANAGERS } from '../../core/names.js';
import { ownsField } from '../../kube/managed-fields.js';
import { PROTOCOLS, type Live, type Protocol } from './schema.js';

/**
 * Who last wrote a list of routes, when that is not Sluice. Owners that hold the very same value share it, so at equal times (they
 * have whole seconds) ours counts: there is no quarrel then.
 */
function foreignManagerOf(live: Live, pointer: string): string | undefined {
  const owners = live.meta.managedFields.filter(({ fieldsV1 }) => ownsField(fieldsV1, pointer));
  const newest = owners.reduce((latest, { time = '' }) => (time > latest ? time : latest), '');
  const last = owners.filter(({ time = '' }) => time === newest).map(({ manager }) => manager);
  if (last.some((manager) => manager !== undefined && OWN_MANAGERS.includes(manager))) return undefined;
  return last.find((manager) => manager !== undefined);
}

/** Who other than Sluice last wrote one of these lists, and which; without any, that of http is meant. */
export function foreignRoutes(live: Live, lists: ReadonlySet<Protocol>): { foreignManager: string; foreignField: string } | undefined {
  for (const list of PROTOCOLS) {
    const field = `/spec/${list}`;
    const foreignManager = lists.has(list) || (lists.size === 0 && list === 'http') ? foreignManagerOf(live, field) : undefined;
    if (foreignManager !== undefined) return { foreignManager, foreignField: field };
  }
  return undefined;
}
