import { badRequest, failure } from '../errors.js';
import { goValue } from '../go.js';
import { asArray, deepEqual, isObject, own, show, type Json } from '../json.js';
import { memberSchema, type Schema } from '../schema/types.js';

const DIRECTIVE = '$patch';
const DELETE_PRIMITIVE = '$deleteFromPrimitiveList/';
const ELEMENT_ORDER = '$setElementOrder/';
const RETAIN_KEYS = '$retainKeys';

/**
 * Strategic merge patch over a built-in kind: lists with a merge key merge by item, other lists are replaced, `$patch: replace|delete`,
 * `$retainKeys` and `$deleteFromPrimitiveList` are obeyed; `$setElementOrder` gives the order of merged items.
 */
export function strategicPatch(target: unknown, patch: unknown, schema: Schema | undefined): unknown {
  if (!isObject(patch)) return patch;
  const directive = own(patch, DIRECTIVE);
  if (directive === 'delete') return undefined;
  if (directive === 'replace') return stripDirectives(patch);
  if (directive !== undefined && directive !== 'merge')
    throw failure(`unknown patch type: ${show(directive)} in map: ${goValue(patch)}`);
  const result: Json = isObject(target) ? { ...target } : {};
  const retained = own(patch, RETAIN_KEYS);
  if (Array.isArray(retained)) for (const key of Object.keys(result)) if (!retained.includes(key)) delete result[key];
  for (const key of Object.keys(patch)) patchField(result, patch, key, schema);
  return result;
}

function patchField(result: Json, patch: Json, key: string, schema: Schema | undefined): void {
  if (key.startsWith('$setElementOrder') && !key.startsWith(ELEMENT_ORDER))
    throw badRequest('invalid patch format of setElementOrder list');
  if (key === DIRECTIVE || key === RETAIN_KEYS || key.startsWith(ELEMENT_ORDER)) return;
  const value = patch[key];
  if (key.startsWith(DELETE_PRIMITIVE)) {
    const field = key.slice(DELETE_PRIMITIVE.length);
    const gone = asArray(value);
    if (Array.isArray(result[field]))
      result[field] = result[field].filter((item) => !gone.some((other) => deepEqual(other, item)));
    return;
  }
  if (value === null) {
    delete result[key];
    return;
  }
  const field = memberSchema(schema, key);
  const current = Object.hasOwn(result, key) ? result[key] : undefined;
  const merged = Array.isArray(value)
    ? patchList(current, value as unknown[], field, asArray(own(patch, ELEMENT_ORDER + key)))
    : strategicPatch(current, value, field);
  if (merged === undefined) delete result[key];
  else result[key] = merged;
}

function patchList(current: unknown, items: unknown[], schema: Schema | undefined, order: unknown[]): unknown[] {
  const merges = schema?.['x-kubernetes-patch-strategy']?.includes('merge') === true;
  const replace = items.some((item) => own(item, DIRECTIVE) === 'replace' && Object.keys(item as Json).length === 1);
  if (!merges || replace)
    return items
      .filter((item) => own(item, DIRECTIVE) !== 'replace' || Object.keys(item as Json).length > 1)
      .map(stripDirectives);
  const key = schema?.['x-kubernetes-patch-merge-key'];
  const result = [...asArray(current)];
  if (key === undefined) {
    for (const item of items) if (!result.some((other) => deepEqual(other, item))) result.push(item);
    return inOrder(result, order.length === 0 ? items : order, asArray(current), (item) => item);
  }
  for (const item of items) patchItem(result, item, key, schema?.items);
  return inOrder(result, order.length === 0 ? items : order, asArray(current), (item) => own(item, key));
}

function patchItem(result: unknown[], item: unknown, key: string, schema: Schema | undefined): void {
  const id = own(item, key);
  if (id === undefined) throw failure(`map: ${goValue(item)} does not contain declared merge key: ${key}`);
  const position = result.findIndex((other) => own(other, key) === id);
  const merged = strategicPatch(position < 0 ? {} : result[position], item, schema);
  if (merged === undefined) {
    if (position >= 0) result.splice(position, 1);
  } else if (position < 0) result.push(merged);
  else result[position] = merged;
}

/**
 * The real server's order of a merged list: items that the patch (or its `$setElementOrder`) names in that order, the others as they
 * were; where the two meet, they keep their former order, and what is new goes first.
 */
function inOrder(items: unknown[], order: unknown[], before: unknown[], identity: (item: unknown) => unknown): unknown[] {
  const rank = (list: unknown[]): ((item: unknown) => number) => {
    const ids = list.map(identity);
    return (item) => ids.findIndex((id) => deepEqual(id, identity(item)));
  };
  const named = rank(order);
  const former = rank(before);
  const right = items.filter((item) => named(item) >= 0).toSorted((a, b) => named(a) - named(b));
  const left = items.filter((item) => named(item) < 0).toSorted((a, b) => former(a) - former(b));
  const result: unknown[] = [];
  while (left.length > 0 && right.length > 0) {
    const [first, second] = [former(left[0]), former(right[0])];
    result.push(first >= 0 && second >= 0 && first <= second ? left.shift() : right.shift());
  }
  return [...result, ...left, ...right];
}

function stripDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stripDirectives);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, item]) => !key.startsWith('$') && item !== null)
      .map(([key, item]) => [key, stripDirectives(item)]),
  );
}
