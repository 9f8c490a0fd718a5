/** Small helpers over parsed JSON. Lookups go through own properties only, so that `__proto__` and `constructor` are ordinary names. */

export type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The own property `key` of `value`, or undefined (also when `value` is not an object). */
export const own = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

/** Follows own properties (and array indices) along `path`. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  let current = value;
  for (const key of path) {
    if (Array.isArray(current)) current = current[Number(key)] as unknown;
    else current = own(current, String(key));
    if (current === undefined) return undefined;
  }
  return current;
}

export const asObject = (value: unknown): Json => (isObject(value) ? value : {});
export const asArray = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
/** A value for a message or a cell: text as it is, anything else as JSON. */
export const show = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
export const asString = (value: unknown): string => (typeof value === 'string' ? value : '');

/** `parent[key]` as an object, created when it is absent. */
export function ensureObject(parent: Json, key: string): Json {
  const existing = own(parent, key);
  if (isObject(existing)) return existing;
  const created: Json = {};
  parent[key] = created;
  return created;
}

/** Sets `object[key]` when it is absent or null: how the server's defaulting treats unset fields. */
export function setDefault(object: Json, key: string, value: unknown): void {
  const existing = own(object, key);
  if (existing === undefined || existing === null) object[key] = value;
}

/** Deep copy of parsed JSON. */
export function clone<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => clone(item)) as T;
  if (!isObject(value)) return value;
  const copy: Json = {};
  for (const key of Object.keys(value)) copy[key] = clone(value[key]);
  return copy as T;
}

export function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => deepEqual(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && deepEqual(a[key], b[key]));
}

const POLLUTING = /__proto__|\\u00/i;

/** `JSON.parse` that drops `__proto__` members: copied by assignment they would replace a prototype. */
export function parseJson(text: string): unknown {
  if (!POLLUTING.test(text)) return JSON.parse(text) as unknown;
  return dropProto(JSON.parse(text) as unknown);
}

/** Removes own `__proto__` members everywhere below `value`. */
export function dropProto(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dropProto);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '__proto__')
      .map(([key, item]) => [key, dropProto(item)]),
  );
}

/** JSON with sorted keys: equal values give equal text. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? 'null';
  return `{${Object.keys(value)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    .join(',')}}`;
}
