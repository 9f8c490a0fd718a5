import { isObject } from '../json.js';
import { memberSchema, type Schema } from '../schema/types.js';
import { edgeText, itemEdge, shapeOf } from './fields.js';

const NUMBERS = new Set(['integer', 'number']);

/**
 * What keeps an applied configuration from being read by its schema, as the real server words it: a field that is not there, another
 * type, a key or an item twice. The first thing found.
 */
export function typedError(value: unknown, schema: Schema | undefined, path = ''): string | undefined {
  if (schema === undefined || value === null || value === undefined) return undefined;
  if (schema['x-kubernetes-int-or-string'] === true || schema.format === 'quantity') return undefined;
  const wrong = typeError(value, schema);
  if (wrong !== undefined) return `${path}: ${wrong}`;
  if (Array.isArray(value)) return listError(value as unknown[], schema, path);
  if (!isObject(value)) return undefined;
  for (const [key, item] of Object.entries(value)) {
    const member = memberSchema(schema, key);
    const below = `${path}.${key}`;
    if (member === undefined) {
      if (schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties !== undefined) continue;
      return `${below}: field not declared in schema`;
    }
    const error = typedError(item, member, below);
    if (error !== undefined) return error;
  }
  return undefined;
}

function typeError(value: unknown, schema: Schema): string | undefined {
  const got = describe(value);
  switch (schema.type) {
    case 'string':
      return typeof value === 'string' ? undefined : `expected string, got ${got}`;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `expected boolean, got ${got}`;
    case 'array':
      return Array.isArray(value) ? undefined : `expected list, got ${got}`;
    case 'object':
      return isObject(value) ? undefined : `expected map, got ${got}`;
    default:
      return NUMBERS.has(schema.type ?? '') && typeof value !== 'number'
        ? `expected numeric (int or float), got ${got}`
        : undefined;
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'list';
  if (isObject(value)) return 'map';
  return typeof value === 'string' ? 'string' : `&value.valueUnstructured{Value:${String(value)}}`;
}

function listError(items: unknown[], schema: Schema, path: string): string | undefined {
  const shape = shapeOf(items, schema);
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const edge = shape === 'leaf' ? `i:${index}` : itemEdge(item, shape, schema);
    if (seen.has(edge)) return `${path}: duplicate entries for key ${edgeText(edge)}`;
    seen.add(edge);
    const error = typedError(item, schema.items, path + edgeText(edge));
    if (error !== undefined) return error;
  }
  return undefined;
}
