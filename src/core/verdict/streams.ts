import type { VerdictStream } from '../../api/index.js';
import type { WindowCounts, Windows } from '../evidence.js';
import { iso, ms } from '../time.js';
import { addEvidence, learnBaseline, noEvidence, type Side } from './e-process.js';
import type { VerdictOptions } from './options.js';

export type Counted = Extract<Windows, { kind: 'Windows' }>;

/** Shares of the stable version's requests that are slower than the bounds chosen where none is given: its median, its p90 and its p99. */
const BANDS = [0.5, 0.1, 0.01];
/** Requests of the stable version from which bands may be chosen. */
const LEAST_FOR_BANDS = 100;

/** @param until unix milliseconds: nothing before counts */
export const newStream = (metric: string, bound: number | undefined, until: number): VerdictStream => ({
  metric,
  ...(bound === undefined ? {} : { bound }),
  until: iso(until),
  ...noEvidence(),
});

/** What was counted stays; what it says of a regression is said again from the next window on. */
export function withoutVerdict(stream: VerdictStream): VerdictStream {
  const { ratio, difference } = noEvidence();
  return { ...stream, ratio, difference };
}

/** The bucket by which "slower than `bound`" can be told: the first that is not below it, else the last. */
export const bucketFor = (bounds: readonly number[], bound: number): number | undefined => bounds.find((one) => one >= bound) ?? bounds.at(-1);

/**
 * Bounds that cut the stable version's own latencies at its median, its p90 and its p99, as far as buckets allow. Undefined while too
 * few requests were seen to tell.
 */
export function bandsOf({ bounds, windows }: Counted): number[] | undefined {
  const total = windows.reduce((sum, { stable }) => sum + stable.total, 0);
  if (total < LEAST_FOR_BANDS) return undefined;
  const slower = bounds.map((_, index) => windows.reduce((sum, { stable }) => sum + (stable.bad[index] ?? 0), 0) / total);
  const bands = BANDS.flatMap((share) => bounds.find((_, index) => (slower[index] ?? 1) <= share) ?? []);
  return [...new Set(bands)];
}

const sideAt = ({ total, bad }: WindowCounts['stable'], index: number): Side => ({ total, bad: Math.min(total, bad[index] ?? 0) });

/** The place of the stream's bound among those of an answer; a metric without bounds has one. */
const placeOf = (stream: VerdictStream, { bounds }: Counted): number => (stream.bound === undefined ? 0 : bounds.indexOf(stream.bound));

/** Windows of which the stream has not seen any part yet: the grid may have been another one when it saw the last. */
const unseen = (stream: VerdictStream, { windows, gridMs }: Counted): WindowCounts[] => windows.filter(({ to }) => to - gridMs >= ms(stream.until));

/** What the stable version did before the release, which began at `startedAt`; in place. */
export function foldBaseline(stream: VerdictStream, counted: Counted, startedAt: number): void {
  const place = placeOf(stream, counted);
  for (const window of unseen(stream, counted)) if (place >= 0) learnBaseline(stream, sideAt(window.stable, place));
  if (startedAt > ms(stream.until)) stream.until = iso(startedAt);
}

/**
 * Both versions, in windows that began at `from` or later; in place. Of earlier ones, in which the weight may have been another, only
 * the stable version's part is used.
 */
export function foldRun(stream: VerdictStream, counted: Counted, from: number, options: VerdictOptions): void {
  const place = placeOf(stream, counted);
  for (const window of unseen(stream, counted)) {
    const [canary, stable] = [sideAt(window.canary, Math.max(0, place)), sideAt(window.stable, Math.max(0, place))];
    // A bucket that no request has filled yet is not in the answer: nobody was slower than it.
    if (place < 0) for (const side of [canary, stable]) side.bad = 0;
    if (window.to - counted.gridMs >= from) addEvidence(stream, canary, stable, options);
    else learnBaseline(stream, stable);
  }
  const last = counted.windows.at(-1);
  if (last && last.to > ms(stream.until)) stream.until = iso(last.to);
}

const DIGITS = 1e4;
/** Never -0, which a status comes back from as 0: it would seem to have changed. */
const short = (value: number): number => Math.round(value * DIGITS) / DIGITS + 0;
const shortSide = ({ total, bad }: Side): Side => ({ total: short(total), bad: short(bad) });

/** So that a status stays small and reads the same wherever it is written. */
export function shorten(stream: VerdictStream): VerdictStream {
  const { dispersion } = stream;
  return {
    ...stream,
    canary: shortSide(stream.canary),
    stable: shortSide(stream.stable),
    ratio: stream.ratio.map(short),
    difference: stream.difference.map(short),
    health: short(stream.health),
    dispersion: { windows: dispersion.windows, ...shortSide(dispersion), squares: short(dispersion.squares) },
  };
}
