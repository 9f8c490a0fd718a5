import { z } from 'zod';

/** `JSONSchemaProps` of apiextensions.k8s.io/v1: the part that Sluice's kinds use. */
export interface StructuralSchema {
  type?: string;
  format?: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  properties?: Record<string, StructuralSchema>;
  required?: string[];
  items?: StructuralSchema;
  additionalProperties?: StructuralSchema;
  anyOf?: StructuralSchema[];
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: { rule: string; message: string; fieldPath?: string }[];
}

type Json = z.core.JSONSchema.JSONSchema;

/** The bound of every map: the API server's CEL cost estimate needs one. */
const MAX_MAP_ENTRIES = 50;

/** Keywords that mean the same in JSON Schema and in a structural schema. */
const PLAIN_KEYWORDS = [
  'type',
  'description',
  'default',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const;

/** Keywords that are rewritten below or that only bound map keys, which a structural schema cannot say. */
const HANDLED_KEYWORDS = new Set([
  '$schema',
  'pattern',
  'format',
  'properties',
  'required',
  'items',
  'additionalProperties',
  'propertyNames',
  'anyOf',
]);

/**
 * The structural schema that Kubernetes accepts for a zod schema.
 * @throws TypeError naming the path of a construct that has no structural form, so that a change in `src/api` cannot be lost silently.
 */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  return convert(z.toJSONSchema(schema, { io: 'input' }), '');
}

function convert(source: Json, path: string): StructuralSchema {
  const result: StructuralSchema = {};
  for (const key of Object.keys(source)) {
    if (!HANDLED_KEYWORDS.has(key) && !(PLAIN_KEYWORDS as readonly string[]).includes(key)) {
      throw new TypeError(`${path || 'the schema'}: "${key}" has no form in a CustomResourceDefinition`);
    }
  }
  for (const key of PLAIN_KEYWORDS) if (source[key] !== undefined) Object.assign(result, { [key]: source[key] });
  // JavaScript escapes slashes in a pattern; Go and people do not need that.
  if (source.pattern !== undefined) result.pattern = source.pattern.replaceAll('\\/', '/');
  convertNumbers(source, result);
  if (source.format !== undefined) convertFormat(source.format, result, path);
  if (source.anyOf) convertUnion(source.anyOf, result, path);
  if (source.properties) convertProperties(source, result, path);
  if (source.items) result.items = convert(subschema(source.items, path), `${path}[]`);
  if (source.additionalProperties !== undefined) convertMap(source, result, path);
  if (typeof result.type !== 'string' && !result['x-kubernetes-int-or-string']) {
    throw new TypeError(`${path || 'the schema'}: a structural schema needs one type`);
  }
  return result;
}

function convertNumbers(source: Json, result: StructuralSchema): void {
  // The bounds that zod gives every integer say nothing; int64 is what Kubernetes calls it.
  if (result.minimum === Number.MIN_SAFE_INTEGER) delete result.minimum;
  if (result.maximum === Number.MAX_SAFE_INTEGER) delete result.maximum;
  if (source.type === 'integer') result.format = 'int64';
}

function convertFormat(format: string, result: StructuralSchema, path: string): void {
  if (result.type !== 'string' || format !== 'date-time')
    throw new TypeError(`${path}: format "${format}" is not used in Sluice's kinds`);
  result.format = format;
}

function convertUnion(alternatives: Json[], result: StructuralSchema, path: string): void {
  const byType = new Map(alternatives.map((one) => [one.type, one]));
  const [integer, string] = [byType.get('integer'), byType.get('string')];
  if (!integer || !string || alternatives.length !== 2)
    throw new TypeError(`${path}: the only union that Kubernetes has is integer or string`);
  result['x-kubernetes-int-or-string'] = true;
  result.anyOf = [{ type: 'integer' }, { type: 'string' }];
  // Each bound applies to values of its own type only.
  const { minimum, maximum } = integer;
  const { maxLength } = string;
  Object.assign(
    result,
    Object.fromEntries(Object.entries({ minimum, maximum, maxLength }).filter(([, value]) => value !== undefined)),
  );
}

function convertProperties(source: Json, result: StructuralSchema, path: string): void {
  const entries = Object.entries(source.properties ?? {});
  result.properties = Object.fromEntries(
    entries.map(([name, value]) => [name, convert(subschema(value, `${path}.${name}`), `${path}.${name}`)]),
  );
  if (source.required?.length) result.required = [...source.required];
}

function convertMap(source: Json, result: StructuralSchema, path: string): void {
  // An object whose unknown fields are kept has no schema for them.
  if (result['x-kubernetes-preserve-unknown-fields']) return;
  if (source.additionalProperties === false) return;
  result.additionalProperties = convert(subschema(source.additionalProperties, path), `${path}.*`);
  result.maxProperties = MAX_MAP_ENTRIES;
}

function subschema(value: unknown, path: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new TypeError(`${path}: expected one schema here`);
}
