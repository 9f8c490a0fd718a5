import type { LabelPair, Labels } from '../labels.js';
import { COMPARISONS, type Binary, type VectorMatching } from './ast.js';
import { EvaluationError } from './errors.js';
import { applyOperator } from './operators.js';
import type { Sample } from './value.js';

const DEFAULT_MATCHING: VectorMatching = { on: false, labels: [], group: undefined, include: [] };

/** A binary operation between two vectors. One per expression: it remembers label sets between the evaluations. */
export class VectorOperation {
  readonly #expr: Binary;
  readonly #matching: VectorMatching;
  readonly #names: ReadonlySet<string>;
  readonly #signatures = new WeakMap<Labels, Labels>();
  readonly #results = new WeakMap<Labels, Labels>();

  constructor(expr: Binary) {
    this.#expr = expr;
    this.#matching = expr.matching ?? DEFAULT_MATCHING;
    this.#names = new Set(this.#matching.labels);
  }

  evaluate(left: Sample[], right: Sample[]): Sample[] {
    switch (this.#expr.operator) {
      case 'and':
        return this.#filter(left, right, true);
      case 'unless':
        return this.#filter(left, right, false);
      case 'or': {
        const present = new Set(left.map((sample) => this.#signature(sample.labels).key));
        return requireUnique([...left, ...right.filter((sample) => !present.has(this.#signature(sample.labels).key))]);
      }
      default:
        if (left.length === 0 || right.length === 0) return [];
        // One to one, every result has the labels of its own signature, so only groups can give the same set twice.
        return this.#matching.group === undefined ? this.#join(left, right) : requireUnique(this.#join(left, right));
    }
  }

  /** The labels that two series must share. */
  #signature(labels: Labels): Labels {
    if (!this.#matching.on && this.#names.size === 0) return labels.withoutName();
    let signature = this.#signatures.get(labels);
    if (signature === undefined) {
      signature = this.#matching.on ? labels.keep(this.#names) : labels.withoutName().drop(this.#names);
      this.#signatures.set(labels, signature);
    }
    return signature;
  }

  #filter(left: Sample[], right: Sample[], wanted: boolean): Sample[] {
    const present = new Set(right.map((sample) => this.#signature(sample.labels).key));
    return left.filter((sample) => present.has(this.#signature(sample.labels).key) === wanted);
  }

  #join(left: Sample[], right: Sample[]): Sample[] {
    const swapped = this.#matching.group === 'right';
    const [many, one] = swapped ? [right, left] : [left, right];
    const ones = this.#indexOne(one, swapped ? 'left' : 'right');
    const { operator, bool } = this.#expr;
    const matched = new Set<string>();
    const results: Sample[] = [];
    for (const sample of many) {
      const signature = this.#signature(sample.labels).key;
      const partner = ones.get(signature);
      if (partner === undefined) continue;
      const { value, keep } = swapped
        ? applyOperator(operator, partner.v, sample.v)
        : applyOperator(operator, sample.v, partner.v);
      const labels = this.#resultLabels(sample.labels, partner.labels);
      this.#claim(matched, signature, labels);
      if (bool) results.push({ labels, v: keep ? 1 : 0 });
      else if (keep) results.push({ labels, v: value });
    }
    return results;
  }

  #indexOne(one: Sample[], side: 'left' | 'right'): Map<string, Sample> {
    const index = new Map<string, Sample>();
    for (const sample of one) {
      const signature = this.#signature(sample.labels);
      const other = index.get(signature.key);
      if (other !== undefined) {
        const group = this.#matching.on ? signature : sample.labels.withoutName().drop(this.#names);
        const pair = [other.labels.toString(), sample.labels.toString()].toSorted().join(', ');
        throw new EvaluationError(
          `found duplicate series for the match group ${group.toString()} on the ${side} hand-side of the operation: [${pair}];many-to-many matching not allowed: matching labels must be unique on one side`,
        );
      }
      index.set(signature.key, sample);
    }
    return index;
  }

  #claim(matched: Set<string>, signature: string, labels: Labels): void {
    const grouped = this.#matching.group !== undefined;
    const id = grouped ? `${signature}\u0003${labels.key}` : signature;
    if (matched.has(id)) {
      throw new EvaluationError(
        grouped
          ? 'multiple matches for labels: grouping labels must ensure unique matches'
          : 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)',
      );
    }
    matched.add(id);
  }

  #resultLabels(many: Labels, one: Labels): Labels {
    const { group, include } = this.#matching;
    const cacheable = include.length === 0;
    const known = cacheable ? this.#results.get(many) : undefined;
    if (known !== undefined) return known;
    const dropName = this.#expr.bool || !COMPARISONS.has(this.#expr.operator);
    let labels = dropName ? many.withoutName() : many;
    if (group === undefined) {
      if (this.#matching.on) labels = labels.keep(this.#names);
      else if (this.#names.size > 0) labels = labels.drop(this.#names);
    }
    if (include.length > 0) labels = labels.with(include.map((name): LabelPair => [name, one.get(name)]));
    if (cacheable) this.#results.set(many, labels);
    return labels;
  }
}

/**
 * Refuses a result in which two series have the same labels.
 * @throws EvaluationError as Prometheus words it.
 */
export function requireUnique(samples: Sample[]): Sample[] {
  if (samples.length < 2) return samples;
  const seen = new Set<string>();
  for (const { labels } of samples) seen.add(labels.key);
  if (seen.size !== samples.length) throw new EvaluationError('vector cannot contain metrics with the same labelset');
  return samples;
}
