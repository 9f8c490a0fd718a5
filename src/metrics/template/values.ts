import type { MetricTemplateSpec } from '../../api/index.js';
import type { MeasureRequest } from '../../engine/ports.js';
import type { Placeholders, Rendered } from './render.js';

export type Side = 'canary' | 'stable';

/** What a Canary gives, completed by what the template declares; or which variable is missing or not known. */
export function variablesOf({ variables: declared }: Pick<MetricTemplateSpec, 'variables'>, given: Readonly<Record<string, string>>): Rendered<Record<string, string>> {
  if (!declared) return { done: given };
  const names = new Set(declared.map(({ name }) => name));
  const strange = Object.keys(given).find((name) => !names.has(name));
  if (strange !== undefined) return { problem: `templateVariables has "${strange}", which the template does not declare; it declares ${[...names].join(', ') || 'none'}` };
  const missing = declared.find((one) => given[one.name] === undefined && one.default === undefined && one.required !== false);
  if (missing) return { problem: `templateVariables needs "${missing.name}"${missing.description === undefined ? '' : ` (${missing.description})`}` };
  return { done: Object.fromEntries(declared.map((one) => [one.name, given[one.name] ?? one.default ?? ''])) };
}

/**
 * Values for one side of the comparison.
 * @param intervalMs length of the evidence
 */
export function valuesOf(request: MeasureRequest, variables: Readonly<Record<string, string>>, side: Side, intervalMs: number): Placeholders {
  const canary = side === 'canary';
  const commit = canary ? request.commit : request.stableCommit;
  const revision = canary ? request.revision : request.stable;
  const unknown = (what: string) => ({ unknown: `${what} is not known` });
  return new Map<string, string | { unknown: string }>([
    ['name', request.name],
    ['namespace', request.namespace],
    ['target', request.target],
    ['service', canary ? request.service : request.stableService],
    ['stableService', request.stableService],
    ['revision', revision ?? unknown('the revision of the stable version')],
    ['stable', request.stable ?? unknown('the revision of the stable version')],
    ['commit', commit ?? unknown(`the commit that brought revision ${revision ?? 'of the stable version'}`)],
    ['interval', intervalMs % 1000 === 0 ? `${intervalMs / 1000}s` : `${intervalMs}ms`],
    ...Object.entries(variables).map(([key, value]): [string, string] => [`variables.${key}`, value]),
  ]);
}
