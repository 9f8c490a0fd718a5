/** What the work on a key may ask of the queue. */
export interface Turn {
  /** Waits for somebody else's answer without keeping other keys from their turn. Undefined when the key was added again, or the queue stopped, before it came. */
  outside<T>(answer: Promise<T>): Promise<T | undefined>;
}

/** Calls `run` once, that many milliseconds from now; returns what calls it off. */
export type After = (ms: number, run: () => void) => () => void;

const systemTimers: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

export interface QueueOptions {
  concurrency: number;
  /** Unix milliseconds; default is the system's clock. */
  now?: () => number;
  /** Default is `setTimeout`. */
  after?: After;
  /** Work that was asked for while it was going on is repeated this long after it ended, in milliseconds: what it did itself is one of the reasons. Default 0. */
  repeatAfterMs?: number;
  random?: () => number;
  onError: (key: string, error: unknown) => void;
}

/** Runs work per key: one at a time per key, several keys at once, a repeat for what arrives meanwhile, timers for later. */
export class WorkQueue {
  readonly #ready = new Set<string>();
  /** Keys under work, and what to call when one is added again. */
  readonly #running = new Map<string, () => void>();
  /** How many of these wait for somebody else. */
  #outside = 0;
  readonly #timers = new Map<string, { at: number; cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  #stopped = false;

  constructor(
    private readonly work: (key: string, turn: Turn) => Promise<void>,
    private readonly options: QueueOptions,
  ) {}

  get #now(): number {
    return (this.options.now ?? Date.now)();
  }
  get length(): number {
    return this.#ready.size;
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#ready.add(key);
    this.#running.get(key)?.();
    this.#pump();
  }

  /** Work on the key at an instant (unix milliseconds), or earlier if it is already due earlier. */
  addAt(key: string, at: number): void {
    if (this.#stopped) return;
    const known = this.#timers.get(key);
    if (known && known.at <= at) return;
    known?.cancel();
    // setTimeout fires at once for delays beyond 2^31 ms; waking once a day is harmless.
    const delay = Math.min(Math.max(0, at - this.#now), 86_400_000);
    const cancel = (this.options.after ?? systemTimers)(delay, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, { at, cancel });
  }

  forget(key: string): void {
    this.#timers.get(key)?.cancel();
    this.#timers.delete(key);
    this.#failures.delete(key);
    this.#ready.delete(key);
  }

  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#ready.clear();
    for (const interrupt of this.#running.values()) interrupt();
  }

  #pump(): void {
    for (const key of this.#ready) {
      if (this.#running.size - this.#outside >= this.options.concurrency) return;
      if (this.#running.has(key)) continue;
      this.#ready.delete(key);
      const changed = new Promise<undefined>((resolve) => this.#running.set(key, () => resolve(undefined)));
      void this.#run(key, { outside: (answer) => this.#waitOutside(Promise.race([answer, changed])) });
    }
  }

  async #waitOutside<T>(answer: Promise<T>): Promise<T> {
    this.#outside += 1;
    this.#pump();
    try {
      return await answer;
    } finally {
      this.#outside -= 1;
    }
  }

  async #run(key: string, turn: Turn): Promise<void> {
    try {
      await this.work(key, turn);
      this.#failures.delete(key);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.options.onError(key, error);
      // 0.1 s doubling to 10 s, with jitter: a deadline that has passed must not wait long for writes to recover.
      const backoff = Math.min(10_000, 100 * 2 ** Math.min(failures - 1, 10)) * (0.75 + 0.5 * (this.options.random ?? Math.random)());
      this.addAt(key, this.#now + backoff);
    } finally {
      this.#running.delete(key);
      const { repeatAfterMs = 0 } = this.options;
      if (repeatAfterMs > 0 && this.#ready.delete(key)) this.addAt(key, this.#now + repeatAfterMs);
      this.#pump();
    }
  }
}
