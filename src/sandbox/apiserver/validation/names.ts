import { duplicateValue, forbiddenField, invalidValue, required, tooLong, type Cause } from '../errors.js';
import { asArray, asObject, at, isObject, own, show, type Json } from '../json.js';

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
const PREFIX_MESSAGE = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const LABEL_VALUE_MESSAGE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const MAX_SUBDOMAIN = 253;
const ANNOTATIONS_LIMIT = 256 * 1024;

export type NameRule = (name: string) => string[];

const rule =
  (pattern: RegExp, message: string, max: number): NameRule =>
  (name) => [
    ...(name.length > max ? [`must be no more than ${max} ${max === MAX_SUBDOMAIN ? 'characters' : 'bytes'}`] : []),
    ...(pattern.test(name) ? [] : [message]),
  ];

const plainLabel = rule(LABEL, LABEL_MESSAGE, 63);
export const dns1123Label: NameRule = (name) =>
  plainLabel(name).map((why) => (why === LABEL_MESSAGE && SUBDOMAIN.test(name) ? 'must not contain dots' : why));
export const dns1123Subdomain = rule(SUBDOMAIN, SUBDOMAIN_MESSAGE, MAX_SUBDOMAIN);
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
    return [invalidValue(field, key, QUALIFIED_MESSAGE.replace('name part must', 'a valid label key must') + PREFIX_MESSAGE)];
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

const OWNER_KEYS = ['apiVersion', 'kind', 'name', 'uid', 'controller', 'blockOwnerDeletion'];
const written = (owner: unknown): Json =>
  Object.fromEntries(OWNER_KEYS.filter((key) => own(owner, key) !== undefined).map((key) => [key, own(owner, key)]));

function validateOwners(owners: unknown): Cause[] {
  const field = 'metadata.ownerReferences';
  const list = asArray(owners);
  const causes = list.flatMap((owner) => {
    const missing = ['apiVersion', 'kind', 'name', 'uid'].filter((key) => (at(owner, key) ?? '') === '');
    const disallowed =
      at(owner, 'kind') === 'Event' && (at(owner, 'apiVersion') === 'v1' || at(owner, 'apiVersion') === 'events.k8s.io/v1');
    return [
      ...missing.map((key) => invalidValue(`${field}.${key}`, at(owner, key) ?? '', 'must not be empty')),
      ...(disallowed ? [invalidValue(field, written(owner), '/v1, Kind=Event is disallowed from being an owner')] : []),
    ];
  });
  const controllers = list
    .filter((owner) => at(owner, 'controller') === true)
    .map((owner) => `${show(at(owner, 'kind'))}/${show(at(owner, 'name'))}`);
  if (controllers.length > 1) {
    const why = `Only one reference can have Controller set to true. Found "true" in references for ${controllers.slice(0, 2).join(' and ')}`;
    causes.push(invalidValue(field, list.map(written), why));
  }
  return causes;
}

const STANDARD_FINALIZERS = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

/** Finalizers of built-in kinds need a domain. */
const unqualified = (finalizer: string, index: number): Cause[] =>
  finalizer.includes('/') || STANDARD_FINALIZERS.has(finalizer)
    ? []
    : [
        invalidValue(
          `metadata.finalizers[${index}]`,
          finalizer,
          'name is neither a standard finalizer name nor is it fully qualified',
        ),
      ];

/** Validates `metadata`. `nameRule` is the kind's. */
export function validateMeta(object: Json, nameRule: NameRule, custom = false): Cause[] {
  const meta = asObject(object['metadata']);
  const name = own(meta, 'name');
  const causes: Cause[] = [];
  const prefix = own(meta, 'generateName');
  // A dash at its end is followed by more.
  if (typeof prefix === 'string' && prefix !== '')
    for (const why of nameRule(prefix.replace(/-$/, 'a'))) causes.push(invalidValue('metadata.generateName', prefix, why));
  if (typeof name !== 'string' || name === '') causes.push(required('metadata.name', 'name or generateName is required'));
  else for (const why of nameRule(name)) causes.push(invalidValue('metadata.name', name, why));
  causes.push(...validateLabels(meta['labels'], 'metadata.labels'), ...validateAnnotations(meta['annotations']));
  causes.push(...validateOwners(meta['ownerReferences']));
  const finalizers = asArray(meta['finalizers']).map(String);
  for (const finalizer of finalizers) causes.push(...validateQualifiedName(finalizer, 'metadata.finalizers'));
  if (!custom) causes.push(...finalizers.flatMap(unqualified));
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
