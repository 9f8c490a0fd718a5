import { clone, isObject, show, type Json } from '../json.js';
import { builtinSchema } from './builtin.js';
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

const GO_TYPES: Record<string, string> = {
  string: 'string',
  boolean: 'bool',
  number: 'float64',
  object: 'map[string]interface {}',
  array: '[]interface {}',
};

/** The first place where a built-in object cannot be decoded into its Go type, as `json:` words it; undefined when it can. */
export function decodeError(value: unknown, schema: Schema, path: string): string | undefined {
  if (value === null || value === undefined || schema['x-kubernetes-preserve-unknown-fields'] === true) return undefined;
  const actual = goType(value);
  if (schema['x-kubernetes-int-or-string'] === true) {
    return actual === 'string' || actual === 'number' ? undefined : mismatch(actual, path, 'intstr.IntOrString');
  }
  const wanted = schema.type === 'integer' ? 'number' : schema.type === 'boolean' ? 'bool' : schema.type;
  if (wanted !== undefined && wanted !== actual && !isQuantity(wanted, actual, schema)) {
    return mismatch(
      actual,
      path,
      schema.type === 'integer' ? (schema.format ?? 'int32') : (GO_TYPES[schema.type ?? ''] ?? String(schema.type)),
    );
  }
  if (schema.type === 'integer' && !Number.isInteger(value))
    return mismatch(`number ${show(value)}`, path, schema.format ?? 'int32');
  if (Array.isArray(value)) return decodeItems(value, schema.items, path);
  return isObject(value) ? decodeMembers(value, schema, path) : undefined;
}

function decodeItems(items: unknown[], schema: Schema | undefined, path: string): string | undefined {
  if (schema === undefined) return undefined;
  for (const item of items) {
    const error = decodeError(item, schema, path);
    if (error !== undefined) return error;
  }
  return undefined;
}

function decodeMembers(value: Json, schema: Schema, path: string): string | undefined {
  for (const key of Object.keys(value)) {
    const member = memberSchema(schema, key);
    const error = member && decodeError(value[key], member, path === '' ? key : `${path}.${key}`);
    if (error !== undefined) return error;
  }
  return undefined;
}

/** Quantities are described as strings, and may be written as numbers. Labels and data may not. */
const isQuantity = (wanted: string, actual: string, schema: Schema): boolean =>
  wanted === 'string' && actual === 'number' && schema.format === 'quantity';

const mismatch = (actual: string, path: string, type: string): string =>
  `json: cannot unmarshal ${actual} into Go struct field ${path.split('.').at(-1) ?? ''} at ${path} of type ${type}`;
