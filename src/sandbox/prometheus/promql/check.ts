import { COMPARISONS, DOCUMENTED_TYPE, SET_OPERATORS, type Binary, type Call, type Expr, type ValueType } from './ast.js';
import { ParseError } from './errors.js';
import { SIGNATURES } from './signatures.js';

/** The type of an expression's value. */
export function typeOf(expr: Expr): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar';
    case 'string':
      return 'string';
    case 'vector':
    case 'aggregate':
      return 'vector';
    case 'matrix':
    case 'subquery':
      return 'matrix';
    case 'paren':
    case 'unary':
      return typeOf(expr.expr);
    case 'binary':
      return typeOf(expr.left) === 'scalar' && typeOf(expr.right) === 'scalar' ? 'scalar' : 'vector';
    case 'call':
      return SIGNATURES.get(expr.name)?.returns ?? 'vector';
  }
}

/**
 * Checks that every operator and function gets the types it takes.
 * @throws ParseError for the first place that does not.
 */
export function checkTypes(query: string, expr: Expr): void {
  new Checker(query).check(expr);
}

const SCALAR_PARAMETER = new Set(['topk', 'bottomk', 'quantile']);

class Checker {
  readonly #query: string;

  constructor(query: string) {
    this.#query = query;
  }

  check(expr: Expr): void {
    switch (expr.kind) {
      case 'paren':
        return this.check(expr.expr);
      case 'unary':
        return this.#unary(expr);
      case 'binary':
        return this.#binary(expr);
      case 'call':
        return this.#call(expr);
      case 'matrix':
        return this.check(expr.selector);
      case 'subquery':
        this.check(expr.expr);
        if (typeOf(expr.expr) !== 'vector')
          this.#fail(expr, `subquery is only allowed on instant vector, got ${typeOf(expr.expr)} instead`);
        return;
      case 'aggregate':
        this.#expect(expr.expr, 'vector', 'aggregation expression');
        if (expr.parameter === undefined) return;
        this.#expect(expr.parameter, SCALAR_PARAMETER.has(expr.operator) ? 'scalar' : 'string', 'aggregation parameter');
        return;
      case 'vector':
        if (expr.name === '' && expr.matchers.every((matcher) => matcher.matches(''))) {
          this.#fail(expr, 'vector selector must contain at least one non-empty matcher');
        }
        return;
      case 'number':
      case 'string':
    }
  }

  #fail(at: { from: number }, reason: string): never {
    throw new ParseError(this.#query, at.from, reason);
  }

  #expect(expr: Expr, wanted: ValueType, context: string): void {
    this.check(expr);
    const got = typeOf(expr);
    if (got !== wanted) this.#fail(expr, `expected type ${DOCUMENTED_TYPE[wanted]} in ${context}, got ${DOCUMENTED_TYPE[got]}`);
  }

  #unary(expr: Expr & { kind: 'unary' }): void {
    this.check(expr.expr);
    const type = typeOf(expr.expr);
    if (type === 'scalar' || type === 'vector') return;
    this.#fail(
      expr,
      `unary expression only allowed on expressions of type scalar or instant vector, got "${DOCUMENTED_TYPE[type]}"`,
    );
  }

  #binary(expr: Binary): void {
    this.check(expr.left);
    this.check(expr.right);
    const [left, right] = [typeOf(expr.left), typeOf(expr.right)];
    const { operator, matching } = expr;
    const vectors = left === 'vector' && right === 'vector';
    this.#operatorUse(expr, left === 'scalar' && right === 'scalar');
    for (const side of [expr.left, expr.right]) {
      const type = typeOf(side);
      if (type !== 'scalar' && type !== 'vector')
        this.#fail(side, 'binary expression must contain only scalar and instant vector types');
    }
    if (!vectors && (matching?.labels.length ?? 0) > 0) this.#fail(expr, 'vector matching only allowed between instant vectors');
    if (!SET_OPERATORS.has(operator)) return;
    if (vectors && matching?.group !== undefined) this.#fail(expr, `no grouping allowed for "${operator}" operation`);
    if (!vectors) this.#fail(expr, `set operator "${operator}" not allowed in binary scalar expression`);
  }

  /** What Prometheus reports at the operator itself. */
  #operatorUse(expr: Binary, scalars: boolean): void {
    const { operator, bool, matching } = expr;
    const operatorAt = { from: expr.left.to + /^\s*/.exec(this.#query.slice(expr.left.to))![0].length };
    const comparison = COMPARISONS.has(operator);
    if (bool && !comparison) this.#fail(operatorAt, 'bool modifier can only be used on comparison operators');
    if (comparison && !bool && scalars) {
      this.#fail(operatorAt, 'comparisons between scalars must use BOOL modifier');
    }
    const twice = matching?.on === true ? matching.labels.find((label) => matching.include.includes(label)) : undefined;
    if (twice !== undefined) this.#fail(operatorAt, `label "${twice}" must not occur in ON and GROUP clause at once`);
  }

  #call(expr: Call): void {
    const { args, variadic } = SIGNATURES.get(expr.name)!;
    const got = expr.args.length;
    const call = `argument(s) in call to "${expr.name}", got ${got}`;
    if (variadic === 0 && got !== args.length) this.#fail(expr, `expected ${args.length} ${call}`);
    const least = args.length - 1;
    if (variadic !== 0 && got < least) this.#fail(expr, `expected at least ${least} ${call}`);
    if (variadic > 0 && got > least + variadic) this.#fail(expr, `expected at most ${least + variadic} ${call}`);
    expr.args.forEach((arg, index) => {
      this.#expect(arg, args[Math.min(index, args.length - 1)]!, `call to function "${expr.name}"`);
    });
  }
}
