import { isObject, type Json } from '../json.js';
import { memberSchema, type Schema } from '../schema/types.js';
import { child, entriesOf, isEmptySet, isMember, itemEdge, shapeOf, type Fields, type Shape } from './fields.js';

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
  return mergeItems(live as unknown[], config as unknown[], shape, schema);
}

/**
 * Items of two associative lists in one order: the configuration's for what it names, with the others where they were beside it.
 * (The order is the real server's, step for step.)
 */
function mergeItems(live: unknown[], config: unknown[], shape: Shape, schema: Schema | undefined): unknown[] {
  const edge = (item: unknown): string => itemEdge(item, shape, schema);
  const present = new Map(live.map((item) => [edge(item), item]));
  const named = new Set(config.map(edge));
  const shared = config.map(edge).filter((key) => present.has(key));
  const taken = new Set<string>();
  const result: unknown[] = [];
  const take = (item: unknown): void => {
    const key = edge(item);
    result.push(present.has(key) ? mergeApplied(present.get(key), item, schema?.items) : item);
    taken.add(key);
    if (shared[0] === key) shared.shift();
  };
  let [left, right] = [0, 0];
  while (left < live.length || right < config.length) {
    const [mine, theirs] = [live[left], config[right]];
    const key = left < live.length ? edge(mine) : undefined;
    if (key === undefined) {
      take(theirs);
      right++;
    } else if (right < config.length && key === edge(theirs)) {
      take(theirs);
      left++;
      right++;
    } else if (!named.has(key)) {
      result.push(mine);
      left++;
    } else if (taken.has(key) || (right < config.length && shared[0] !== undefined && shared[0] !== key)) {
      // It has its place elsewhere.
      left++;
    } else {
      take(theirs);
      right++;
    }
  }
  return result;
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
