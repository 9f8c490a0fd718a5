import type { SyntaxNode } from '@lezer/common';
import { applyOperator } from './operators.js';
import type { ArithmeticOperator } from './ast.js';
import { parseNumberLiteral } from './literals.js';

/** The seconds of a duration such as `5m`, `-5m` or `2 * (1m + 30s)`; undefined when it depends on the query's step or range. */
export function durationSeconds(query: string, node: SyntaxNode): number | undefined {
  const parts: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling)
    if (child.name !== 'LineComment') parts.push(child);
  const [first, second, third] = parts;
  if (first === undefined) {
    return node.name === 'NumberDurationLiteralInDurationContext'
      ? parseNumberLiteral(query.slice(node.from, node.to))
      : undefined;
  }
  if (second === undefined) return durationSeconds(query, first);
  if (first.name === 'UnaryOp') {
    const value = durationSeconds(query, second);
    return value === undefined || query[first.from] === '+' ? value : -value;
  }
  if (third === undefined) return undefined;
  const [left, right] = [durationSeconds(query, first), durationSeconds(query, third)];
  if (left === undefined || right === undefined) return undefined;
  return applyOperator(query.slice(second.from, second.to) as ArithmeticOperator, left, right).value;
}
