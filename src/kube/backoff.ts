const FIRST_MS = 200;
const LAST_MS = 30_000;

/** Exponential waits from 0.2 s to 30 s, each spread over its upper half so that many clients do not return together. */
export class Backoff {
  #next = FIRST_MS;

  constructor(private readonly random: () => number = Math.random) {}

  reset(): void {
    this.#next = FIRST_MS;
  }

  /** The next wait, in ms. */
  next(): number {
    const wait = this.#next * (0.5 + this.random() / 2);
    this.#next = Math.min(LAST_MS, this.#next * 2);
    return wait;
  }
}

/** Waits that many ms, or until the signal aborts; never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
