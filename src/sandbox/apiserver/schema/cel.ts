import { Environment } from '@marcbachmann/cel-js';
import type { Cause } from '../errors.js';
import { isObject, own, type Json } from '../json.js';
import { itemEdge } from '../apply/fields.js';
import { registerKubernetesFunctions } from './cel-library.js';
import { memberSchema, type Schema, type ValidationRule } from './types.js';

type Program = (context: Record<string, unknown>) => unknown;

const environment = registerKubernetesFunctions(
  new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false, enableOptionalTypes: true }),
);
const programs = new Map<string, Program | Error>();
const MAX_PROGRAMS = 10_000;

function compile(expression: string): Program | Error {
  const known = programs.get(expression);
  if (known !== undefined) return known;
  if (programs.size >= MAX_PROGRAMS) programs.clear();
  let program: Program | Error;
  try {
    program = environment.parse(expression) as Program;
  } catch (error) {
    program = error instanceof Error ? error : new Error(String(error));
  }
  programs.set(expression, program);
  return program;
}

/** Why a rule cannot be compiled; undefined when it can. */
export function compileError(expression: string): string | undefined {
  const program = compile(expression);
  return program instanceof Error ? program.message : undefined;
}

/** Values as CEL sees them: integers as int (BigInt), dates and durations typed by their format. */
function toCel(value: unknown, schema: Schema | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items));
  if (isObject(value)) {
    const result: Json = {};
    for (const key of Object.keys(value)) result[escapeName(key)] = toCel(value[key], memberSchema(schema, key));
    return result;
  }
  if (typeof value === 'number') return schema?.type === 'number' || !Number.isSafeInteger(value) ? value : BigInt(value);
  if (typeof value === 'string' && schema?.format === 'date-time') return new Date(value);
  if (typeof value === 'string' && schema?.format === 'duration') return evaluateOr(value);
  return value;
}

const durations = environment.parse('duration(value)') as Program;

function evaluateOr(value: string): unknown {
  try {
    return durations({ value });
  } catch {
    return value;
  }
}

const RESERVED = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
]);

/** Property names in rules: `-`, `.`, `/` and reserved words are escaped (map keys are left alone by using `[...]`). */
function escapeName(key: string): string {
  if (RESERVED.has(key)) return `__${key}__`;
  return key;
}

const REASONS: Record<string, string> = {
  FieldValueInvalid: 'FieldValueInvalid',
  FieldValueForbidden: 'FieldValueForbidden',
  FieldValueRequired: 'FieldValueRequired',
  FieldValueDuplicate: 'FieldValueDuplicate',
};

interface Scope {
  self: unknown;
  oldSelf: unknown;
  hasOld: boolean;
}

const usesOld = (rule: ValidationRule): boolean => /\boldSelf\b/.test(rule.rule);

function failure(rule: ValidationRule, path: string, scope: Scope): Cause {
  let message = rule.message ?? '';
  if (rule.messageExpression !== undefined) {
    const program = compile(rule.messageExpression);
    try {
      const text = program instanceof Error ? undefined : program({ self: scope.self, oldSelf: scope.oldSelf });
      if (typeof text === 'string' && text.trim() !== '' && !text.includes('\n')) message = text;
    } catch {
      // A message expression that fails leaves the rule's plain message.
    }
  }
  if (message === '') message = `failed rule: ${rule.rule}`;
  const reason = REASONS[rule.reason ?? ''] ?? 'FieldValueInvalid';
  const field = rule.fieldPath === undefined ? path : joinField(path, rule.fieldPath);
  return cause(reason, field, message, scope.self);
}

function joinField(path: string, fieldPath: string): string {
  const relative = fieldPath.replace(/^\./, '').replaceAll(/\['([^']+)'\]/g, '.$1');
  return path === '' || path === '<nil>' ? relative : `${path}.${relative}`;
}

function cause(reason: string, field: string, message: string, value: unknown): Cause {
  if (reason === 'FieldValueForbidden') return { reason, field, message: `Forbidden: ${message}` };
  if (reason === 'FieldValueRequired') return { reason, field, message: `Required value: ${message}` };
  const shown = typeof value === 'object' && value !== null ? '' : `${render(value)}: `;
  return {
    reason,
    field,
    message: `${reason === 'FieldValueDuplicate' ? 'Duplicate value' : 'Invalid value'}: ${shown}${message}`,
  };
}

