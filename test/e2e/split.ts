import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { SlotName } from '../../src/api/index.js';
import { EVIDENCE } from '../../src/sandbox/evidence.js';
import type { CallRecord } from '../../src/sandbox/traffic/callers.js';
import type { Split } from './recorder.js';

/** A correct split is found wrong in one suite of a thousand: the intervals of all its windows together have this confidence. */
const CONFIDENCE = 0.999;
/** Windows that the whole suite looks at, at most. */
const WINDOWS = 200;
/** A window with fewer requests says nothing. */
const LEAST_REQUESTS = 30;
/** What the mesh takes to obey a version, beyond its own delay, on a busy machine; milliseconds. */
const PUSH_MS = 1_000;
/** A version is in force a moment before its watch event is handled here; milliseconds. */
const GUARD_MS = 100;

/** A request as it is kept: with its group of callers, and which of its users it was, where there are several. */
export type KeptRequest = CallRecord & { group?: string; user?: number };

/** All the requests so far, in the order of their answers. */
export async function readRequests(dir: string): Promise<KeptRequest[]> {
  const text = await readFile(join(dir, EVIDENCE.requests), 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as KeptRequest);
}

/** Requests that callers sent between two changes of the weights, and how many of them the slot answered. */
export interface Window {
  weight: number;
  sent: number;
  answered: number;
}

/** One window per version: from when proxies obey it until the next one is written. `until` ends the last. */
export function windowsOf(requests: CallRecord[], splits: Split[], slot: SlotName, until: number, pushDelayMs = 0): Window[] {
  return splits.map((split, index) => {
    const from = split.at + pushDelayMs + PUSH_MS;
    const to = Math.min(until, splits[index + 1]?.at ?? until) - GUARD_MS;
    const within = requests.filter(({ time, slot: by }) => by !== undefined && Date.parse(time) >= from && Date.parse(time) < to);
    return { weight: split[slot], sent: within.length, answered: within.filter((request) => request.slot === slot).length };
  });
}

/** Asserts that each window's share is one that its weight explains. Returns how many windows were long enough to be judged. */
export function assertWindows(windows: Window[], confidence = 1 - (1 - CONFIDENCE) / WINDOWS): number {
  const judged = windows.filter(({ sent }) => sent >= LEAST_REQUESTS);
  for (const { weight, sent, answered } of judged) {
    const [low, high] = binomialInterval(sent, weight / 100, confidence);
    const named = `requests of ${sent} that a slot with weight ${weight} % answered`;
    expect(answered, named).toBeGreaterThanOrEqual(low);
    expect(answered, named).toBeLessThanOrEqual(high);
  }
  return judged.length;
}

/** The windows of the same weight together: narrower than any one of them. */
export function pooled(windows: Window[]): Window[] {
  const pools = new Map<number, Window>();
  for (const { weight, sent, answered } of windows) {
    const pool = pools.get(weight) ?? { weight, sent: 0, answered: 0 };
    pools.set(weight, { weight, sent: pool.sent + sent, answered: pool.answered + answered });
  }
  return [...pools.values()];
}

/** The smallest and largest count of successes of `n` trials that are not in a tail of the binomial distribution; both tails are equal. */
export function binomialInterval(n: number, p: number, confidence: number): [low: number, high: number] {
  if (p <= 0) return [0, 0];
  if (p >= 1) return [n, n];
  const tail = (1 - confidence) / 2;
  const mass = masses(n, p);
  let low = 0;
  for (let below = mass[0] ?? 0; below <= tail; below += mass[low] ?? 1) low += 1;
  let high = n;
  for (let above = mass[n] ?? 0; above <= tail; above += mass[high] ?? 1) high -= 1;
  return [low, high];
}

function masses(n: number, p: number): number[] {
  const result: number[] = [];
  let logarithm = n * Math.log(1 - p);
  for (let k = 0; k <= n; k += 1) {
    result.push(Math.exp(logarithm));
    logarithm += Math.log((n - k) / (k + 1)) + Math.log(p / (1 - p));
  }
  return result;
}
