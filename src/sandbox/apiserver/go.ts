import { isObject } from './json.js';

/** A value as Go prints it with `%v`: `map[a:1 b:[x y]]`. */
export function goValue(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goValue).join(' ')}]`;
  if (!isObject(value)) return String(value as string | number | boolean);
  return `map[${Object.keys(value)
    .toSorted()
    .map((key) => `${key}:${goValue(value[key])}`)
    .join(' ')}]`;
}

/** Go's name of the type that a JSON value is decoded into. */
export function goKind(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  if (isObject(value)) return 'map[string]interface {}';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'number' ? (Number.isInteger(value) ? 'int64' : 'float64') : 'string';
}
