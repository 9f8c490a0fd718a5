import { canonical, deepEqual, isObject, own, type Json } from '../json.js';
import { memberSchema, type Schema } from '../schema/types.js';

/**
 * Sets of field paths in the wire form of `managedFields[].fieldsV1`: a trie whose edges are `f:<field>`, `k:<keys of a list item>`
 * and `v:<item of a set>`; a node without children, or with the child `.`, is itself in the set.
 */
export interface Fields {
  [edge: string]: Fields;
}

const EDGE = /^[fkvi]:/;

export const isMember = (node: Fields): boolean => Object.hasOwn(node, '.') || isEmptySet(node);
export const isEmptySet = (node: Fields): boolean => {
  for (const _ in node) return false;
  return true;
};
export const child = (node: Fields | undefined, edge: string): Fields | undefined =>
  node !== undefined && Object.hasOwn(node, edge) ? node[edge] : undefined;

/** Reads `fieldsV1` that a client sent; unknown edges are dropped. */
export function parseFields(value: unknown): Fields {
  const result: Fields = {};
  if (!isObject(value)) return result;
  for (const edge of Object.keys(value)) if (edge === '.' || isEdge(edge)) result[edge] = parseFields(value[edge]);
  return result;
}

function isEdge(edge: string): boolean {
  if (!EDGE.test(edge)) return false;
  if (edge.startsWith('f:')) return true;
  try {
    const content: unknown = JSON.parse(edge.slice(2));
    return edge.startsWith('k:') ? isObject(content) : true;
  } catch {
    return false;
  }
}

/** How a value merges, by its schema: field by field, item by item, or whole. */
export type Shape = 'map' | 'keyed' | 'set' | 'leaf';

export function shapeOf(value: unknown, schema: Schema | undefined): Shape {
  if (isObject(value)) return schema?.['x-kubernetes-map-type'] === 'atomic' ? 'leaf' : 'map';
  if (!Array.isArray(value)) return 'leaf';
  if (schema?.['x-kubernetes-list-type'] === 'map') return 'keyed';
  return schema?.['x-kubernetes-list-type'] === 'set' ? 'set' : 'leaf';
}

/** The edge of one item of an associative list or set. Absent keys take their schema default (`protocol: TCP`). */
export function itemEdge(item: unknown, shape: Shape, schema: Schema | undefined): string {
  if (shape === 'set') return `v:${JSON.stringify(item)}`;
  const keys: Json = {};
  for (const key of schema?.['x-kubernetes-list-map-keys'] ?? []) {
    const value = own(item, key) ?? memberSchema(schema?.items, key)?.default ?? (key === 'protocol' ? 'TCP' : undefined);
    if (value !== undefined) keys[key] = value;
  }
  return `k:${canonical(keys)}`;
}

/** Children of a map, associative list or set, by edge. */
export function entriesOf(
  value: unknown,
  schema: Schema | undefined,
): [edge: string, item: unknown, schema: Schema | undefined][] {
  const shape = shapeOf(value, schema);
  if (shape === 'map') {
    const object = value as Json;
    return Object.keys(object).map((key) => [`f:${key}`, object[key], memberSchema(schema, key)]);
  }
  if (shape === 'leaf') return [];
  return (value as unknown[]).map((item) => [itemEdge(item, shape, schema), item, schema?.items]);
}

const isEmptyMap = (value: unknown): boolean => isObject(value) && Object.keys(value).length === 0;

/** The set of fields that a configuration names: what its applier wants to own. */
export function fieldsOf(value: unknown, schema: Schema | undefined): Fields {
  const result: Fields = {};
  const isList = Array.isArray(value);
  for (const [edge, item, itemSchema] of entriesOf(value, schema)) {
    const shape = shapeOf(item, itemSchema);
    const node = shape === 'leaf' ? {} : fieldsOf(item, itemSchema);
    if (shape !== 'leaf' && isEmptySet(node) && !isEmptyMap(item) && !isList && shape !== 'keyed' && shape !== 'set') continue;
    // List items are owned as such, beside the fields inside them.
    if (isList && !isEmptySet(node)) node['.'] = {};
    result[edge] = node;
  }
  return result;
}

export interface Comparison {
  /** Added and modified fields. */
  changed: Fields;
  removed: Fields;
}

