import type { SyntaxNode } from '@lezer/common';
import { parser as grammar } from '@prometheus-io/lezer-promql';
import { METRIC_NAME } from '../labels.js';
import { createMatcher, type Matcher, type MatchOperator } from '../storage/matcher.js';
import type { AggregateOperator, Expr, VectorSelector } from './ast.js';
import { associate, type Item, type OperatorParts } from './associate.js';
import { checkTypes } from './check.js';
import { ParseError } from './errors.js';
import { durationSeconds } from './duration-expression.js';
import { describeBadString, parseNumberLiteral, unquote } from './literals.js';
import { EXPERIMENTAL_FUNCTIONS, SIGNATURES } from './signatures.js';
import { syntaxError } from './syntax-error.js';

const PARAMETER_OPERATORS = new Set(['topk', 'bottomk', 'quantile', 'count_values', 'limitk', 'limit_ratio']);
const EXPERIMENTAL_AGGREGATES = new Set(['limitk', 'limit_ratio']);
const CHAINED = new Set([
  'BinaryExpr',
  'UnaryExpr',
  'OffsetExpr',
  'StepInvariantExpr',
  'MatrixSelector',
  'SubqueryExpr',
  'NumberDurationLiteral',
]);

/**
 * Parses a PromQL expression and checks its types.
 * @throws ParseError with the message that Prometheus gives.
 */
export function parseQuery(query: string): Expr {
  if (query.replace(/#.*/g, '').trim() === '')
    throw new ParseError(query, query === '' ? undefined : 0, 'no expression found in input');
  const tree = grammar.parse(query);
  const root = tree.topNode;
  const problem = syntaxError(query, tree);
  if (problem !== undefined) throw problem;
  const body = root.firstChild;
  if (body === null) throw new ParseError(query, undefined, 'no expression found in input');
  const expr = new Builder(query).expr(body);
  checkTypes(query, expr);
  return expr;
}

/** Parses a series selector such as `up{job="x"}`, as `match[]` parameters have it. */
export function parseSelector(text: string): readonly Matcher[] {
  const expr = parseQuery(text);
  if (expr.kind !== 'vector') throw new ParseError(text, 0, 'expected a series selector');
  return expr.matchers;
}

function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling)
    if (child.name !== 'LineComment') found.push(child);
  return found;
}

/** Turns the grammar's tree into ours. */
class Builder {
  readonly #query: string;

  constructor(query: string) {
    this.#query = query;
  }

  expr(node: SyntaxNode): Expr {
    // The grammar's tree binds `offset`, `@`, ranges and signs looser than Prometheus does (`a - b offset 5m` becomes
    // `(a - b) offset 5m`), so a chain of operators is flattened here and put together by Prometheus's precedence.
    if (CHAINED.has(node.name)) return associate(this.#query, this.#flatten(node));
    return this.#primary(node);
  }

  #text(node: SyntaxNode): string {
    return this.#query.slice(node.from, node.to);
  }

  #fail(node: SyntaxNode, reason: string): never {
    throw new ParseError(this.#query, node.from, reason);
  }

