import * as models from '@kubernetes/client-node/dist/gen/models/ObjectSerializer.js';
import { LIST_FACTS, MAP_ATOMIC, REQUIRED, type FieldFacts } from './builtin-facts.js';
import type { Schema } from './types.js';

/**
 * Schemas of built-in kinds, built on first use from the type tables that the Kubernetes client library carries, plus what those
 * tables leave out (list keys, merge keys, required fields; see `builtin-facts.ts`).
 */
interface Attribute {
  baseName: string;
  type: string;
  format: string;
}

const memo = new Map<string, Schema>();
const names = new WeakMap<Schema, string>();

/** The client library's type name of a schema made by {@link builtinSchema}, e.g. `V1PodSpec`; undefined for inline ones. */
export const builtinName = (schema: Schema): string | undefined => names.get(schema);

const SCALARS: Record<string, Schema> = {
  string: { type: 'string' },
  number: { type: 'integer' },
  boolean: { type: 'boolean' },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
  object: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  Date: { type: 'string', format: 'date-time' },
  V1MicroTime: { type: 'string', format: 'date-time' },
  IntOrString: { 'x-kubernetes-int-or-string': true },
};

/** Types that contain themselves: kept as they come. */
const OPAQUE = new Set(['V1JSONSchemaProps']);

/** Fields that hold quantities (`500m`, `1Gi`, or a plain number), as `Type.field`. */
const QUANTITIES = new Set([
  'V1ResourceRequirements.limits',
  'V1ResourceRequirements.requests',
  'V1VolumeResourceRequirements.limits',
  'V1VolumeResourceRequirements.requests',
  'V1PersistentVolumeClaimStatus.capacity',
  'V1NodeStatus.capacity',
  'V1NodeStatus.allocatable',
  'V1PodSpec.overhead',
  'V1EmptyDirVolumeSource.sizeLimit',
  'V2MetricTarget.averageValue',
  'V2MetricTarget.value',
  'V2MetricValueStatus.averageValue',
  'V2MetricValueStatus.value',
]);
const QUANTITY: Schema = { type: 'string', format: 'quantity' };

function attributesOf(typeName: string): Attribute[] | undefined {
  const model: unknown = (models as Record<string, unknown>)[typeName];
  if (typeof model !== 'function' || !('attributeTypeMap' in model)) return undefined;
  return model.attributeTypeMap as Attribute[];
}

/** The schema of a client library type such as `V1Deployment`. Unknown names give a schema that accepts anything. */
export function builtinSchema(typeName: string): Schema {
  const known = memo.get(typeName);
  if (known !== undefined) return known;
  const attributes = OPAQUE.has(typeName) ? undefined : attributesOf(typeName);
  const schema: Schema = { type: 'object' };
  memo.set(typeName, schema);
  names.set(schema, typeName);
  if (attributes === undefined) {
    schema['x-kubernetes-preserve-unknown-fields'] = true;
    return schema;
  }
  const facts = LIST_FACTS[typeName] ?? {};
  schema.properties = Object.fromEntries(
    attributes.map(({ baseName, type, format }) => [
      baseName,
      QUANTITIES.has(`${typeName}.${baseName}`) ? quantities(type) : fieldSchema(type, format, facts[baseName]),
    ]),
  );
  if (REQUIRED[typeName] !== undefined) schema.required = REQUIRED[typeName];
  if (MAP_ATOMIC.has(typeName)) schema['x-kubernetes-map-type'] = 'atomic';
  return schema;
}

const quantities = (type: string): Schema => (type === 'string' ? QUANTITY : { type: 'object', additionalProperties: QUANTITY });

function fieldSchema(type: string, format: string, facts: FieldFacts | undefined): Schema {
  const base = typeSchema(type, format);
  if (facts === undefined) return base;
  const schema: Schema = { ...base };
  const name = names.get(base);
  if (name !== undefined) names.set(schema, name);
  if (facts.keys !== undefined) {
    schema['x-kubernetes-list-type'] = 'map';
    schema['x-kubernetes-list-map-keys'] = facts.keys;
  }
  if (facts.set === true) schema['x-kubernetes-list-type'] = 'set';
  if (facts.atomic === true) schema['x-kubernetes-map-type'] = 'atomic';
  if (facts.mergeKey !== undefined) schema['x-kubernetes-patch-merge-key'] = facts.mergeKey;
  if (facts.strategy !== undefined) schema['x-kubernetes-patch-strategy'] = facts.strategy;
  return schema;
}

function typeSchema(type: string, format: string): Schema {
  const array = /^(?:Array|Set)<(.+)>$/.exec(type);
  if (array?.[1] !== undefined) return { type: 'array', items: typeSchema(array[1], format) };
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
  if (map?.[1] !== undefined) return { type: 'object', additionalProperties: typeSchema(map[1], format) };
  const scalar = Object.hasOwn(SCALARS, type) ? SCALARS[type] : undefined;
  if (scalar === undefined) return builtinSchema(type);
  if (type === 'number')
    return format === 'double' ? { type: 'number', format } : { type: 'integer', format: format === '' ? 'int32' : format };
  if (type === 'string' && format === 'byte') return { type: 'string', format };
  return scalar;
}
