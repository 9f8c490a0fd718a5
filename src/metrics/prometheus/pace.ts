import type { Failed } from './client.js';

export interface PaceOptions {
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
  /** Longest time for one question, milliseconds. */
  timeoutMs: number;
}

/** After the first failure, in milliseconds; doubled with each that follows. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** An answer that takes longer than this share of the timeout is slow. */
const SLOW_SHARE = 1 / 4;
/** After a slow answer the server is left alone for this many times as long as it took. */
const REST_FACTOR = 2;
/** Each answer may be megabytes, and many times that while it is read. */
const PARALLEL = 2;

/**
 * When one server may be asked. Whoever wants something of it while it is down gets the failure that is known; a server that is slow
 * has pauses in which more questions come together. So trouble makes fewer questions, never more.
 */
export class Pace {
  #failures = 0;
  #failure: Failed | undefined;
  #askAgainAt = 0;
  #restsUntil = 0;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly options: PaceOptions) {}

  /** The failure that stands for an answer until the server is asked again. */
  get refusal(): Failed | undefined {
    return this.options.now() < this.#askAgainAt ? this.#failure : undefined;
  }

  /** Resolves when the server has rested. */
  async rested(): Promise<void> {
    for (let ms; (ms = this.#restsUntil - this.options.now()) > 0; ) await this.options.sleep(ms);
  }

  /**
   * Ask, as soon as it may be; without asking, the failure that stands for an answer.
   * @param harmless failures that tell nothing about the server
   */
  async ask<T extends { kind: string }>(question: () => Promise<T | Failed>, harmless: (failure: Failed) => boolean): Promise<T | Failed> {
    await this.#enter();
    try {
      await this.rested();
      const { refusal } = this;
      if (refusal) return refusal;
      const startedAt = this.options.now();
      const answer = await question();
      const failure = failureIn(answer);
      if (failure && !harmless(failure)) this.#failed(failure);
      else this.#answered(this.options.now() - startedAt);
      return answer;
    } finally {
      this.#leave();
    }
  }

  #answered(tookMs: number): void {
    this.#failures = 0;
    this.#failure = undefined;
    if (tookMs > this.options.timeoutMs * SLOW_SHARE) this.#restsUntil = this.options.now() + tookMs * REST_FACTOR;
  }

  #failed(failure: Failed): void {
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    // Whoever gets it instead of an answer did not ask for too much.
    const { tooMuch: _tooMuch, ...known } = failure;
    this.#failure = known;
    this.#askAgainAt = this.options.now() + pause;
  }

  /** One at a time while the last question failed: a server that comes back is not greeted by a crowd. */
  async #enter(): Promise<void> {
    while (this.#running >= (this.#failures > 0 ? 1 : PARALLEL)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
  }

  #leave(): void {
    this.#running -= 1;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

const failureIn = (answer: { kind: string }): Failed | undefined => (answer.kind === 'failed' ? (answer as Failed) : undefined);
