import { Labels } from '../labels.js';
import type { Database } from '../storage/database.js';
import type { SampleBuffer, Series } from '../storage/series.js';
import { Aggregation } from './aggregate.js';
import { COMPARISONS, unwrap, type Aggregate, type Binary, type Call, type Expr, type MatrixSelector } from './ast.js';
import type { Subquery, TimeModifier, VectorSelector } from './ast.js';
import { EvaluationError, QueryTimeoutError } from './errors.js';
import { callVectorFunction } from './functions.js';
import { applyOperator } from './operators.js';
import { KEEP_NAME, RANGE_FUNCTIONS, type RangeFunction } from './range-functions.js';
import type { RangeSeries, Sample, Value } from './value.js';
import { requireUnique, VectorOperation } from './vector-match.js';

/** Step of a subquery that names none: Prometheus's default evaluation interval. */
const DEFAULT_SUBQUERY_STEP_MS = 60_000;
const MAX_SAMPLES = 50_000_000;
const TIME_CHECK_EVERY = 1024;

export interface EvaluationOptions {
  /** First and last time of the whole query, milliseconds: what `@ start()` and `@ end()` mean. */
  startMs: number;
  endMs: number;
  lookbackMs: number;
  /** When to give up, in milliseconds of the clock below. */
  deadlineMs: number;
  clock: () => number;
}

/** What can be kept from one evaluation of an expression to the next: how label sets map to one another. */
export class EvaluationMemory {
  readonly #operations = new WeakMap<Expr, VectorOperation>();
  readonly #aggregations = new WeakMap<Expr, Aggregation>();

  operation(expr: Binary): VectorOperation {
    let operation = this.#operations.get(expr);
    if (operation === undefined) this.#operations.set(expr, (operation = new VectorOperation(expr)));
    return operation;
  }

  aggregation(expr: Aggregate): Aggregation {
    let aggregation = this.#aggregations.get(expr);
    if (aggregation === undefined) this.#aggregations.set(expr, (aggregation = new Aggregation(expr)));
    return aggregation;
  }
}

interface RangeWindow {
  startMs: number;
  endMs: number;
}

/** Evaluates one parsed query at any number of times; it remembers the selected series between them. */
export class Evaluation {
  readonly #database: Database;
  readonly #options: EvaluationOptions;
  readonly #memory: EvaluationMemory;
  readonly #selected = new Map<Expr, Series[]>();
  readonly #buffer: SampleBuffer = { times: [], values: [] };
  #samples = 0;
  #untilTimeCheck = 0;

  constructor(database: Database, memory: EvaluationMemory, options: EvaluationOptions) {
    this.#database = database;
    this.#memory = memory;
    this.#options = options;
  }

  /**
   * The value of a scalar, string or instant vector expression.
   * @throws EvaluationError and QueryTimeoutError
   */
  evaluate(expr: Expr, atMs: number): Value {
    switch (expr.kind) {
      case 'number':
        return { type: 'scalar', v: expr.value };
      case 'string':
        return { type: 'string', v: expr.value };
      case 'paren':
        return this.evaluate(expr.expr, atMs);
      case 'vector':
        return vector(this.#instant(expr, atMs));
      case 'unary':
        return this.#unary(expr, atMs);
      case 'binary':
        return this.#binary(expr, atMs);
      case 'aggregate': {
        const aggregation = this.#memory.aggregation(expr);
        const parameter = expr.parameter === undefined ? 0 : this.#constant(expr.parameter, atMs);
        return vector(aggregation.evaluate(this.#vector(expr.expr, atMs), parameter));
      }
      case 'call':
        return this.#call(expr, atMs);
      case 'matrix':
      case 'subquery':
        throw new EvaluationError('a range vector has no instant value');
    }
  }

  /** The samples of a range vector expression: a matrix selector or a subquery. */
  range(expr: Expr, atMs: number): RangeSeries[] {
    const inner = unwrap(expr);
    if (inner.kind === 'subquery') return this.#subquery(inner, atMs).series;
    if (inner.kind !== 'matrix') throw new EvaluationError('expected a range vector');
    const found: RangeSeries[] = [];
    this.#eachWindow(inner, atMs, (labels, buffer) => {
      if (buffer.values.length > 0) found.push({ labels, times: [...buffer.times], values: [...buffer.values] });
    });
    return found;
  }

  #vector(expr: Expr, atMs: number): Sample[] {
    const value = this.evaluate(expr, atMs);
    if (value.type !== 'vector') throw new EvaluationError(`expected an instant vector, got a ${value.type}`);
    return value.samples;
  }

