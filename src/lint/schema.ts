import { crds } from '../api/crd.js';
import { API_VERSION, DURATION_PATTERN, GROUP } from '../api/index.js';
import { cloneJson } from '../core/per-object.js';
import type { KubeObject } from '../kube/types.js';
import { customKinds } from '../sandbox/apiserver/kinds/custom.js';
import { prune } from '../sandbox/apiserver/schema/structural.js';
import { memberSchema, type Schema } from '../sandbox/apiserver/schema/types.js';
import type { ResourceInfo } from '../sandbox/apiserver/types.js';
import { nameOf, pathOf, type FieldPath, type Written } from './documents.js';
import type { Finding } from './finding.js';

let kinds: Map<string, ResourceInfo> | undefined;
const kindNamed = (kind: string): ResourceInfo | undefined => (kinds ??= new Map(crds().flatMap(customKinds).map((info) => [info.kind, info]))).get(kind);

export const isOurs = ({ apiVersion }: KubeObject): boolean => apiVersion.startsWith(`${GROUP}/`);

/** Finding about a field of an object. */
export function findingAt(written: Written, path: FieldPath, severity: Finding['severity'], rule: string, field: string, message: string): Finding {
  return { severity, rule, file: written.file, line: written.lineOf(path), object: nameOf(written.manifest), ...(field === '' ? {} : { field }), message };
}

/** What the API server would refuse of an object of Sluice's kinds, or drop from it: fields, types, bounds and CEL rules. */
export function schemaFindings(written: Written): Finding[] {
  const { manifest } = written;
  const error = (field: string, rule: string, message: string): Finding => findingAt(written, pathOf(field), 'error', rule, field, message);
  const info = kindNamed(manifest.kind);
  if (!info) return [error('kind', 'kind', `${manifest.kind} is not a kind of ${GROUP}; there are ${[...(kinds?.keys() ?? [])].join(', ')}`)];
  if (manifest.apiVersion !== API_VERSION) return [error('apiVersion', 'kind', `${manifest.apiVersion} is not served; write ${API_VERSION}`)];
  const copy = cloneJson(manifest) as KubeObject & Record<string, unknown>;
  const unknown = prune(copy, info.schema).map((field) => error(field, 'unknown-field', `there is no such field, and the API server would drop it; ${remedy(info, field)}`));
  info.strategy.defaults?.(copy);
  const causes = info.strategy.validate?.(copy) ?? [];
  return [...unknown, ...causes.filter(({ field }) => field !== '<nil>' || causes.length === 1).map(({ field = '', message }) => error(field === '<nil>' ? '' : field, 'schema', plainly(field, message)))];
}

/** What the API server would say, and what to do, without what is said beside it anyway. */
function plainly(field: string, message: string): string {
  if (message.startsWith('Required value')) return `it is required and missing; add it${message.replace(/^Required value:? ?/, ' ').trimEnd()}`;
  const type = / in body must be of type ([a-z]+): "([a-z]+)"$/.exec(message);
  if (type) return `expected ${type[1]}, found ${type[2]}; ${type[1] === 'string' ? 'put it into quotes' : type[2] === 'string' ? 'take the quotes away, or write another value' : 'write another value'}`;
  if (message.includes(DURATION_PATTERN.source)) return `${/^Invalid value: (".*"): /.exec(message)?.[1] ?? 'this'} is not a duration; write one such as 30s, 1m30s or 500ms`;
  return message.replace(/^Invalid value: (?:"(?:object|array)": )?/, 'it cannot be ').replace(`${field} in body `, '').replace(/^it cannot be (?=[a-z])/, '').replace(/^Unsupported value: ("?[^:]*"?): supported values: /, '$1 is none of ');
}

/** The field that was probably meant, or where all of them are. */
function remedy({ schema, kind }: ResourceInfo, field: string): string {
  const path = pathOf(field);
  const wrong = String(path.at(-1));
  const names = Object.keys(schemaAt(schema, path.slice(0, -1))?.properties ?? {});
  const [near] = names.map((name) => ({ name, distance: editsBetween(wrong.toLowerCase(), name.toLowerCase()) })).toSorted((a, b) => a.distance - b.distance);
  if (near && near.distance <= Math.max(1, wrong.length / 3)) return `did you mean ${near.name}?`;
  return `see which there are: kubectl explain ${[kind.toLowerCase(), ...path.slice(0, -1).filter((part) => typeof part === 'string')].join('.')}`;
}

const schemaAt = (schema: Schema, path: FieldPath): Schema | undefined =>
  path.reduce<Schema | undefined>((at, part) => (typeof part === 'number' ? at?.items : memberSchema(at, part)), schema);

/** Letters to add, take away or exchange (Levenshtein). */
function editsBetween(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of from.split('').entries())
    row = row.reduce<number[]>((next, above, column) => {
      const left = next.at(-1);
      if (left === undefined) return [index + 1];
      return [...next, Math.min(left + 1, above + 1, (row[column - 1] ?? 0) + (letter === to[column - 1] ? 0 : 1))];
    }, []);
  return row.at(-1) ?? 0;
}
