import type { KubeObject } from '../../kube/types.js';
import { badRequest } from './errors.js';
import { at, asArray, asObject } from './json.js';
import type { ResourceInfo } from './types.js';

export type Predicate = (object: KubeObject) => boolean;
type LabelTest = (labels: Record<string, string>) => boolean;

const KEY = /^(?:[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Splits at commas outside parentheses. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let depth = 0;
  let current = '';
  for (const char of text) {
    if (char === '(') depth++;
    if (char === ')') depth--;
    if (char === ',' && depth === 0) {
      terms.push(current);
      current = '';
    } else current += char;
  }
  terms.push(current);
  return terms.map((term) => term.trim()).filter((term) => term !== '');
}

const unparsable = (text: string, why: string): Error =>
  badRequest(`unable to parse requirement: ${why} in label selector "${text}"`);

function parseKey(key: string, text: string): string {
  if (!KEY.test(key)) throw unparsable(text, `invalid label key "${key}"`);
  return key;
}

function parseTerm(term: string, text: string): LabelTest {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term);
  if (set?.[1] !== undefined && set[3] !== undefined) {
    const key = parseKey(set[1], text);
    const values = new Set(set[3].split(',').map((value) => value.trim()));
    for (const value of values) if (!VALUE.test(value)) throw unparsable(text, `invalid label value "${value}"`);
    return set[2] === 'in'
      ? (labels) => Object.hasOwn(labels, key) && values.has(labels[key] ?? '')
      : (labels) => !Object.hasOwn(labels, key) || !values.has(labels[key] ?? '');
  }
  const equality = /^([^=!<>\s]+)\s*(==|=|!=)\s*(.*)$/.exec(term);
  if (equality?.[1] !== undefined && equality[3] !== undefined) {
    const key = parseKey(equality[1], text);
    const value = equality[3].trim();
    if (!VALUE.test(value)) throw unparsable(text, `invalid label value "${value}"`);
    return equality[2] === '!='
      ? (labels) => !Object.hasOwn(labels, key) || labels[key] !== value
      : (labels) => Object.hasOwn(labels, key) && labels[key] === value;
  }
  const order = /^([^=!<>\s]+)\s*([<>])\s*(-?\d+)$/.exec(term);
  if (order?.[1] !== undefined) {
    const key = parseKey(order[1], text);
    const limit = Number(order[3]);
    const above = order[2] === '>';
    return (labels) => Object.hasOwn(labels, key) && (above ? Number(labels[key]) > limit : Number(labels[key]) < limit);
  }
  if (term.startsWith('!')) {
    const key = parseKey(term.slice(1).trim(), text);
    return (labels) => !Object.hasOwn(labels, key);
  }
  const key = parseKey(term, text);
  return (labels) => Object.hasOwn(labels, key);
}

/**
 * Parses a label selector (equality and set based).
 * @throws ApiError 400 when it cannot be parsed
 */
export function labelPredicate(text: string | undefined): Predicate | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const tests = splitTerms(text).map((term) => parseTerm(term, text));
  return (object) => tests.every((test) => test(object.metadata.labels ?? {}));
}

/** Whether a `metav1.LabelSelector` matches `labels`. An empty selector matches everything. */
export function selectorMatches(selector: unknown, labels: Record<string, unknown>): boolean {
  const equal = Object.entries(asObject(at(selector, 'matchLabels'))).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
  return (
    equal &&
    asArray(at(selector, 'matchExpressions')).every((expression) => {
      const key = String(at(expression, 'key'));
      const has = Object.hasOwn(labels, key);
      const listed = asArray(at(expression, 'values')).includes(labels[key]);
      switch (at(expression, 'operator')) {
        case 'In':
          return has && listed;
        case 'NotIn':
          return !has || !listed;
        case 'Exists':
          return has;
        case 'DoesNotExist':
          return !has;
        default:
          return false;
      }
    })
  );
}

function selectable(info: ResourceInfo, object: KubeObject): Record<string, string> {
  return {
    'metadata.name': object.metadata.name,
    ...(info.namespaced ? { 'metadata.namespace': object.metadata.namespace ?? '' } : {}),
    ...info.strategy.selectableFields?.(object),
  };
}

const EMPTY: KubeObject = { apiVersion: '', kind: '', metadata: { name: '' } };

/**
 * Parses a field selector (`=`, `==`, `!=`).
 * @throws ApiError 400 naming the field when the kind does not support it
 */
export function fieldPredicate(text: string | undefined, info: ResourceInfo): Predicate | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const supported = selectable(info, EMPTY);
  const tests = text
    .split(',')
    .map((term) => term.trim())
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(term);
      if (match?.[1] === undefined || match[3] === undefined)
        throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
      const [, field, operator, value] = match;
      if (!Object.hasOwn(supported, field)) {
        throw badRequest(
          info.custom
            ? `Unable to find "${info.group}/${info.version}, Resource=${info.plural}" that match label selector "", field selector "${text}": field label not supported: ${field}`
            : `field label not supported: ${field}`,
        );
      }
      return { field, equal: operator !== '!=', value };
    });
  return (object) => {
    const fields = selectable(info, object);
    return tests.every(({ field, equal, value }) => (fields[field] === value) === equal);
  };
}

/** All of the given predicates; undefined when there is none. */
export function both(a: Predicate | undefined, b: Predicate | undefined): Predicate | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return (object) => a(object) && b(object);
}
