import { clone, isObject, show, type Json } from '../json.js';
import { builtinName, builtinSchema } from './builtin.js';
import { memberSchema, type Schema } from './types.js';

/** Fills `default`s of a structural schema and drops nulls that have one, as the server does on every read and write. Mutates. */
export function applyDefaults(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) applyDefaults(item, schema.items);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const current = Object.hasOwn(value, key) ? value[key] : undefined;
    const unset = current === undefined || (current === null && property.nullable !== true);
    if (unset && property.default !== undefined) value[key] = clone(property.default);
    else if (current === null && property.nullable !== true) delete value[key];
  }
  for (const key of Object.keys(value)) {
    const member = memberSchema(schema, key);
    if (member !== undefined) applyDefaults(value[key], member);
  }
}

const OBJECT_META = builtinSchema('V1ObjectMeta');
const TYPE_META = new Set(['apiVersion', 'kind', 'metadata']);

/**
 * Removes fields that the schema does not name. Mutates.
 * @returns the paths of what was removed
 */
export function prune(value: unknown, schema: Schema, root = true): string[] {
  const unknown: string[] = [];
  pruneInto(value, schema, '', root, unknown);
  return unknown;
}

function pruneInto(value: unknown, schema: Schema, path: string, resource: boolean, unknown: string[]): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items !== undefined)
      value.forEach((item, index) =>
        pruneInto(item, items, `${path}[${index}]`, items['x-kubernetes-embedded-resource'] === true, unknown),
      );
    return;
  }
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    if (resource && TYPE_META.has(key)) {
      if (key === 'metadata') pruneInto(value[key], OBJECT_META, at, false, unknown);
      continue;
    }
    const member = memberSchema(schema, key);
    if (member !== undefined) pruneInto(value[key], member, at, member['x-kubernetes-embedded-resource'] === true, unknown);
    else if (schema['x-kubernetes-preserve-unknown-fields'] !== true && schema.additionalProperties !== true) {
      unknown.push(at);
      delete value[key];
    }
  }
}

/** The structural schema as clients see it: `apiVersion`, `kind` and `metadata` are always there. */
export function withTypeMeta(schema: Schema): Schema {
  const properties: Record<string, Schema> = {
    ...schema.properties,
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: OBJECT_META,
  };
  return { ...schema, type: 'object', properties };
}

/** Go's name of a JSON type, for decoding errors. */
function goType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  return typeof value;
}

const GO_SCALARS: Record<string, string> = { string: 'string', boolean: 'bool', number: 'float64' };

/** Go's name of the type that a schema stands for: `int32`, `map[string]string`, `[]v1.Container`. */
function goTypeOf(schema: Schema | undefined): string {
  if (schema === undefined) return 'interface {}';
  if (schema['x-kubernetes-int-or-string'] === true) return 'intstr.IntOrString';
  if (schema.type === 'integer') return schema.format ?? 'int32';
  if (schema.type === 'array') return `[]${goTypeOf(schema.items)}`;
  const name = builtinName(schema);
  if (name !== undefined) return structName(name).replace(/^/, 'v1.');
  if (schema.type === 'object')
    return typeof schema.additionalProperties === 'object'
      ? `map[string]${goTypeOf(schema.additionalProperties)}`
      : 'map[string]interface {}';
  return GO_SCALARS[schema.type ?? ''] ?? String(schema.type);
}

/** `DeploymentSpec` of the client library's `V1DeploymentSpec`. */
const structName = (name: string): string => name.replace(/^(?:[A-Z][a-z]+)?V\d+(?:beta\d+|alpha\d+)?/, '');

/**
 * The first place where a built-in object cannot be decoded into its Go type, as `json:` words it; undefined when it can.
 * @param path names of fields from the root, without indexes and map keys
 * @param struct Go's name of the innermost struct
 */
export function decodeError(value: unknown, schema: Schema, path: string, struct: string): string | undefined {
  if (value === null || value === undefined || schema['x-kubernetes-preserve-unknown-fields'] === true) return undefined;
  const actual = goType(value);
  const wrong = (): string =>
    `json: cannot unmarshal ${actual} into Go struct field ${struct}.${path} of type ${goTypeOf(schema)}`;
  if (schema['x-kubernetes-int-or-string'] === true) return actual === 'string' || actual === 'number' ? undefined : wrong();
  const wanted = schema.type === 'integer' ? 'number' : schema.type === 'boolean' ? 'bool' : schema.type;
  if (wanted !== undefined && wanted !== actual && !isQuantity(wanted, actual, schema)) return wrong();
  if (schema.type === 'integer' && !Number.isInteger(value))
    return `json: cannot unmarshal number ${show(value)} into Go struct field ${struct}.${path} of type ${goTypeOf(schema)}`;
  if (Array.isArray(value)) return decodeItems(value, schema.items, path, struct);
  return isObject(value) ? decodeMembers(value, schema, path, struct) : undefined;
}

function decodeItems(items: unknown[], schema: Schema | undefined, path: string, struct: string): string | undefined {
  if (schema === undefined) return undefined;
  for (const item of items) {
    const error = decodeError(item, schema, path, struct);
    if (error !== undefined) return error;
  }
  return undefined;
}

function decodeMembers(value: Json, schema: Schema, path: string, struct: string): string | undefined {
  const name = builtinName(schema);
  const inner = name === undefined ? struct : structName(name);
  for (const key of Object.keys(value)) {
    const member = memberSchema(schema, key);
    // The key of a map is no field.
    const below = schema.properties === undefined ? path : path === '' ? key : `${path}.${key}`;
    const error = member && decodeError(value[key], member, below, inner);
    if (error !== undefined) return error;
  }
  return undefined;
}

/** Quantities are described as strings, and may be written as numbers. Labels and data may not. */
const isQuantity = (wanted: string, actual: string, schema: Schema): boolean =>
  wanted === 'string' && actual === 'number' && schema.format === 'quantity';
