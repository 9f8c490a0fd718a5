import type { KubeObject } from '../../../kube/types.js';
import { invalidValue, type Cause } from '../errors.js';
import { goKind, goValue } from '../go.js';
import { asArray, asObject, asString, at, isObject, own, show, type Json } from '../json.js';
import { compileJsonPath } from '../jsonpath.js';
import { hasRules, validateRules } from '../schema/cel.js';
import { applyDefaults, withTypeMeta } from '../schema/structural.js';
import type { Schema } from '../schema/types.js';
import { validateSchema } from '../schema/validate.js';
import { compareVersions } from '../versions.js';
import type { Column, ResourceInfo, ScalePaths, SubresourceName } from '../types.js';
import { dns1123Subdomain, validateMeta } from '../validation/names.js';
import { AGE, NAME, age } from './columns.js';

const ANYTHING: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

function printerColumn(definition: unknown): Column {
  const type = asString(at(definition, 'type')) as Column['type'];
  const find = compileJsonPath(asString(at(definition, 'jsonPath')));
  return {
    name: asString(at(definition, 'name')),
    type,
    format: asString(at(definition, 'format')),
    description:
      asString(at(definition, 'description')) ||
      `Custom resource definition column (in JSONPath format): ${asString(at(definition, 'jsonPath'))}`,
    priority: Number(at(definition, 'priority') ?? 0),
    cell: (object, now) => {
      const values = find?.(object) ?? [];
      const [first] = values;
      if (values.length === 0 || first === null) return null;
      if (type === 'date') return age(first, now);
      // The real server shows the first match alone.
      if (type === 'string') return display(first);
      return typeof first === 'number' || typeof first === 'boolean' ? first : display(first);
    },
  };
}

const display = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

function scalePaths(definition: unknown): ScalePaths | undefined {
  if (at(definition, 'specReplicasPath') === undefined) return undefined;
  const path = (key: string): string[] =>
    asString(at(definition, key))
      .split('.')
      .filter((part) => part !== '');
  return {
    specReplicas: path('specReplicasPath'),
    statusReplicas: path('statusReplicasPath'),
    ...(at(definition, 'labelSelectorPath') === undefined ? {} : { labelSelector: path('labelSelectorPath') }),
  };
}

function validateCustom(object: Json, schema: Schema): Cause[] {
  return [...validateMeta(object, dns1123Subdomain, true), ...validateSchema(object, schema)];
}

/** The served versions of a CustomResourceDefinition. Only `conversion.strategy: None` is known: versions differ in `apiVersion` alone. */
export function customKinds(crd: KubeObject): ResourceInfo[] {
  const spec = asObject(crd['spec']);
  const names = asObject(spec['names']);
  const group = asString(spec['group']);
  const plural = asString(names['plural']);
  const versions = asArray(spec['versions']);
  const storage = asString(
    at(
      versions.find((version) => at(version, 'storage') === true),
      'name',
    ),
  );
  return versions
    .filter((version) => at(version, 'served') === true)
    .map((version): ResourceInfo => {
      const raw = (at(version, 'schema', 'openAPIV3Schema') ?? ANYTHING) as Schema;
      const preserve = spec['preserveUnknownFields'] === true ? { 'x-kubernetes-preserve-unknown-fields': true } : {};
      const selectable = asArray(at(version, 'selectableFields')).map((field) =>
        asString(at(field, 'jsonPath')).replace(/^\./, ''),
      );
      const fields =
        selectable.length === 0 ? {} : { 'x-kubernetes-selectable-fields': selectable.map((fieldPath) => ({ fieldPath })) };
      const schema = withTypeMeta({ ...raw, ...preserve, ...fields });
      const columns = asArray(at(version, 'additionalPrinterColumns')).map(printerColumn);
      const subresources = new Set<SubresourceName>();
      if (at(version, 'subresources', 'status') !== undefined) subresources.add('status');
      const scale = scalePaths(at(version, 'subresources', 'scale'));
      if (scale !== undefined) subresources.add('scale');
      return {
        group,
        version: asString(at(version, 'name')),
        plural,
        singular: asString(names['singular']),
        kind: asString(names['kind']),
        listKind: asString(names['listKind']),
        namespaced: spec['scope'] === 'Namespaced',
        shortNames: asArray(names['shortNames']).map(String),
        categories: asArray(names['categories']).map(String),
        subresources,
        hasGeneration: true,
        custom: true,
        schema,
        columns: columns.length === 0 ? [NAME, { ...AGE, type: 'date' }] : [NAME, ...columns],
        strategy: {
          defaults: (object) => applyDefaults(object, raw),
          validate: (object) =>
            afterSchema([...validateCustom(object, schema), ...scaleCauses(object, scale)], raw, () =>
              validateRules(object, undefined, raw),
            ),
          validateUpdate: (object, previous) => transitionRules(object, previous, raw, schema),
          ratchets: true,
          unconditionalUpdate: false,
          selectableFields: (object) =>
            Object.fromEntries(selectable.map((path) => [path, show(at(object, ...path.split('.')) ?? '')])),
        },
        ...(scale === undefined ? {} : { scale }),
        storageKey: `${group}/${plural}`,
        storageVersion: storage,
        ...(at(version, 'deprecated') === true
          ? {
              deprecationWarning:
                asString(at(version, 'deprecationWarning')) ||
                deprecation(
                  `${group}/${asString(at(version, 'name'))} ${asString(names['kind'])}`,
                  version,
                  versions,
                  group,
                  asString(names['kind']),
                ),
            }
          : {}),
      };
    });
}

