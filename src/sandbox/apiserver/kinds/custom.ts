import type { KubeObject } from '../../../kube/types.js';
import { invalidValue, type Cause } from '../errors.js';
import { asArray, asObject, asString, at, show, type Json } from '../json.js';
import { compileJsonPath } from '../jsonpath.js';
import { validateRules } from '../schema/cel.js';
import { applyDefaults, withTypeMeta } from '../schema/structural.js';
import type { Schema } from '../schema/types.js';
import { validateSchema } from '../schema/validate.js';
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
    description: asString(at(definition, 'description')),
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
  return [...validateMeta(object, dns1123Subdomain), ...validateSchema(object, schema)];
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
      const schema = withTypeMeta({ ...raw, ...preserve });
      const columns = asArray(at(version, 'additionalPrinterColumns')).map(printerColumn);
      const subresources = new Set<SubresourceName>();
      if (at(version, 'subresources', 'status') !== undefined) subresources.add('status');
      const scale = scalePaths(at(version, 'subresources', 'scale'));
      if (scale !== undefined) subresources.add('scale');
      const selectable = asArray(at(version, 'selectableFields')).map((field) => asString(at(field, 'jsonPath')));
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
        columns: columns.length === 0 ? [NAME, AGE] : [NAME, ...columns],
        strategy: {
          defaults: (object) => applyDefaults(object, raw),
          validate: (object) => afterSchema(validateCustom(object, schema), () => validateRules(object, undefined, raw)),
          validateUpdate: (object, previous) => transitionRules(object, previous, raw, schema),
          ratchets: true,
          unconditionalUpdate: false,
          selectableFields: (object) =>
            Object.fromEntries(
              selectable.map((path) => [path.replace(/^\./, ''), show(at(object, ...path.split('.').slice(1)) ?? '')]),
            ),
        },
        ...(scale === undefined ? {} : { scale }),
        storageKey: `${group}/${plural}`,
        storageVersion: storage,
        ...(at(version, 'deprecated') === true
          ? {
              deprecationWarning:
                asString(at(version, 'deprecationWarning')) ||
                `${group}/${asString(at(version, 'name'))} ${asString(names['kind'])} is deprecated`,
            }
          : {}),
      };
    });
}

/** Rules are only evaluated on objects that satisfy the schema. */
function afterSchema(causes: Cause[], rules: () => Cause[]): Cause[] {
  if (causes.length === 0) return rules();
  const skipped = invalidValue(
    '<nil>',
    null,
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  );
  return causes.some((cause) => !cause.field.startsWith('metadata')) ? [...causes, skipped] : causes;
}

function transitionRules(object: Json, previous: Json, raw: Schema, schema: Schema): Cause[] {
  return validateCustom(object, schema).length > 0 ? [] : validateRules(object, previous, raw, true);
}
