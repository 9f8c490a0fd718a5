import { COMPARISONS, type BinaryOperator, type Expr, type TimeModifier, type VectorMatching } from './ast.js';
import { ParseError } from './errors.js';

export interface OperatorParts {
  operator: BinaryOperator;
  from: number;
  bool: boolean;
  matching: VectorMatching | undefined;
}

/** One element of a flattened operator chain, in the order of the query text. */
export type Item =
  | { type: 'operand'; expr: Expr }
  | { type: 'prefix'; operator: '+' | '-'; from: number }
  | ({ type: 'infix' } & OperatorParts)
  | Postfix;

type Postfix =
  | { type: 'offset'; ms: number; to: number }
  | { type: 'at'; at: number | 'start' | 'end'; to: number }
  | { type: 'range'; ms: number; from: number; to: number }
  | { type: 'subquery'; rangeMs: number; stepMs: number | undefined; to: number };

const UNARY = 5;
const POWER = 6;

function precedence(operator: BinaryOperator): number {
  if (operator === 'or') return 1;
  if (operator === 'and' || operator === 'unless') return 2;
  if (COMPARISONS.has(operator)) return 3;
  if (operator === '+' || operator === '-') return 4;
  return operator === '^' ? POWER : UNARY;
}

/** Puts a flat chain of operands and operators together by Prometheus's precedence: postfix, `^`, sign and `*`, `+`, … */
export function associate(query: string, items: readonly Item[]): Expr {
  const chain = new Chain(query, items);
  return chain.binary(0);
}

class Chain {
  readonly #query: string;
  readonly #items: readonly Item[];
  #next = 0;

  constructor(query: string, items: readonly Item[]) {
    this.#query = query;
    this.#items = items;
  }

  binary(above: number): Expr {
    let left = this.#unary();
    for (;;) {
      const item = this.#items[this.#next];
      if (item === undefined || item.type !== 'infix') return left;
      const level = precedence(item.operator);
      if (level <= above) return left;
      this.#next++;
      const { operator, bool, matching } = item;
      const right = this.binary(operator === '^' ? level - 1 : level);
      left = { kind: 'binary', operator, bool, matching, left, right, from: left.from, to: right.to };
    }
  }

  #unary(): Expr {
    const item = this.#items[this.#next++];
    if (item?.type === 'prefix') {
      const expr = this.binary(UNARY);
      if (expr.kind === 'number') return { ...expr, value: item.operator === '-' ? -expr.value : expr.value, from: item.from };
      return { kind: 'unary', operator: item.operator, expr, from: item.from, to: expr.to };
    }
    if (item?.type !== 'operand') throw new ParseError(this.#query, this.#query.length, 'unexpected end of input');
    let expr = item.expr;
    for (;;) {
      const postfix = this.#items[this.#next];
      if (postfix === undefined || postfix.type === 'operand' || postfix.type === 'infix' || postfix.type === 'prefix')
        return expr;
      this.#next++;
      expr = this.#apply(expr, postfix);
    }
  }

  #apply(expr: Expr, postfix: Postfix): Expr {
    const { to } = postfix;
    switch (postfix.type) {
      case 'range':
        return { kind: 'matrix', selector: this.#rangeable(expr, postfix.from), rangeMs: postfix.ms, from: expr.from, to };
      case 'subquery':
        return {
          kind: 'subquery',
          expr,
          rangeMs: postfix.rangeMs,
          stepMs: postfix.stepMs,
          time: { offsetMs: 0 },
          from: expr.from,
          to,
        };
      case 'offset': {
        const time = this.#timeOf(expr, 'offset modifier');
        if (time.offsetMs !== 0) throw new ParseError(this.#query, expr.from, 'offset may not be set multiple times');
        return withTime(expr, { ...time, offsetMs: postfix.ms }, to);
      }
      case 'at': {
        const time = this.#timeOf(expr, '@ modifier');
        if (time.at !== undefined) throw new ParseError(this.#query, expr.from, '@ <timestamp> may not be set multiple times');
        return withTime(expr, { ...time, at: postfix.at }, to);
      }
    }
  }

  #rangeable(expr: Expr, bracket: number): Expr & { kind: 'vector' } {
    if (expr.kind !== 'vector') throw new ParseError(this.#query, bracket, 'ranges only allowed for vector selectors');
    if (expr.time.offsetMs !== 0) throw new ParseError(this.#query, bracket, 'no offset modifiers allowed before range');
    if (expr.time.at !== undefined) throw new ParseError(this.#query, bracket, 'no @ modifiers allowed before range');
    return expr;
  }

  #timeOf(expr: Expr, modifier: string): TimeModifier {
    if (expr.kind === 'vector' || expr.kind === 'subquery') return expr.time;
    if (expr.kind === 'matrix') return expr.selector.time;
    const reason = `${modifier} must be preceded by an instant vector selector or range vector selector or a subquery`;
    throw new ParseError(this.#query, expr.from, reason);
  }
}

function withTime(expr: Expr, time: TimeModifier, to: number): Expr {
  if (expr.kind === 'matrix') return { ...expr, selector: { ...expr.selector, time }, to };
  if (expr.kind === 'vector' || expr.kind === 'subquery') return { ...expr, time, to };
  return expr;
}
