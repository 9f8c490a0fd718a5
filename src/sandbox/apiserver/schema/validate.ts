import { required, unsupportedValue, type Cause } from '../errors.js';
import { canonical, isObject, type Json } from '../json.js';
import { memberSchema, type Schema } from './types.js';

/** Validates a value against a structural schema, with the messages of the real server. CEL rules are in `cel.ts`. */
export function validateSchema(value: unknown, schema: Schema, path = ''): Cause[] {
  const causes: Cause[] = [];
  validateInto(value, schema, path, causes);
  return causes;
}

const join = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typeMatches(value: unknown, type: string): boolean {
  const actual = typeName(value);
  return actual === type || (type === 'number' && actual === 'integer');
}

const typeInvalid = (path: string, value: unknown, expected: string): Cause => ({
  reason: 'FieldValueTypeInvalid',
  message: `Invalid value: ${JSON.stringify(typeName(value))}: ${inBody(path)} must be of type ${expected}: ${JSON.stringify(typeName(value))}`,
  field: path === '' ? '<nil>' : path,
});

const bad = (path: string, value: unknown, detail: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${typeof value === 'object' ? JSON.stringify(typeName(value)) : JSON.stringify(value)}: ${inBody(path)} ${detail}`,
  field: path,
});

const inBody = (path: string): string => (path === '' ? 'in body' : `${path} in body`);

function validateInto(value: unknown, schema: Schema, path: string, causes: Cause[]): void {
  if (value === null && schema.nullable === true) return;
  if (!checkType(value, schema, path, causes)) return;
  if (schema.enum !== undefined && !schema.enum.some((item) => canonical(item) === canonical(value))) {
    causes.push(
      unsupportedValue(
        path,
        value,
        schema.enum.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))),
      ),
    );
  }
  if (typeof value === 'string') checkString(value, schema, path, causes);
  if (typeof value === 'number') checkNumber(value, schema, path, causes);
  if (Array.isArray(value)) checkArray(value, schema, path, causes);
  if (isObject(value)) checkObject(value, schema, path, causes);
  checkJunctors(value, schema, path, causes);
}

function checkType(value: unknown, schema: Schema, path: string, causes: Cause[]): boolean {
  if (schema['x-kubernetes-int-or-string'] === true) {
    const actual = typeName(value);
    if (actual === 'integer' || actual === 'string') return true;
    causes.push(typeInvalid(path, value, 'integer,string'));
    return false;
  }
  if (schema.type === undefined || typeMatches(value, schema.type)) return true;
  causes.push(typeInvalid(path, value, schema.type));
  return false;
}

const patterns = new Map<string, RegExp | undefined>();

/** Go's RE2 syntax is close to JavaScript's; what cannot be compiled is not checked. */
function compilePattern(pattern: string): RegExp | undefined {
  if (!patterns.has(pattern)) {
    try {
      patterns.set(pattern, new RegExp(pattern.replace(/^\(\?i\)/, ''), pattern.startsWith('(?i)') ? 'iu' : 'u'));
    } catch {
      patterns.set(pattern, undefined);
    }
  }
  return patterns.get(pattern);
}

const DURATION = /^[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const FORMATS: Record<string, (value: string) => boolean> = {
  'date-time': (value) =>
    /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[-+]\d{2}:\d{2})$/.test(value) && !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value)),
  duration: (value) => DURATION.test(value),
  uri: (value) => URL.canParse(value),
  uuid: (value) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(value),
  byte: (value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0,
  ipv4: (value) => /^(?:\d{1,3}\.){3}\d{1,3}$/.test(value) && value.split('.').every((part) => Number(part) <= 255),
  email: (value) => /^[^@\s]+@[^@\s]+$/.test(value),
};

function checkString(value: string, schema: Schema, path: string, causes: Cause[]): void {
  const { minLength, maxLength, pattern, format } = schema;
  const length = minLength === undefined && maxLength === undefined ? 0 : Array.from(value).length;
  if (maxLength !== undefined && length > maxLength) {
    causes.push({ reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maxLength} bytes`, field: path });
  }
  if (minLength !== undefined && length < minLength) causes.push(bad(path, value, `should be at least ${minLength} chars long`));
  if (pattern !== undefined && compilePattern(pattern)?.test(value) === false)
    causes.push(bad(path, value, `should match '${pattern}'`));
  if (format !== undefined && Object.hasOwn(FORMATS, format) && FORMATS[format]?.(value) === false) {
    causes.push({ ...bad(path, value, `must be of type ${format}: ${JSON.stringify(value)}`), reason: 'FieldValueTypeInvalid' });
  }
}

