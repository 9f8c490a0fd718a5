import { invalidValue, required, unsupportedValue, type Cause } from '../errors.js';
import { asArray, asObject, asString, at, deepEqual, ensureObject, isObject, setDefault, type Json } from '../json.js';
import { compileError } from '../schema/cel.js';
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

function validateVersions(versions: unknown[]): Cause[] {
  const causes: Cause[] = [];
  if (versions.length === 0) causes.push(required('spec.versions', 'must have at least one version'));
  const stored = versions.filter((version) => at(version, 'storage') === true);
  if (versions.length > 0 && stored.length !== 1) {
    causes.push(
      invalidValue(
        'spec.versions',
        versions.map((version) => at(version, 'name')),
        'must have exactly one version marked as storage version',
      ),
    );
  }
  versions.forEach((version, index) => {
    const path = `spec.versions[${index}]`;
    for (const why of dns1035Label(asString(at(version, 'name'))))
      causes.push(invalidValue(`${path}.name`, at(version, 'name'), why));
    const schema = at(version, 'schema', 'openAPIV3Schema');
    if (schema === undefined) causes.push(required(`${path}.schema.openAPIV3Schema`, 'schemas are required'));
    else schemaIssues(schema, `${path}.schema.openAPIV3Schema`, causes);
  });
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