  #constant(expr: Expr, atMs: number): number | string {
    const value = this.evaluate(expr, atMs);
    if (value.type === 'vector') throw new EvaluationError('expected a scalar or a string, got an instant vector');
    return value.v;
  }

  #count(samples: number): void {
    this.#samples += samples;
    if (this.#samples > MAX_SAMPLES)
      throw new EvaluationError('query processing would load too many samples into memory in query execution');
    this.#untilTimeCheck -= samples + 1;
    if (this.#untilTimeCheck > 0) return;
    this.#untilTimeCheck = TIME_CHECK_EVERY;
    if (this.#options.clock() > this.#options.deadlineMs) throw new QueryTimeoutError();
  }

  #select(selector: VectorSelector): Series[] {
    let series = this.#selected.get(selector);
    if (series === undefined) this.#selected.set(selector, (series = this.#database.select(selector.matchers)));
    return series;
  }

  #shift(time: TimeModifier, atMs: number): number {
    const at = time.at === 'start' ? this.#options.startMs : time.at === 'end' ? this.#options.endMs : (time.at ?? atMs);
    return at - time.offsetMs;
  }

  #instant(selector: VectorSelector, atMs: number, timestamps = false): Sample[] {
    const time = this.#shift(selector.time, atMs);
    const after = time - this.#options.lookbackMs;
    const samples: Sample[] = [];
    for (const series of this.#select(selector)) {
      const point = series.latest(time, after);
      if (point !== undefined) samples.push({ labels: series.labels, v: timestamps ? point.t / 1000 : point.v });
    }
    this.#count(samples.length);
    return samples;
  }

  #eachWindow(
    matrix: MatrixSelector,
    atMs: number,
    visit: (labels: Labels, buffer: SampleBuffer, window: RangeWindow) => void,
  ): void {
    const endMs = this.#shift(matrix.selector.time, atMs);
    const window = { startMs: endMs - matrix.rangeMs, endMs };
    for (const series of this.#select(matrix.selector)) {
      series.window(window.startMs, endMs, this.#buffer);
      this.#count(this.#buffer.values.length);
      visit(series.labels, this.#buffer, window);
    }
  }

  #subquery(expr: Subquery, atMs: number): RangeWindow & { series: RangeSeries[] } {
    const endMs = this.#shift(expr.time, atMs);
    const startMs = endMs - expr.rangeMs;
    const stepMs = expr.stepMs ?? DEFAULT_SUBQUERY_STEP_MS;
    const series = new Map<string, RangeSeries>();
    // Steps are aligned to multiples of the step, whatever the time of the query; the start itself is left out.
    for (let time = (Math.floor(startMs / stepMs) + 1) * stepMs; time <= endMs; time += stepMs) {
      this.#count(1);
      for (const { labels, v } of this.#vector(expr.expr, time)) {
        let known = series.get(labels.key);
        if (known === undefined) series.set(labels.key, (known = { labels, times: [], values: [] }));
        known.times.push(time);
        known.values.push(v);
      }
    }
    return { startMs, endMs, series: [...series.values()] };
  }

  #unary(expr: Expr & { kind: 'unary' }, atMs: number): Value {
    const value = this.evaluate(expr.expr, atMs);
    if (expr.operator === '+' || value.type === 'string') return value;
    if (value.type === 'scalar') return { type: 'scalar', v: -value.v };
    return vector(requireUnique(value.samples.map(({ labels, v }) => ({ labels: labels.withoutName(), v: -v }))));
  }

  #binary(expr: Binary, atMs: number): Value {
    const left = this.evaluate(expr.left, atMs);
    const right = this.evaluate(expr.right, atMs);
    if (left.type === 'vector' && right.type === 'vector') {
      return vector(this.#memory.operation(expr).evaluate(left.samples, right.samples));
    }
    if (left.type === 'vector' && right.type === 'scalar') return this.#withScalar(expr, left.samples, right.v, false);
    if (left.type === 'scalar' && right.type === 'vector') return this.#withScalar(expr, right.samples, left.v, true);
    if (left.type === 'vector' || right.type === 'vector') throw new EvaluationError('binary expressions do not take strings');
    const { value, keep } = applyOperator(expr.operator, Number(left.v), Number(right.v));
    return { type: 'scalar', v: COMPARISONS.has(expr.operator) ? (keep ? 1 : 0) : value };
  }

  #withScalar(expr: Binary, samples: Sample[], scalar: number, swapped: boolean): Value {
    const { operator, bool } = expr;
    const filter = COMPARISONS.has(operator) && !bool;
    const results: Sample[] = [];
    for (const sample of samples) {
      const { value, keep } = swapped ? applyOperator(operator, scalar, sample.v) : applyOperator(operator, sample.v, scalar);
      if (!filter) results.push({ labels: sample.labels.withoutName(), v: bool ? (keep ? 1 : 0) : value });
      else if (keep) results.push(sample);
    }
    return vector(filter ? results : requireUnique(results));
  }

  #call(expr: Call, atMs: number): Value {
    const { name, args } = expr;
    if (name === 'time') return { type: 'scalar', v: atMs / 1000 };
    if (name === 'pi') return { type: 'scalar', v: Math.PI };
    const overTime = RANGE_FUNCTIONS.get(name);
    if (overTime !== undefined) return vector(requireUnique(this.#overTime(expr, overTime, atMs)));
    if (name === 'absent_over_time') {
      const present = this.range(args[0]!, atMs).length > 0;
      return vector(present ? [] : [{ labels: absentLabels(args[0]!), v: 1 }]);
    }
    if (name === 'absent')
      return vector(this.#vector(args[0]!, atMs).length > 0 ? [] : [{ labels: absentLabels(args[0]!), v: 1 }]);
    const selector = unwrap(args[0] ?? expr);
    if (name === 'timestamp' && selector.kind === 'vector') {
      return vector(
        requireUnique(this.#instant(selector, atMs, true).map(({ labels, v }) => ({ labels: labels.withoutName(), v }))),
      );
    }
    const values = args.map((arg) => this.evaluate(arg, atMs));
    const result = callVectorFunction(name, values, atMs);
    return result.type === 'vector' ? vector(requireUnique(result.samples)) : result;
  }

  #overTime(expr: Call, compute: RangeFunction, atMs: number): Sample[] {
    const matrixAt = expr.name === 'quantile_over_time' ? 1 : 0;
    const scalar = expr.args[1 - matrixAt];
    const parameter = scalar === undefined ? 0 : Number(this.#constant(scalar, atMs));
    const argument = unwrap(expr.args[matrixAt]!);
    const results: Sample[] = [];
    const visit = (labels: Labels, samples: SampleBuffer, window: RangeWindow): void => {
      if (samples.values.length === 0) return;
      const { times, values } = samples;
      const v = compute({ times, values, startMs: window.startMs, endMs: window.endMs, evaluatedAtMs: atMs }, parameter);
      if (v !== undefined) results.push({ labels: KEEP_NAME.has(expr.name) ? labels : labels.withoutName(), v });
    };
    if (argument.kind === 'matrix') {
      this.#eachWindow(argument, atMs, visit);
    } else if (argument.kind === 'subquery') {
      const window = this.#subquery(argument, atMs);
      for (const series of window.series) visit(series.labels, series, window);
    }
    return results;
  }
}

function vector(samples: Sample[]): Value {
  return { type: 'vector', samples };
}

/** What absent() can say about the missing series: the labels that its selector pins to one value. */
function absentLabels(expr: Expr): Labels {
  const inner = unwrap(expr);
  const selector = inner.kind === 'matrix' ? inner.selector : inner;
  if (selector.kind !== 'vector') return Labels.empty;
  const pinned = new Map<string, string>();
  const seen = new Set<string>();
  for (const { name, operator, value } of selector.matchers) {
    if (name === '__name__') continue;
    if (operator === '=' && !seen.has(name)) {
      pinned.set(name, value);
      seen.add(name);
    } else pinned.delete(name);
  }
  return Labels.of(pinned);
}
