import { compareLabels, Labels } from './labels.js';
import { formatValue } from './format.js';
import { DOCUMENTED_TYPE, type Expr } from './promql/ast.js';
import { typeOf } from './promql/check.js';
import { Evaluation, EvaluationMemory } from './promql/evaluator.js';
import { parseQuery } from './promql/parser.js';
import type { Value } from './promql/value.js';
import type { Database } from './storage/database.js';

export type JsonPoint = [seconds: number, value: string];

/** The `data` of a query's answer, as the HTTP API gives it. */
export type QueryData =
  | { resultType: 'vector'; result: { metric: Record<string, string>; value: JsonPoint }[] }
  | { resultType: 'matrix'; result: { metric: Record<string, string>; values: JsonPoint[] }[] }
  | { resultType: 'scalar' | 'string'; result: JsonPoint };

export interface QueryLimits {
  lookbackMs: number;
  timeoutMs: number;
}

interface MatrixRow {
  labels: Labels;
  values: JsonPoint[];
}

const CACHED_QUERIES = 500;

/** Runs PromQL over a database. Parsed expressions are kept, since controllers ask the same ones over and over. */
export class QueryEngine {
  readonly #database: Database;
  readonly #memory = new EvaluationMemory();
  readonly #parsed = new Map<string, Expr>();

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Evaluates an expression at one time (unix milliseconds).
   * @throws ParseError, EvaluationError, QueryTimeoutError
   */
  instant(query: string, atMs: number, limits: QueryLimits): QueryData {
    const expr = this.#parse(query);
    const evaluation = this.#evaluation(atMs, atMs, limits);
    if (typeOf(expr) === 'matrix') {
      const rows = evaluation.range(expr, atMs).map(({ labels, times, values }) => ({
        labels,
        values: values.map((value, index): JsonPoint => [times[index]! / 1000, formatValue(value)]),
      }));
      return matrix(rows);
    }
    const value = evaluation.evaluate(expr, atMs);
    const seconds = atMs / 1000;
    if (value.type === 'string') return { resultType: 'string', result: [seconds, value.v] };
    if (value.type === 'scalar') return { resultType: 'scalar', result: [seconds, formatValue(value.v)] };
    return {
      resultType: 'vector',
      result: value.samples.map(({ labels, v }) => ({ metric: labels.toObject(), value: [seconds, formatValue(v)] })),
    };
  }

  /**
   * Evaluates an expression at every step from start to end (unix milliseconds).
   * @throws ParseError, EvaluationError, QueryTimeoutError, and Error when the expression is not a scalar or instant vector
   */
  range(query: string, startMs: number, endMs: number, stepMs: number, limits: QueryLimits): QueryData {
    const expr = this.#parse(query);
    const type = typeOf(expr);
    if (type === 'matrix' || type === 'string') {
      throw new Error(`invalid expression type "${DOCUMENTED_TYPE[type]}" for range query, must be Scalar or instant Vector`);
    }
    const evaluation = this.#evaluation(startMs, endMs, limits);
    const rows = new Map<string, MatrixRow>();
    for (let time = startMs; time <= endMs; time += stepMs) collect(rows, evaluation.evaluate(expr, time), time / 1000);
    return matrix([...rows.values()]);
  }

  #evaluation(startMs: number, endMs: number, { lookbackMs, timeoutMs }: QueryLimits): Evaluation {
    const clock = (): number => performance.now();
    return new Evaluation(this.#database, this.#memory, { startMs, endMs, lookbackMs, clock, deadlineMs: clock() + timeoutMs });
  }

  #parse(query: string): Expr {
    const known = this.#parsed.get(query);
    if (known !== undefined) return known;
    const expr = parseQuery(query);
    if (this.#parsed.size >= CACHED_QUERIES) this.#parsed.clear();
    this.#parsed.set(query, expr);
    return expr;
  }
}

function matrix(rows: MatrixRow[]): QueryData {
  const sorted = rows.toSorted((a, b) => compareLabels(a.labels, b.labels));
  return { resultType: 'matrix', result: sorted.map(({ labels, values }) => ({ metric: labels.toObject(), values })) };
}

function collect(rows: Map<string, MatrixRow>, value: Value, seconds: number): void {
  const samples = value.type === 'vector' ? value.samples : [{ labels: Labels.empty, v: Number(value.v) }];
  for (const { labels, v } of samples) {
    let row = rows.get(labels.key);
    if (row === undefined) rows.set(labels.key, (row = { labels, values: [] }));
    row.values.push([seconds, formatValue(v)]);
  }
}
