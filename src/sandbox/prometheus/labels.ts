/** Reserved label that holds the metric's name. */
export const METRIC_NAME = '__name__';

const METADATA_LABELS = new Set([METRIC_NAME, '__type__', '__unit__']);

export type LabelPair = readonly [name: string, value: string];

const byName = (a: LabelPair, b: LabelPair): number => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);

/**
 * An immutable label set, sorted by name, without empty values (in Prometheus an empty value means "not there").
 * `key` identifies the set: two sets are equal exactly when their keys are.
 */
export class Labels {
  static readonly empty = new Labels([]);
  readonly pairs: readonly LabelPair[];
  readonly key: string;
  #withoutName: Labels | undefined;

  private constructor(sorted: readonly LabelPair[]) {
    this.pairs = sorted;
    let key = '';
    for (const [name, value] of sorted) key += `${name}\u0001${value}\u0002`;
    this.key = key;
  }

  /** Builds a set from pairs in any order; a later pair of the same name wins, an empty value removes it. */
  static of(pairs: Iterable<LabelPair>): Labels {
    const merged = new Map<string, string>();
    for (const [name, value] of pairs) merged.set(name, value);
    const sorted = [...merged].filter(([, value]) => value !== '').toSorted(byName);
    return sorted.length === 0 && Labels.empty !== undefined ? Labels.empty : new Labels(sorted);
  }

  /** Builds a set from a plain object. */
  static from(record: Readonly<Record<string, string>>): Labels {
    return Labels.of(Object.entries(record));
  }

  /** The label's value, or '' when it is not there. */
  get(name: string): string {
    for (const pair of this.pairs) if (pair[0] === name) return pair[1];
    return '';
  }

  /** The set without the metric's name, as every calculation returns it. Kept, since series are long-lived. */
  withoutName(): Labels {
    this.#withoutName ??= this.pairs.some(([name]) => METADATA_LABELS.has(name))
      ? new Labels(this.pairs.filter(([name]) => !METADATA_LABELS.has(name)))
      : this;
    return this.#withoutName;
  }

  keep(names: ReadonlySet<string>): Labels {
    return new Labels(this.pairs.filter(([name]) => names.has(name)));
  }

  drop(names: ReadonlySet<string>): Labels {
    return new Labels(this.pairs.filter(([name]) => !names.has(name)));
  }

  with(changes: Iterable<LabelPair>): Labels {
    return Labels.of([...this.pairs, ...changes]);
  }

  toObject(): Record<string, string> {
    return Object.fromEntries(this.pairs);
  }

  /** As Prometheus prints a label set in its messages: `{a="b", c="d"}`. */
  toString(): string {
    return `{${this.pairs.map(([name, value]) => `${/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name)}=${JSON.stringify(value)}`).join(', ')}}`;
  }
}

/** Orders label sets as Prometheus orders the series of a range query: pair by pair, shorter first. */
export function compareLabels(a: Labels, b: Labels): number {
  const shared = Math.min(a.pairs.length, b.pairs.length);
  for (let i = 0; i < shared; i++) {
    const [nameA, valueA] = a.pairs[i]!;
    const [nameB, valueB] = b.pairs[i]!;
    if (nameA !== nameB) return nameA < nameB ? -1 : 1;
    if (valueA !== valueB) return valueA < valueB ? -1 : 1;
  }
  return a.pairs.length - b.pairs.length;
}
