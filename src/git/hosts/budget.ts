import type { WriteLimits } from './types.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Writes to one host within its limits: at most so many in any minute and in any hour. */
export class Budget {
  #times: number[] = [];
  #closedUntil = 0;

  constructor(private readonly limits: WriteLimits) {}

  /** Unix milliseconds at which a write may be made, now or later. */
  freeAt(now: number): number {
    this.#times = this.#times.filter((time) => time > now - HOUR_MS);
    const inMinute = this.#times.filter((time) => time > now - MINUTE_MS);
    const minute = inMinute.length < this.limits.perMinute ? now : (inMinute[inMinute.length - this.limits.perMinute] ?? now) + MINUTE_MS;
    const hour = this.#times.length < this.limits.perHour ? now : (this.#times[this.#times.length - this.limits.perHour] ?? now) + HOUR_MS;
    return Math.max(now, minute, hour, this.#closedUntil);
  }

  spend(now: number): void {
    this.#times.push(now);
  }

  /** The host asked to wait. */
  close(until: number): void {
    this.#closedUntil = Math.max(this.#closedUntil, until);
  }

  /** True while so much is left that news which may be lost can be told. */
  plenty(now: number): boolean {
    const { perMinute, perHour } = this.limits;
    const inMinute = this.#times.filter((time) => time > now - MINUTE_MS).length;
    return this.freeAt(now) <= now && inMinute < perMinute / 2 && this.#times.length < perHour / 2;
  }
}
