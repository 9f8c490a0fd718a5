import { isObject, type Json } from '../json.js';
import { memberSchema, type Schema } from '../schema/types.js';
import { child, entriesOf, isEmptySet, isMember, itemEdge, shapeOf, type Fields } from './fields.js';

/** Lays an applied configuration over the live value: maps by field, associative lists by key, everything else whole. */
export function mergeApplied(live: unknown, config: unknown, schema: Schema | undefined): unknown {
  const shape = shapeOf(config, schema);
  if (live === undefined || shape === 'leaf' || shape !== shapeOf(live, schema)) return config;
  if (shape === 'map') {
    const result: Json = { ...(live as Json) };
    for (const [key, value] of Object.entries(config as Json)) {
      result[key] = mergeApplied(Object.hasOwn(result, key) ? result[key] : undefined, value, memberSchema(schema, key));
    }
    return result;
  }
  const applied = new Map((config as unknown[]).map((item) => [itemEdge(item, shape, schema), item]));
  const merged = (live as unknown[]).map((item) => {
    const edge = itemEdge(item, shape, schema);
    if (!applied.has(edge)) return item;
    const value = mergeApplied(item, applied.get(edge), schema?.items);
    applied.delete(edge);
    return value;
  });
  return [...merged, ...applied.values()];
}

/**
 * Removes from `value` what a manager applied before (`last`) and does not apply now (`next`), unless `others` own it.
 * Containers that become empty by it go too.
 * @returns undefined when nothing is left
 */
export function prune(
  value: unknown,
  schema: Schema | undefined,
  last: Fields,
  next: Fields | undefined,
  others: Fields[],
): unknown {
  const shape = shapeOf(value, schema);
  if (shape === 'leaf') return value;
  const kept: [string, unknown][] = [];
  let changed = false;
  for (const [edge, item, itemSchema] of entriesOf(value, schema)) {
    const before = child(last, edge);
    if (before === undefined) {
      kept.push([edge, item]);
      continue;
    }
    const now = child(next, edge);
    const owners = others.map((other) => child(other, edge)).filter((node) => node !== undefined);
    if (isMember(before) && now === undefined && owners.length === 0) {
      changed = true;
      continue;
    }
    const inner = isEmptySet(before) ? item : prune(item, itemSchema, before, now, owners);
    if (inner !== item) changed = true;
    if (inner !== undefined) kept.push([edge, inner]);
  }
  if (!changed) return value;
  if (kept.length === 0) return undefined;
  return isObject(value) ? Object.fromEntries(kept.map(([edge, item]) => [edge.slice(2), item])) : kept.map(([, item]) => item);
}
