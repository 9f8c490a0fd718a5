import { Labels, METRIC_NAME } from '../labels.js';
import { formatPlain } from '../format.js';
import type { Aggregate, AggregateOperator } from './ast.js';
import { EvaluationError } from './errors.js';
import { CompensatedSum, mean, quantile } from './maths.js';
import type { Sample } from './value.js';

interface Group {
  labels: Labels;
  samples: Sample[];
}

/** Biggest first, NaN last; equal ones keep their order. */
const descending = (a: Sample, b: Sample): number =>
  Number.isNaN(a.v) ? (Number.isNaN(b.v) ? 0 : 1) : Number.isNaN(b.v) ? -1 : a.v === b.v ? 0 : b.v - a.v;
const ascending = (a: Sample, b: Sample): number =>
  Number.isNaN(a.v) || Number.isNaN(b.v) ? descending(a, b) : -descending(a, b);

/** `sort` and `sort_desc`. */
export function sortSamples(samples: Sample[], order: 'asc' | 'desc'): Sample[] {
  return samples.toSorted(order === 'asc' ? ascending : descending);
}

/** An aggregation. One per expression: it remembers each series' group between the evaluations. */
export class Aggregation {
  readonly #expr: Aggregate;
  readonly #names: ReadonlySet<string>;
  readonly #groupOf = new WeakMap<Labels, Labels>();

  constructor(expr: Aggregate) {
    this.#expr = expr;
    this.#names = new Set(expr.without ? [...expr.labels, METRIC_NAME] : expr.labels);
  }

  /** @throws EvaluationError when the parameter is not usable, in Prometheus's words. */
  evaluate(samples: Sample[], parameter: number | string): Sample[] {
    const { operator } = this.#expr;
    if (operator === 'topk' || operator === 'bottomk') return this.#ranked(samples, Number(parameter));
    if (operator === 'count_values') return this.#countValues(samples, String(parameter));
    return this.#groups(samples).map((group) => ({
      labels: group.labels,
      v: combine(
        operator,
        group.samples.map((sample) => sample.v),
        Number(parameter),
      ),
    }));
  }

  #groupLabels(labels: Labels): Labels {
    if (this.#names.size === 0) return Labels.empty;
    let group = this.#groupOf.get(labels);
    if (group === undefined) {
      group = this.#expr.without ? labels.withoutName().drop(this.#names) : labels.keep(this.#names);
      this.#groupOf.set(labels, group);
    }
    return group;
  }

  #groups(samples: Sample[]): Group[] {
    const groups = new Map<string, Group>();
    for (const sample of samples) {
      const labels = this.#groupLabels(sample.labels);
      const group = groups.get(labels.key);
      if (group === undefined) groups.set(labels.key, { labels, samples: [sample] });
      else group.samples.push(sample);
    }
    return [...groups.values()];
  }

  #ranked(samples: Sample[], parameter: number): Sample[] {
    if (Number.isNaN(parameter)) throw new EvaluationError('Parameter value is NaN');
    if (parameter >= 2 ** 63) throw new EvaluationError(`Scalar value ${formatPlain(parameter)} overflows int64`);
    if (parameter <= -(2 ** 63)) throw new EvaluationError(`Scalar value ${formatPlain(parameter)} underflows int64`);
    const count = Math.trunc(parameter);
    if (count < 1) return [];
    const order = this.#expr.operator === 'topk' ? descending : ascending;
    return this.#groups(samples).flatMap((group) => group.samples.toSorted(order).slice(0, count));
  }

  #countValues(samples: Sample[], label: string): Sample[] {
    if (label === '') throw new EvaluationError(`invalid label name ${label}`);
    const counts = new Map<string, Sample>();
    for (const sample of samples) {
      const labels = this.#groupLabels(sample.labels).with([[label, formatPlain(sample.v)]]);
      const counted = counts.get(labels.key);
      if (counted === undefined) counts.set(labels.key, { labels, v: 1 });
      else counted.v++;
    }
    return [...counts.values()];
  }
}

function combine(operator: AggregateOperator, values: readonly number[], parameter: number): number {
  switch (operator) {
    case 'sum': {
      const sum = new CompensatedSum(values[0]);
      for (let i = 1; i < values.length; i++) sum.add(values[i]!);
      return sum.total;
    }
    case 'avg':
      return mean(values);
    case 'count':
      return values.length;
    case 'group':
      return 1;
    case 'quantile':
      return quantile(parameter, values);
    case 'stddev':
      return Math.sqrt(runningVariance(values));
    case 'stdvar':
      return runningVariance(values);
    default: {
      const better = operator === 'min' ? (a: number, b: number) => a < b : (a: number, b: number) => a > b;
      return values.reduce((best, value) => (better(value, best) || Number.isNaN(best) ? value : best));
    }
  }
}

/** Welford's running variance; not finite as soon as one value is not. */
function runningVariance(values: readonly number[]): number {
  let average = values[0]!;
  let squares = Number.isFinite(average) ? 0 : Number.NaN;
  for (let i = 1; i < values.length; i++) {
    const delta = values[i]! - average;
    average += delta / (i + 1);
    squares += delta * (values[i]! - average);
  }
  return squares / values.length;
}
