import type { KubeObject } from '../../kube/types.js';
import { badRequest, type ApiError } from './errors.js';
import { at, asArray, asObject } from './json.js';
import { parseLabelSelector } from './labels.js';
import type { ResourceInfo } from './types.js';

export type Predicate = (object: KubeObject) => boolean;

/**
 * Parses a label selector (equality and set based).
 * @throws ApiError 400 when it cannot be parsed
 */
export function labelPredicate(text: string | undefined): Predicate | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const tests = parseLabelSelector(text);
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

const unsupportedField = (field: string, info: ResourceInfo): ApiError =>
  badRequest(
    info.strategy.selectableFields === undefined
      ? `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`
      : `field label not supported: ${field}`,
  );

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
        throw unsupportedField(field, info);
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
