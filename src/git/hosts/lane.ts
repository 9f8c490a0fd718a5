import type { Clock } from '../schedule.js';
import { Budget } from './budget.js';
import { HostError, type WriteLimits } from './types.js';

const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 5 * 60_000;
/** What a host does not take for this long it does not get any more, in milliseconds. */
const GIVE_UP_MS = 6 * 3_600_000;
const MIN_PAUSE_MS = 10;

/** Something to tell. */
export interface Job {
  /** What is told later under the same key takes its place. */
  key: string;
  /** What is told; putting the same again changes nothing. */
  text: string;
  /** Lower goes first; `optional` is dropped while the budget is not half full. */
  rank: number;
  optional: boolean;
  send: () => Promise<void>;
  onDone: () => void;
  onFailure: (message: string, final: boolean) => void;
}

interface Entry {
  job: Job;
  since: number;
  tries: number;
  notBefore: number;
}

/** The way to one host: one write after the other, within its budget, and none while it asks to wait. */
export class Lane {
  readonly #entries = new Map<string, Entry>();
  readonly #budget: Budget;
  #cancelTimer: () => void = () => {};
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(
    limits: WriteLimits,
    private readonly clock: Clock,
  ) {
    this.#budget = new Budget(limits);
  }

  put(job: Job): void {
    const before = this.#entries.get(job.key);
    if (before?.job.text === job.text) return;
    this.#entries.set(job.key, { job, since: before?.since ?? this.clock.now(), tries: 0, notBefore: before?.notBefore ?? 0 });
    this.#pump();
  }

  drop(key: string): void {
    this.#entries.delete(key);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.#running;
  }

  #pump(): void {
    if (this.#stopped || this.#running) return;
    this.#cancelTimer();
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
      if (this.#stopped || this.#entries.size === 0) return;
      const due = Math.min(...[...this.#entries.values()].map(({ notBefore }) => notBefore));
      const at = Math.max(due, this.#budget.freeAt(this.clock.now()));
      this.#cancelTimer = this.clock.after(Math.max(MIN_PAUSE_MS, at - this.clock.now()), () => this.#pump());
    });
  }

  async #work(): Promise<void> {
    for (let entry = this.#next(); entry && !this.#stopped; entry = this.#next()) {
      this.#budget.spend(this.clock.now());
      try {
        await entry.job.send();
        this.#settle(entry);
        entry.job.onDone();
      } catch (error) {
        this.#failed(entry, error);
      }
    }
  }

  /** What may be written now. */
  #next(): Entry | undefined {
    const now = this.clock.now();
    const plenty = this.#budget.plenty(now);
    for (const [key, { job }] of this.#entries) if (job.optional && !plenty) this.#entries.delete(key);
    if (this.#budget.freeAt(now) > now) return undefined;
    return [...this.#entries.values()].filter(({ notBefore }) => notBefore <= now).toSorted((a, b) => a.job.rank - b.job.rank || a.since - b.since)[0];
  }

  /** Unless something newer took its place meanwhile. */
  #settle(entry: Entry): void {
    if (this.#entries.get(entry.job.key) === entry) this.#entries.delete(entry.job.key);
  }

  #failed(entry: Entry, error: unknown): void {
    const now = this.clock.now();
    const asked = error instanceof HostError ? error.retryAfterMs : undefined;
    const final = (error instanceof HostError && !error.retryable) || now - entry.since > GIVE_UP_MS;
    if (asked !== undefined) this.#budget.close(now + asked);
    if (final) this.#settle(entry);
    entry.tries += 1;
    entry.notBefore = now + (asked ?? Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (entry.tries - 1)));
    entry.job.onFailure(error instanceof Error ? error.message : String(error), final);
  }
}
