import type { Clock } from './clock.js';
import { systemClock } from './clock.js';

export interface WorkQueueOptions {
  /** Called with one key at a time; a rejection puts the key back with exponential back-off. */
  work: (key: string) => Promise<void>;
  onError?: (key: string, error: unknown) => void;
  clock?: Clock;
  /** How many keys are worked on at once (never the same key twice). */
  concurrency?: number;
  /** First and longest delay of the back-off, in milliseconds. */
  backoff?: { first: number; longest: number };
}

/**
 * A set of keys that need attention. A key added many times before its turn is worked on once; a key added during its
 * turn gets another turn.
 */
export class WorkQueue {
  private readonly waiting = new Set<string>();
  private readonly working = new Set<string>();
  private readonly failures = new Map<string, number>();
  private readonly timers = new Map<string, { due: number; cancel: () => void }>();
  private readonly clock: Clock;
  private stopped = false;

  constructor(private readonly options: WorkQueueOptions) {
    this.clock = options.clock ?? systemClock;
  }

  add(key: string): void {
    if (this.stopped) return;
    this.waiting.add(key);
    this.pump();
  }

  /** Adds `key` in `ms` milliseconds; of several pending delays for one key the earliest holds. */
  addAfter(key: string, ms: number): void {
    if (this.stopped) return;
    const due = this.clock.now() + ms;
    const pending = this.timers.get(key);
    if (pending && pending.due <= due) return;
    pending?.cancel();
    const cancel = this.clock.after(ms, () => {
      this.timers.delete(key);
      this.add(key);
    });
    this.timers.set(key, { due, cancel });
  }

  stop(): void {
    this.stopped = true;
    for (const { cancel } of this.timers.values()) cancel();
    this.timers.clear();
    this.waiting.clear();
  }

  private pump(): void {
    for (const key of this.waiting) {
      if (this.working.size >= (this.options.concurrency ?? 4)) return;
      if (this.working.has(key)) continue;
      this.waiting.delete(key);
      this.working.add(key);
      void this.run(key);
    }
  }

  private async run(key: string): Promise<void> {
    try {
      await this.options.work(key);
      this.failures.delete(key);
    } catch (error) {
      this.retryLater(key, error);
    } finally {
      this.working.delete(key);
      if (!this.stopped) this.pump();
    }
  }

  private retryLater(key: string, error: unknown): void {
    if (this.stopped) return;
    const { first, longest } = this.options.backoff ?? { first: 20, longest: 10_000 };
    const failed = this.failures.get(key) ?? 0;
    this.failures.set(key, failed + 1);
    this.options.onError?.(key, error);
    this.addAfter(key, Math.min(longest, first * 2 ** Math.min(failed, 20)));
  }
}

/** `namespace/name`, the key of a namespaced object in a queue. */
export const keyOf = (object: { namespace?: string; name: string }): string => `${object.namespace ?? ''}/${object.name}`;

export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