const render = (value: unknown): string => (typeof value === 'bigint' ? String(value) : JSON.stringify(value ?? null));

function check(rule: ValidationRule, path: string, scope: Scope): Cause | undefined {
  const program = compile(rule.rule);
  if (program instanceof Error) return cause('FieldValueInvalid', path, `rule compile error: ${program.message}`, scope.self);
  try {
    return program({ self: scope.self, oldSelf: scope.oldSelf }) === true ? undefined : failure(rule, path, scope);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return cause('FieldValueInvalid', path, `rule evaluation error: ${why}: rule: ${rule.rule}`, scope.self);
  }
}

/**
 * Evaluates the CEL rules of a schema.
 * @param previous the stored object on updates; transition rules (those that name `oldSelf`) need it
 * @param transitionsOnly evaluate only rules that name `oldSelf`
 */
export function validateRules(value: unknown, previous: unknown, schema: Schema, transitionsOnly = false): Cause[] {
  const causes: Cause[] = [];
  visit(value, previous, previous !== undefined, schema, '', transitionsOnly, causes);
  return causes;
}

const ruled = new WeakMap<Schema, boolean>();

/** Whether a schema or anything below it has rules: most parts have none and are skipped. */
export function hasRules(schema: Schema): boolean {
  const known = ruled.get(schema);
  if (known !== undefined) return known;
  const below = [...Object.values(schema.properties ?? {}), ...(schema.items === undefined ? [] : [schema.items])];
  if (typeof schema.additionalProperties === 'object') below.push(schema.additionalProperties);
  const result = (schema['x-kubernetes-validations']?.length ?? 0) > 0 || below.some(hasRules);
  ruled.set(schema, result);
  return result;
}

function visit(
  value: unknown,
  previous: unknown,
  hasOld: boolean,
  schema: Schema,
  path: string,
  transitionsOnly: boolean,
  causes: Cause[],
): void {
  if (!hasRules(schema) || value === null || value === undefined) return;
  const rules = schema['x-kubernetes-validations'] ?? [];
  if (rules.length > 0) {
    const scope: Scope = { self: toCel(value, schema), oldSelf: hasOld ? toCel(previous, schema) : undefined, hasOld };
    for (const rule of rules) {
      const found = applies(rule, scope, transitionsOnly)
        ? check(rule, path === '' ? '<nil>' : path, withOptional(rule, scope))
        : undefined;
      if (found !== undefined) causes.push(found);
    }
  }
  if (Array.isArray(value)) visitItems(value, previous, hasOld, schema, path, transitionsOnly, causes);
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    const member = memberSchema(schema, key);
    const old = own(previous, key);
    if (member !== undefined)
      visit(value[key], old, hasOld && old !== undefined, member, path === '' ? key : `${path}.${key}`, transitionsOnly, causes);
  }
}

const someOptional = environment.parse('optional.of(value)') as Program;
const noOptional = environment.parse('optional.none()') as Program;

/** With `optionalOldSelf`, `oldSelf` is an optional that is empty when there was no value. */
const withOptional = (rule: ValidationRule, scope: Scope): Scope =>
  rule.optionalOldSelf === true
    ? { ...scope, oldSelf: scope.hasOld ? someOptional({ value: scope.oldSelf }) : noOptional({}) }
    : scope;

function applies(rule: ValidationRule, scope: Scope, transitionsOnly: boolean): boolean {
  if (!usesOld(rule)) return !transitionsOnly;
  // Rules with an optional oldSelf run on creation too; on updates only the transition pass runs them.
  if (rule.optionalOldSelf === true) return transitionsOnly || !scope.hasOld;
  return transitionsOnly && scope.hasOld;
}

/** Items correlate with their former selves in associative lists only, by key. */
function visitItems(
  value: unknown[],
  previous: unknown,
  hasOld: boolean,
  schema: Schema,
  path: string,
  transitionsOnly: boolean,
  causes: Cause[],
): void {
  const { items } = schema;
  if (items === undefined) return;
  const keyed = schema['x-kubernetes-list-type'] === 'map';
  const old = new Map(
    keyed && Array.isArray(previous) ? previous.map((item: unknown) => [itemEdge(item, 'keyed', schema), item]) : [],
  );
  value.forEach((item, index) => {
    const before = keyed ? old.get(itemEdge(item, 'keyed', schema)) : undefined;
    visit(item, before, hasOld && before !== undefined, items, `${path}[${index}]`, transitionsOnly, causes);
  });
}
