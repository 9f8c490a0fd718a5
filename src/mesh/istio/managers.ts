import { OWN_MANAGERS } from '../../core/names.js';
import type { Live } from './schema.js';

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;

/**
 * Who last wrote `spec.http`, when that is not Sluice. Owners that hold the very same value share it, so at equal times (they
 * have whole seconds) ours counts: there is no quarrel then.
 */
export function foreignManagerOf(live: Live): string | undefined {
  const owners = live.meta.managedFields.filter(({ fieldsV1 }) => field(field(fieldsV1, 'f:spec'), 'f:http') !== undefined);
  const newest = owners.reduce((latest, { time = '' }) => (time > latest ? time : latest), '');
  const last = owners.filter(({ time = '' }) => time === newest).map(({ manager }) => manager);
  if (last.some((manager) => manager !== undefined && OWN_MANAGERS.includes(manager))) return undefined;
  return last.find((manager) => manager !== undefined);
}
