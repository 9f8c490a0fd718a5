import type { BinaryOperator } from './ast.js';

/** Go's math.Pow where it differs from JavaScript's: 1 to any power, and -1 to an infinite one, are 1. */
function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Number.POSITIVE_INFINITY)) return 1;
  return base ** exponent;
}

/** The result of an arithmetic operator, or for a comparison the left value and whether it holds. */
export function applyOperator(operator: BinaryOperator, left: number, right: number): { value: number; keep: boolean } {
  switch (operator) {
    case '+':
      return { value: left + right, keep: true };
    case '-':
      return { value: left - right, keep: true };
    case '*':
      return { value: left * right, keep: true };
    case '/':
      return { value: left / right, keep: true };
    case '%':
      return { value: left % right, keep: true };
    case '^':
      return { value: power(left, right), keep: true };
    case 'atan2':
      return { value: Math.atan2(left, right), keep: true };
    case '==':
      return { value: left, keep: left === right };
    case '!=':
      return { value: left, keep: left !== right };
    case '>':
      return { value: left, keep: left > right };
    case '<':
      return { value: left, keep: left < right };
    case '>=':
      return { value: left, keep: left >= right };
    case '<=':
      return { value: left, keep: left <= right };
    default:
      throw new Error(`operator "${operator}" works on sets of series, not on numbers`);
  }
}
