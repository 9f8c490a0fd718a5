import type { Matcher } from '../storage/matcher.js';

/** Where a node stands in the query text; `from` is the offset of its first character. */
interface Position {
  readonly from: number;
  readonly to: number;
}

/** `offset` and `@`: which time a selector really looks at. Milliseconds. */
export interface TimeModifier {
  offsetMs: number;
  at?: number | 'start' | 'end';
}

export interface NumberLiteral extends Position {
  readonly kind: 'number';
  readonly value: number;
}
export interface StringLiteral extends Position {
  readonly kind: 'string';
  readonly value: string;
}
export interface VectorSelector extends Position {
  readonly kind: 'vector';
  /** The metric's name where it stands before the braces; '' otherwise. */
  readonly name: string;
  readonly matchers: readonly Matcher[];
  readonly time: TimeModifier;
}
export interface MatrixSelector extends Position {
  readonly kind: 'matrix';
  readonly selector: VectorSelector;
  readonly rangeMs: number;
}
export interface Subquery extends Position {
  readonly kind: 'subquery';
  readonly expr: Expr;
  readonly rangeMs: number;
  readonly stepMs: number | undefined;
  readonly time: TimeModifier;
}
export interface Paren extends Position {
  readonly kind: 'paren';
  readonly expr: Expr;
}
export interface Unary extends Position {
  readonly kind: 'unary';
  readonly operator: '+' | '-';
  readonly expr: Expr;
}
export interface VectorMatching {
  readonly on: boolean;
  readonly labels: readonly string[];
  readonly group: 'left' | 'right' | undefined;
  readonly include: readonly string[];
}
export interface Binary extends Position {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expr;
  readonly right: Expr;
  readonly bool: boolean;
  readonly matching: VectorMatching | undefined;
}
export interface Aggregate extends Position {
  readonly kind: 'aggregate';
  readonly operator: AggregateOperator;
  readonly expr: Expr;
  readonly parameter: Expr | undefined;
  readonly without: boolean;
  readonly labels: readonly string[];
}
export interface Call extends Position {
  readonly kind: 'call';
  readonly name: string;
  readonly args: readonly Expr[];
}

export type Expr =
  NumberLiteral | StringLiteral | VectorSelector | MatrixSelector | Subquery | Paren | Unary | Binary | Aggregate | Call;

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '^' | 'atan2';
export type ComparisonOperator = '==' | '!=' | '>' | '<' | '>=' | '<=';
export type SetOperator = 'and' | 'or' | 'unless';
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | SetOperator;

export const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '>', '<', '>=', '<=']);
export const SET_OPERATORS: ReadonlySet<string> = new Set(['and', 'or', 'unless']);

export type AggregateOperator =
  'sum' | 'avg' | 'min' | 'max' | 'count' | 'group' | 'stddev' | 'stdvar' | 'topk' | 'bottomk' | 'quantile' | 'count_values';

export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string';

/** The names that Prometheus's messages use. */
export const DOCUMENTED_TYPE: Readonly<Record<ValueType, string>> = {
  scalar: 'scalar',
  vector: 'instant vector',
  matrix: 'range vector',
  string: 'string',
};

/** Strips the parentheses around an expression. */
export function unwrap(expr: Expr): Expr {
  let inner = expr;
  while (inner.kind === 'paren') inner = inner.expr;
  return inner;
}