/** Which fields differ between two values. */
export function compare(before: unknown, after: unknown, schema: Schema | undefined): Comparison {
  const changed: Fields = {};
  const removed: Fields = {};
  const old = new Map(entriesOf(before, schema).map((entry) => [entry[0], entry]));
  for (const [edge, item, itemSchema] of entriesOf(after, schema)) {
    const previous = old.get(edge);
    old.delete(edge);
    if (previous === undefined) {
      changed[edge] = owned(item, itemSchema);
      continue;
    }
    if (previous[1] === item) continue;
    // Nothing was there, but its place was.
    if (previous[1] === null && item !== null) {
      Object.assign(changed, withoutSelf(edge, owned(item, itemSchema)));
      continue;
    }
    const shape = shapeOf(item, itemSchema);
    if (shape === 'leaf' || shape !== shapeOf(previous[1], itemSchema)) {
      if (!deepEqual(previous[1], item)) changed[edge] = {};
      continue;
    }
    const inner = compare(previous[1], item, itemSchema);
    if (!isEmptySet(inner.changed)) changed[edge] = inner.changed;
    if (!isEmptySet(inner.removed)) removed[edge] = inner.removed;
  }
  for (const [edge, [, item, itemSchema]] of old) removed[edge] = owned(item, itemSchema);
  return { changed, removed };
}

/** Everything in `value`, itself and every map and list in it included. */
function owned(value: unknown, schema: Schema | undefined): Fields {
  const node: Fields = {};
  for (const [edge, item, itemSchema] of entriesOf(value, schema)) node[edge] = owned(item, itemSchema);
  if (!isEmptySet(node)) node['.'] = {};
  return node;
}

function withoutSelf(edge: string, node: Fields): Fields {
  const { '.': _, ...rest } = node;
  return { [edge]: rest };
}

export function union(a: Fields, b: Fields): Fields {
  // A bare node is a member: keep that when it gains children.
  const result: Fields = { ...a };
  if (isEmptySet(a) !== isEmptySet(b)) result['.'] = {};
  for (const edge of Object.keys(b)) {
    const theirs = b[edge] ?? {};
    const mine = child(a, edge);
    result[edge] = mine === undefined ? theirs : edge === '.' ? {} : union(mine, theirs);
  }
  return result;
}

/** Members of both sets. */
export function intersection(a: Fields, b: Fields): Fields {
  const result: Fields = {};
  for (const edge of Object.keys(a)) {
    const mine = a[edge] ?? {};
    const theirs = child(b, edge);
    if (theirs === undefined || edge === '.') continue;
    const inner = intersection(mine, theirs);
    const both = isMember(mine) && isMember(theirs);
    if (isEmptySet(inner) && !both) continue;
    if (both && !isEmptySet(inner)) inner['.'] = {};
    result[edge] = inner;
  }
  return result;
}

/** Members of `a` that are not members of `b`. */
export function difference(a: Fields, b: Fields): Fields {
  const result: Fields = {};
  for (const edge of Object.keys(a)) {
    if (edge === '.') continue;
    const mine = a[edge] ?? {};
    const theirs = child(b, edge);
    if (theirs === undefined) {
      result[edge] = mine;
      continue;
    }
    const inner = difference(mine, theirs);
    const stays = isMember(mine) && !isMember(theirs);
    if (isEmptySet(inner) && !stays) continue;
    if (stays && !isEmptySet(inner)) inner['.'] = {};
    result[edge] = inner;
  }
  return result;
}

/** Removes from `a` the fields of `b` and everything below them. */
export function without(a: Fields, b: Fields): Fields {
  const result: Fields = {};
  for (const edge of Object.keys(a)) {
    const mine = a[edge] ?? {};
    const theirs = child(b, edge);
    if (theirs === undefined || edge === '.') {
      result[edge] = mine;
      continue;
    }
    if (isMember(theirs)) continue;
    const inner = without(mine, theirs);
    if (!isEmptySet(inner) || isEmptySet(mine)) result[edge] = inner;
  }
  return result;
}

/** Paths of all members, as conflict messages print them: `.spec.containers[name="app"].image`. */
export function pathsOf(fields: Fields, prefix = ''): string[] {
  const paths: string[] = [];
  for (const edge of Object.keys(fields).toSorted()) {
    if (edge === '.') continue;
    const node = fields[edge] ?? {};
    const path = prefix + edgeText(edge);
    if (isMember(node)) paths.push(path);
    paths.push(...pathsOf(node, path));
  }
  return paths;
}

export function edgeText(edge: string): string {
  const rest = edge.slice(2);
  if (edge.startsWith('f:')) return `.${rest}`;
  if (edge.startsWith('v:')) return `[=${rest}]`;
  if (edge.startsWith('i:')) return `[${rest}]`;
  const keys = JSON.parse(rest) as Json;
  return `[${Object.keys(keys)
    .map((key) => `${key}=${JSON.stringify(keys[key])}`)
    .join(',')}]`;
}
