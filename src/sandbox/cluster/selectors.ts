import type { LabelSelector } from './types.js';

type Labels = Record<string, string> | undefined;

/** Whether every pair of `selector` is among `labels`. An empty selector matches everything. */
export const matchesLabels = (selector: Record<string, string>, labels: Labels): boolean =>
  Object.entries(selector).every(([key, value]) => labels?.[key] === value);

/** `metav1.LabelSelector`. A selector that is missing or empty matches nothing, as workload controllers treat it. */
export function matchesSelector(selector: LabelSelector | undefined, labels: Labels): boolean {
  const pairs = selector?.matchLabels ?? {};
  const expressions = selector?.matchExpressions ?? [];
  if (Object.keys(pairs).length === 0 && expressions.length === 0) return false;
  return matchesLabels(pairs, labels) && expressions.every((expression) => matchesExpression(expression, labels));
}

function matchesExpression(expression: { key: string; operator: string; values?: string[] }, labels: Labels): boolean {
  const value = labels?.[expression.key];
  const values = expression.values ?? [];
  switch (expression.operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return false;
  }
}
