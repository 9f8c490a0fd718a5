import type { CanaryStatus } from '../api/index.js';
import type { CallRecord } from './traffic/callers.js';

export interface Totals {
  total: number;
  failed: number;
  /** Failed and not answered by a version under test: what a release tool must never cause. */
  failedOnStable: number;
}

/** Counts what callers saw, and on whose account it goes. */
export class Tally {
  readonly totals: Totals = { total: 0, failed: 0, failedOnStable: 0 };
  /** Per revision, since the last `take`. */
  #recent = new Map<string, { ok: number; failed: number }>();
  readonly #stable = new Set<string>();

  constructor(private readonly status: () => CanaryStatus | undefined) {}

  /** Count one answer; returns it with what it was judged as. */
  count(record: CallRecord): CallRecord & { failed: boolean; onCanary: boolean } {
    const status = this.status();
    if (status?.stable) this.#stable.add(status.stable.revision);
    const failed = record.status === 0 || record.status >= 500;
    // A revision that never was stable is under test; an answer of nobody (a proxy's own 503) is on our account.
    const onCanary = record.revision !== undefined && record.revision !== '' && !this.#stable.has(record.revision);
    this.totals.total += 1;
    if (failed) this.totals.failed += 1;
    if (failed && !onCanary) this.totals.failedOnStable += 1;
    const key = record.revision ?? '';
    const recent = this.#recent.get(key) ?? { ok: 0, failed: 0 };
    recent[failed ? 'failed' : 'ok'] += 1;
    this.#recent.set(key, recent);
    return { ...record, failed, onCanary };
  }

  /** What was seen since the last call. */
  take(): Map<string, { ok: number; failed: number }> {
    const recent = this.#recent;
    this.#recent = new Map();
    return recent;
  }
}
