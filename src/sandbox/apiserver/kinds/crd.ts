import { invalidValue, required, unsupportedValue, type Cause } from '../errors.js';
import { asArray, asObject, asString, at, deepEqual, ensureObject, isObject, setDefault, type Json } from '../json.js';
import { compileError } from '../schema/cel.js';
import { validateSchema } from '../schema/validate.js';
import type { Schema } from '../schema/types.js';
import { dns1035Label, dns1123Subdomain, validateMeta } from '../validation/names.js';
import { NAME, text } from './columns.js';
import { define } from './define.js';

function defaultCrd(object: Json): void {
  const spec = ensureObject(object, 'spec');
  const names = ensureObject(spec, 'names');
  const kind = asString(names['kind']);
  setDefault(names, 'singular', kind.toLowerCase());
  setDefault(names, 'listKind', `${kind}List`);
  setDefault(spec, 'conversion', { strategy: 'None' });
}

function schemaIssues(schema: unknown, path: string, causes: Cause[]): void {
  if (!isObject(schema)) return;
  const loose = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema['type'] === undefined && !loose)
    causes.push(required(`${path}.type`, 'must not be empty for specified object fields'));
  if (schema['default'] !== undefined) {
    const wrong = validateSchema(schema['default'], schema as Schema);
    causes.push(
      ...wrong.map((cause) => ({
        ...cause,
        field: `${path}.default`,
        message: cause.message.replace(': in body', ':  in body'),
      })),
    );
  }
  if (schema['type'] === 'array' && schema['items'] === undefined) causes.push(required(`${path}.items`, 'must be specified'));
  if (schema['x-kubernetes-list-type'] === 'map' && asArray(schema['x-kubernetes-list-map-keys']).length === 0) {
    causes.push(required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'));
  }
  asArray(schema['x-kubernetes-validations']).forEach((rule, index) => {
    const why = compileError(asString(at(rule, 'rule')));
    if (why !== undefined) {
      causes.push(
        invalidValue(`${path}.x-kubernetes-validations[${index}].rule`, at(rule, 'rule'), `compilation failed: ${why}`),
      );
    }
  });
  for (const [key, property] of Object.entries(asObject(schema['properties'])))
    schemaIssues(property, `${path}.properties[${key}]`, causes);
  schemaIssues(schema['items'], `${path}.items`, causes);
  schemaIssues(schema['additionalProperties'], `${path}.additionalProperties`, causes);
}

const SCHEMA = 'schema.openAPIV3Schema';

/** Where errors of the versions' schemas are told: at one place when all versions share one schema. */
function schemasOf(versions: unknown[]): [path: string, schema: unknown][] {
  const schemas = versions.map((version) => at(version, 'schema', 'openAPIV3Schema'));
  const [first] = schemas;
  if (first !== undefined && schemas.every((schema) => deepEqual(schema, first)))
    return [['spec.validation.openAPIV3Schema', first]];
  return schemas.map((schema, index) => [`spec.versions[${index}].${SCHEMA}`, schema]);
}

function validateVersions(versions: unknown[]): Cause[] {
  const causes: Cause[] = [];
  const stored = versions.filter((version) => at(version, 'storage') === true);
  if (stored.length !== 1) {
    const names = versions.map((version) => at(version, 'name'));
    causes.push(invalidValue('spec.versions', names, 'must have exactly one version marked as storage version'));
    if (versions.length === 0) causes.push(invalidValue('status.storedVersions', null, 'must have at least one stored version'));
  }
  versions.forEach((version, index) => {
    for (const why of dns1035Label(asString(at(version, 'name'))))
      causes.push(invalidValue(`spec.versions[${index}].name`, at(version, 'name'), why));
  });
  for (const [path, schema] of schemasOf(versions)) {
    if (schema === undefined) causes.push(required(path));
    else schemaIssues(schema, path, causes);
  }
  return causes;
}

function validateCrd(object: Json): Cause[] {
  const causes = validateMeta(object, dns1123Subdomain);
  const spec = asObject(object['spec']);
  const names = asObject(spec['names']);
  const expected = `${asString(names['plural'])}.${asString(spec['group'])}`;
  if (at(object, 'metadata', 'name') !== expected) {
    causes.push(invalidValue('metadata.name', at(object, 'metadata', 'name') ?? '', `must be spec.names.plural+"."+spec.group`));
  }
  for (const key of ['plural', 'kind']) if (asString(names[key]) === '') causes.push(required(`spec.names.${key}`));
  if (asString(spec['group']) === '') causes.push(required('spec.group'));
  if (spec['scope'] !== 'Namespaced' && spec['scope'] !== 'Cluster')
    causes.push(unsupportedValue('spec.scope', spec['scope'] ?? '', ['Cluster', 'Namespaced']));
  return [...causes, ...validateVersions(asArray(spec['versions']))];
}

function validateCrdUpdate(object: Json, previous: Json): Cause[] {
  return ['group', 'scope'].flatMap((key) => {
    const value = at(object, 'spec', key);
    return deepEqual(value, at(previous, 'spec', key)) ? [] : [invalidValue(`spec.${key}`, value, 'field is immutable')];
  });
}

export const crdKind = define({
  group: 'apiextensions.k8s.io',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  type: 'V1CustomResourceDefinition',
  namespaced: false,
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  subresources: ['status'],
  generation: true,
  columns: [NAME, text('Created At', (object) => object.metadata.creationTimestamp ?? '')],
  strategy: { defaults: defaultCrd, validate: validateCrd, validateUpdate: validateCrdUpdate, unconditionalUpdate: false },
});