  #flatten(node: SyntaxNode): Item[] {
    const parts = children(node);
    const [first] = parts;
    switch (node.name) {
      case 'NumberDurationLiteral':
        return this.#number(node);
      case 'BinaryExpr':
        return [
          ...this.#flatten(first!),
          { type: 'infix', ...this.#operator(parts.slice(1, -1)) },
          ...this.#flatten(parts.at(-1)!),
        ];
      case 'UnaryExpr':
        return [
          { type: 'prefix', operator: this.#text(first!) === '-' ? '-' : '+', from: node.from },
          ...this.#flatten(parts.at(-1)!),
        ];
      case 'OffsetExpr':
        return [...this.#flatten(first!), { type: 'offset', ms: this.#durationMs(parts.at(-1)!), to: node.to }];
      case 'StepInvariantExpr':
        return [...this.#flatten(first!), { type: 'at', at: this.#atTime(parts), to: node.to }];
      case 'MatrixSelector':
        return [...this.#flatten(first!), { type: 'range', ms: this.#positiveMs(parts[1]!), from: first!.to, to: node.to }];
      case 'SubqueryExpr': {
        const stepMs = parts[2] === undefined ? undefined : this.#positiveMs(parts[2]);
        return [...this.#flatten(first!), { type: 'subquery', rangeMs: this.#positiveMs(parts[1]!), stepMs, to: node.to }];
      }
      default:
        return [{ type: 'operand', expr: this.#primary(node) }];
    }
  }

  /** A signed literal is a sign and a number: `-2 ^ 2` is -4 in Prometheus. */
  #number(node: SyntaxNode): Item[] {
    const text = this.#text(node);
    const sign = text[0];
    const digits = text.replace(/^[+-]\s*/, '');
    const from = node.to - digits.length;
    const operand: Item = { type: 'operand', expr: { kind: 'number', value: this.#inRange(digits, from), from, to: node.to } };
    return sign === '-' || sign === '+' ? [{ type: 'prefix', operator: sign, from: node.from }, operand] : [operand];
  }

  #inRange(digits: string, from: number): number {
    const value = parseNumberLiteral(digits);
    if (Math.abs(value) !== Number.POSITIVE_INFINITY || /^inf/i.test(digits)) return value;
    throw new ParseError(this.#query, from, `error parsing number: strconv.ParseFloat: parsing "${digits}": value out of range`);
  }

  #operator(nodes: SyntaxNode[]): OperatorParts {
    const [symbol, ...modifiers] = nodes;
    const operator = this.#text(symbol!).toLowerCase() as OperatorParts['operator'];
    const clause = modifiers.find((node) => node.name === 'MatchingModifierClause');
    const fill = modifiers.find((node) => node.name === 'FillModifier');
    if (fill !== undefined) this.#fail(fill, 'binop fill modifiers are experimental and not enabled');
    if (symbol!.name.startsWith('Trim')) this.#fail(symbol!, `unexpected "${operator}": the sandbox has no native histograms`);
    return {
      operator,
      from: symbol!.from,
      bool: modifiers.some((node) => node.name === 'BoolModifier'),
      matching: clause === undefined ? undefined : this.#matching(clause),
    };
  }

  #matching(clause: SyntaxNode): NonNullable<OperatorParts['matching']> {
    const [labels, include] = clause.getChildren('GroupingLabels');
    const left = clause.getChild('GroupLeft') !== null;
    const right = clause.getChild('GroupRight') !== null;
    return {
      on: clause.getChild('On') !== null,
      labels: labels === undefined ? [] : this.#labelNames(labels),
      group: left ? 'left' : right ? 'right' : undefined,
      include: include === undefined ? [] : this.#labelNames(include),
    };
  }

  #labelNames(grouping: SyntaxNode): string[] {
    return children(grouping).map((node) => (node.name === 'QuotedLabelName' ? this.#string(node) : this.#text(node)));
  }

  #durationMs(node: SyntaxNode): number {
    const seconds = durationSeconds(this.#query, node);
    return seconds === undefined
      ? this.#fail(node, 'the sandbox takes no step(), range(), min_of() or max_of() in durations')
      : Math.round(seconds * 1000);
  }

  #positiveMs(node: SyntaxNode): number {
    const ms = this.#durationMs(node);
    if (!(ms > 0)) this.#fail(node, 'duration must be greater than 0');
    return ms;
  }

  #atTime(parts: SyntaxNode[]): number | 'start' | 'end' {
    const node = parts.at(-1)!;
    if (node.name === 'AtModifierPreprocessors') return this.#text(node).startsWith('start') ? 'start' : 'end';
    const text = this.#text(node).replace(/\s/g, '');
    const seconds = this.#inRange(text.replace(/^[+-]/, ''), node.from) * (text.startsWith('-') ? -1 : 1);
    if (!Number.isFinite(seconds)) this.#fail(parts[0]!, `timestamp out of bounds for @ modifier: ${seconds}`);
    return Math.round(seconds * 1000);
  }

  #primary(node: SyntaxNode): Expr {
    const { from, to } = node;
    switch (node.name) {
      case 'ParenExpr':
        return { kind: 'paren', expr: this.expr(children(node)[0]!), from, to };
      case 'StringLiteral':
        return { kind: 'string', value: this.#string(node), from, to };
      case 'VectorSelector':
        return this.#selector(node);
      case 'AggregateExpr':
        return this.#aggregate(node);
      case 'FunctionCall':
        return this.#call(node);
      case 'AnchoredExpr':
      case 'SmoothedExpr':
        return this.#fail(
          node,
          `${node.name === 'AnchoredExpr' ? 'anchored' : 'smoothed'} modifier is experimental and not enabled`,
        );
      default:
        return this.#fail(node, `unexpected ${this.#text(node)}`);
    }
  }

  #string(node: SyntaxNode): string {
    const value = unquote(this.#text(node));
    return value ?? this.#fail(node, describeBadString(this.#text(node)));
  }

  #selector(node: SyntaxNode): VectorSelector {
    const identifier = node.getChild('Identifier');
    const name = identifier === null ? '' : this.#text(identifier);
    if (name.toLowerCase() === 'atan2') this.#fail(node, `unexpected <op:${name}>`);
    const braces = node.getChild('LabelMatchers');
    const matchers = braces === null ? [] : children(braces).map((matcher) => this.#matcher(matcher));
    if (name !== '') {
      const second = matchers.find((matcher) => matcher.name === METRIC_NAME);
      if (second !== undefined) this.#fail(node, `metric name must not be set twice: "${name}" or "${second.value}"`);
      matchers.push(createMatcher(METRIC_NAME, '=', name));
    }
    return { kind: 'vector', name, matchers, time: { offsetMs: 0 }, from: node.from, to: node.to };
  }

  #matcher(node: SyntaxNode): Matcher {
    const parts = children(node);
    if (node.name === 'QuotedLabelName') return createMatcher(METRIC_NAME, '=', this.#string(node));
    const name = parts[0]!.name === 'QuotedLabelName' ? this.#string(parts[0]!) : this.#text(parts[0]!);
    try {
      return createMatcher(name, this.#text(parts[1]!) as MatchOperator, this.#string(parts[2]!));
    } catch (error) {
      if (error instanceof ParseError) throw error;
      return this.#fail(node, error instanceof Error ? error.message : String(error));
    }
  }

  #aggregate(node: SyntaxNode): Expr {
    const operator = this.#text(node.getChild('AggregateOp')!).toLowerCase();
    if (EXPERIMENTAL_AGGREGATES.has(operator)) {
      this.#fail(node, `${operator}() is experimental and must be enabled with --enable-feature=promql-experimental-functions`);
    }
    const modifier = node.getChild('AggregateModifier');
    const args = children(node.getChild('FunctionCallBody')!).map((arg) => this.expr(arg));
    const wanted = PARAMETER_OPERATORS.has(operator) ? 2 : 1;
    if (args.length === 0) this.#fail(node, 'no arguments for aggregate expression provided');
    if (args.length !== wanted) {
      this.#fail(node, `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`);
    }
    const grouping = modifier?.getChild('GroupingLabels');
    return {
      kind: 'aggregate',
      operator: operator as AggregateOperator,
      expr: args.at(-1)!,
      parameter: wanted === 2 ? args[0] : undefined,
      without: modifier?.getChild('Without') != null,
      labels: grouping == null ? [] : this.#labelNames(grouping),
      from: node.from,
      to: node.to,
    };
  }

  #call(node: SyntaxNode): Expr {
    const identifier = node.getChild('FunctionIdentifier')!;
    const name = this.#text(identifier);
    if (EXPERIMENTAL_FUNCTIONS.has(name)) this.#fail(identifier, `function "${name}" is not enabled`);
    if (!SIGNATURES.has(name)) this.#fail(identifier, `unknown function with name "${name}"`);
    const args = children(node.getChild('FunctionCallBody')!).map((arg) => this.expr(arg));
    return { kind: 'call', name, args, from: node.from, to: node.to };
  }
}
