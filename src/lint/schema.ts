import { crds } from '../api/crd.js';
import { API_VERSION, GROUP } from '../api/index.js';
import { cloneJson } from '../core/per-object.js';
import type { KubeObject } from '../kube/types.js';
import { customKinds } from '../sandbox/apiserver/kinds/custom.js';
import { prune } from '../sandbox/apiserver/schema/structural.js';
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
  const unknown = prune(copy, info.schema).map((field) => error(field, 'unknown-field', `there is no such field, and the API server would drop it; look for a typo, or see: kubectl explain ${manifest.kind.toLowerCase()}.${withoutIndexes(parentOf(field))}`));
  info.strategy.defaults?.(copy);
  const causes = info.strategy.validate?.(copy) ?? [];
  return [...unknown, ...causes.filter(({ field }) => field !== '<nil>' || causes.length === 1).map(({ field = '', message }) => error(field === '<nil>' ? '' : field, 'schema', message))];
}

const parentOf = (field: string): string => field.replace(/[.[][^.[]*$/, '');
const withoutIndexes = (field: string): string => field.replaceAll(/\[[^\]]*\]/g, '');