const MAX_REPLICAS = 2 ** 31 - 1;

/** Checks what the scale subresource reads, as the real server does beside the schema. */
function scaleCauses(object: Json, paths: ScalePaths | undefined): Cause[] {
  if (paths === undefined) return [];
  return [paths.specReplicas, paths.statusReplicas].flatMap((path) => {
    const field = `.${path.join('.')}`;
    let value: unknown = object;
    for (const key of path) {
      if (value === undefined || value === null) return [];
      if (!isObject(value))
        return [
          invalidValue(
            field,
            0,
            `${field} accessor error: ${goValue(value)} is of the type ${goKind(value)}, expected map[string]interface{}`,
          ),
        ];
      value = own(value, key);
    }
    if (value === undefined || value === null) return [];
    if (typeof value !== 'number' || !Number.isInteger(value))
      return [
        invalidValue(field, 0, `${field} accessor error: ${goValue(value)} is of the type ${goKind(value)}, expected int64`),
      ];
    if (value < 0) return [invalidValue(field, value, 'should be a non-negative integer')];
    return value > MAX_REPLICAS ? [invalidValue(field, value, `should be less than or equal to ${MAX_REPLICAS}`)] : [];
  });
}

/** The warning of a deprecated version that has none of its own; it names the version to use, where there is one. */
function deprecation(subject: string, version: unknown, versions: unknown[], group: string, kind: string): string {
  const newer = versions
    .filter((other) => at(other, 'served') === true && at(other, 'deprecated') !== true)
    .map((other) => asString(at(other, 'name')))
    .filter((name) => compareVersions(name, asString(at(version, 'name'))) < 0)
    .toSorted(compareVersions)[0];
  return `${subject} is deprecated${newer === undefined ? '' : `; use ${group}/${newer} ${kind}`}`;
}

/** Errors after which the rules are not evaluated. */
const BLOCKING = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);
const blocks = (causes: Cause[]): boolean => causes.some((cause) => BLOCKING.has(cause.reason ?? ''));

/** Rules are only evaluated on objects whose fields have the types that they count on. */
function afterSchema(causes: Cause[], raw: Schema, rules: () => Cause[]): Cause[] {
  if (!blocks(causes)) return [...causes, ...rules()];
  if (!hasRules(raw)) return causes;
  const skipped = invalidValue(
    '<nil>',
    null,
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  );
  return [...causes, skipped];
}

function transitionRules(object: Json, previous: Json, raw: Schema, schema: Schema): Cause[] {
  return blocks(validateCustom(object, schema)) ? [] : validateRules(object, previous, raw, true);
}
