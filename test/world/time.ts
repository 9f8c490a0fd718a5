/** 2030-01-01T00:00:00Z: every schedule starts here. */
export const T0 = Date.parse('2030-01-01T00:00:00Z');

interface Entry {
  at: number;
  order: number;
  run: (() => void) | undefined;
}

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** The one clock of a world: what is to happen, in order of time, then of being asked for. */
export class Timeline {
  now = T0;
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Call `run` at an instant (unix milliseconds), now at the earliest; returns what calls it off. */
  at(at: number, run: () => void): () => void {
    const entry: Entry = { at: Math.max(at, this.now), order: (this.#order += 1), run };
    this.#push(entry);
    return () => {
      entry.run = undefined;
    };
  }
  after(ms: number, run: () => void): () => void {
    return this.at(this.now + ms, run);
  }

  /** Do the next thing that is due until `end`; false when there is none. */
  step(end: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.at > end) return false;
      this.#pop();
      if (!next.run) continue;
      this.now = next.at;
      next.run();
      return true;
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (!above || !before(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (!left) break;
      let smallest = left;
      if (right && before(right, left)) {
        child += 1;
        smallest = right;
      }
      if (!before(smallest, last)) break;
      heap[index] = smallest;
      index = child;
    }
    heap[index] = last;
  }
}

/** A stream of chance that a seed and a name determine: asking one stream more often moves no other. */
export class Chance {
  #state: number;

  constructor(seed: number, name: string) {
    this.#state = seed >>> 0;
    for (const letter of name) this.#state = Math.imul(this.#state ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  }

  /** In [0, 1). */
  readonly number = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  /** A whole number in [min, max]. */
  between(min: number, max: number): number {
    return min + Math.floor(this.number() * (max - min + 1));
  }
}
