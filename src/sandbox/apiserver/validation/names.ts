import { duplicateValue, forbiddenField, invalidValue, required, tooLong, type Cause } from '../errors.js';
import { asArray, asObject, at, isObject, own, type Json } from '../json.js';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const LABEL_MESSAGE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_MESSAGE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS1035_MESSAGE =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_MESSAGE =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_MESSAGE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const ANNOTATIONS_LIMIT = 256 * 1024;

export type NameRule = (name: string) => string[];

const rule =
  (pattern: RegExp, message: string, max: number): NameRule =>
  (name) => [...(name.length > max ? [`must be no more than ${max} bytes`] : []), ...(pattern.test(name) ? [] : [message])];

export const dns1123Label = rule(LABEL, LABEL_MESSAGE, 63);
export const dns1123Subdomain = rule(SUBDOMAIN, SUBDOMAIN_MESSAGE, 253);
export const dns1035Label = rule(DNS1035, DNS1035_MESSAGE, 63);
/** Names that only need to be usable as one path segment, as RBAC kinds allow. */
export const pathSegment: NameRule = (name) =>
  /[/%]/.test(name) || name === '.' || name === '..' ? ["may not contain '/' or '%'"] : [];

export function validateLabels(labels: unknown, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(asObject(labels))) {
    causes.push(...validateQualifiedName(key, field));
    if (typeof value !== 'string') continue;
    if (value.length > 63) causes.push(invalidValue(field, value, 'must be no more than 63 bytes'));
    if (value !== '' && !QUALIFIED.test(value)) causes.push(invalidValue(field, value, LABEL_VALUE_MESSAGE));
  }
  return causes;
}

export function validateQualifiedName(key: string, field: string): Cause[] {
  const parts = key.split('/');
  const name = parts.at(-1) ?? '';
  const causes: Cause[] = [];
  if (parts.length > 2)
    return [invalidValue(field, key, `a qualified name must consist of alphanumeric characters, '-', '_' or '.'`)];
  if (parts.length === 2)
    for (const why of dns1123Subdomain(parts[0] ?? '')) causes.push(invalidValue(field, key, `prefix part ${why}`));
  if (name === '') causes.push(invalidValue(field, key, 'name part must be non-empty'));
  else if (name.length > 63) causes.push(invalidValue(field, key, 'name part must be no more than 63 bytes'));
  if (!QUALIFIED.test(name)) causes.push(invalidValue(field, key, QUALIFIED_MESSAGE));
  return causes;
}

function validateAnnotations(annotations: unknown): Cause[] {
  const causes: Cause[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(asObject(annotations))) {
    causes.push(...validateQualifiedName(key.toLowerCase(), 'metadata.annotations'));
    size += key.length + String(value).length;
  }
  return size > ANNOTATIONS_LIMIT ? [...causes, tooLong('metadata.annotations', ANNOTATIONS_LIMIT)] : causes;
}

function validateOwners(owners: unknown): Cause[] {
  let controllers = 0;
  const field = 'metadata.ownerReferences';
  const causes = asArray(owners).flatMap((owner, index) => {
    if (at(owner, 'controller') === true) controllers++;
    return ['apiVersion', 'kind', 'name', 'uid']
      .filter((key) => (at(owner, key) ?? '') === '')
      .map((key) => invalidValue(`${field}[${index}].${key}`, at(owner, key) ?? '', 'must not be empty'));
  });
  if (controllers > 1) causes.push(invalidValue(field, null, 'Only one reference can have Controller set to true'));
  return causes;
}

/** Validates `metadata`. `nameRule` is the kind's. */
export function validateMeta(object: Json, nameRule: NameRule): Cause[] {
  const meta = asObject(object['metadata']);
  const name = own(meta, 'name');
  const causes: Cause[] = [];
  if (typeof name !== 'string' || name === '') causes.push(required('metadata.name', 'name or generateName is required'));
  else for (const why of nameRule(name)) causes.push(invalidValue('metadata.name', name, why));
  causes.push(...validateLabels(meta['labels'], 'metadata.labels'), ...validateAnnotations(meta['annotations']));
  causes.push(...validateOwners(meta['ownerReferences']));
  for (const finalizer of asArray(meta['finalizers']))
    causes.push(...validateQualifiedName(String(finalizer), 'metadata.finalizers'));
  return causes;
}

/** What may not change in `metadata`. */
export function validateMetaUpdate(object: Json, previous: Json): Cause[] {
  const before = asArray(at(previous, 'metadata', 'finalizers'));
  const deleting = at(previous, 'metadata', 'deletionTimestamp') !== undefined;
  const added = asArray(at(object, 'metadata', 'finalizers')).filter((finalizer) => !before.includes(finalizer));
  if (!deleting || added.length === 0) return [];
  return [
    forbiddenField(
      'metadata.finalizers',
      `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((item) => JSON.stringify(item)).join(', ')}}`,
    ),
  ];
}

/** Validates a `metav1.LabelSelector`. */
export function validateSelector(selector: unknown, field: string): Cause[] {
  if (!isObject(selector)) return [];
  const causes = validateLabels(selector['matchLabels'], `${field}.matchLabels`);
  asArray(selector['matchExpressions']).forEach((expression, index) => {
    const path = `${field}.matchExpressions[${index}]`;
    const operator = at(expression, 'operator');
    const values = asArray(at(expression, 'values'));
    if (operator === 'In' || operator === 'NotIn') {
      if (values.length === 0) causes.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values.length > 0)
        causes.push(forbiddenField(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else causes.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'));
  });
  return causes;
}

/** Reports keys that occur twice. */
export function duplicates(items: unknown[], key: string, field: string): Cause[] {
  const seen = new Set<unknown>();
  return items.flatMap((item, index) => {
    const value = at(item, key);
    if (value === undefined || !seen.has(value)) {
      seen.add(value);
      return [];
    }
    return [duplicateValue(`${field}[${index}].${key}`, value)];
  });
}