const INTEGER_LIMITS: Record<string, number> = { int32: 2 ** 31, int64: 2 ** 63 };

function checkNumber(value: number, schema: Schema, path: string, causes: Cause[]): void {
  const { minimum, maximum, multipleOf, format } = schema;
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum === true && value <= minimum) causes.push(bad(path, value, `should be greater than ${minimum}`));
    else if (value < minimum) causes.push(bad(path, value, `should be greater than or equal to ${minimum}`));
  }
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum === true && value >= maximum) causes.push(bad(path, value, `should be less than ${maximum}`));
    else if (value > maximum) causes.push(bad(path, value, `should be less than or equal to ${maximum}`));
  }
  if (multipleOf !== undefined && value % multipleOf !== 0)
    causes.push(bad(path, value, `should be a multiple of ${multipleOf}`));
  const limit = format === undefined ? undefined : INTEGER_LIMITS[format];
  if (limit !== undefined && (value >= limit || value < -limit)) {
    causes.push(bad(path, value, `must be of type integer: Checked value must be of type integer with format ${format}`));
  }
}

function checkArray(value: unknown[], schema: Schema, path: string, causes: Cause[]): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    causes.push({
      reason: 'FieldValueTooMany',
      message: `Too many: ${value.length}: must have at most ${schema.maxItems} items`,
      field: path,
    });
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    causes.push(bad(path, value.length, `should have at least ${schema.minItems} items`));
  }
  const { items } = schema;
  if (items !== undefined) value.forEach((item, index) => validateInto(item, items, `${path}[${index}]`, causes));
  checkUnique(value, schema, path, causes);
}

function checkUnique(value: unknown[], schema: Schema, path: string, causes: Cause[]): void {
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return;
  const seen = new Set<string>();
  value.forEach((item, index) => {
    const keys = schema['x-kubernetes-list-map-keys'] ?? [];
    const identity =
      type === 'set'
        ? item
        : Object.fromEntries(keys.map((key) => [key, (item as Json | null)?.[key] ?? memberSchema(schema.items, key)?.default]));
    const text = canonical(identity);
    if (seen.has(text))
      causes.push({ reason: 'FieldValueDuplicate', message: `Duplicate value: ${text}`, field: `${path}[${index}]` });
    seen.add(text);
  });
}

function checkObject(value: Json, schema: Schema, path: string, causes: Cause[]): void {
  for (const key of schema.required ?? []) if (!Object.hasOwn(value, key)) causes.push(required(join(path, key)));
  const keys = Object.keys(value);
  if (schema.maxProperties !== undefined && keys.length > schema.maxProperties) {
    causes.push({
      reason: 'FieldValueTooMany',
      message: `Too many: ${keys.length}: must have at most ${schema.maxProperties} items`,
      field: path,
    });
  }
  if (schema.minProperties !== undefined && keys.length < schema.minProperties) {
    causes.push(bad(path, keys.length, `should have at least ${schema.minProperties} properties`));
  }
  for (const key of keys) {
    const member = memberSchema(schema, key);
    if (member !== undefined) validateInto(value[key], member, join(path, key), causes);
  }
}

/** Errors of combined schemas name no field, and are followed by what the first alternative misses. */
const combined = (path: string, detail: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: "": ${JSON.stringify(path)} ${detail}`,
  field: '<nil>',
});

function checkJunctors(value: unknown, schema: Schema, path: string, causes: Cause[]): void {
  for (const part of schema.allOf ?? []) validateInto(value, part, path, causes);
  const results = (parts: Schema[]): Cause[][] => parts.map((part) => validateSchema(value, part, path));
  const valid = (found: Cause[][]): number => found.filter((one) => one.length === 0).length;
  const { anyOf, oneOf, not } = schema;
  const any = anyOf && results(anyOf);
  if (any !== undefined && valid(any) === 0)
    causes.push(combined(path, 'must validate at least one schema (anyOf)'), ...(any[0] ?? []));
  const one = oneOf && results(oneOf);
  if (one !== undefined && valid(one) === 0)
    causes.push(combined(path, 'must validate one and only one schema (oneOf). Found none valid'), ...(one[0] ?? []));
  else if (one !== undefined && valid(one) > 1)
    causes.push(combined(path, `must validate one and only one schema (oneOf). Found ${valid(one)} valid alternatives`));
  if (not !== undefined && validateSchema(value, not, path).length === 0)
    causes.push(combined(path, 'must not validate the schema (not)'));
}
