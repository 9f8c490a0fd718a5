/** A window is asked for only this share of the grid after its end: samples take a moment to be stored after they were taken. */
export const SETTLE_SHARE = 0.1;

/** Windows in one answer: an hour of the default grid. */
const MAX_WINDOWS = 720;

/** Ends of the grid's windows that lie in [from, to], ascending; all unix milliseconds. Window `t` is (t − grid, t]. */
export function windowEnds(from: number, to: number, gridMs: number): number[] {
  const ends: number[] = [];
  for (let end = Math.ceil(from / gridMs) * gridMs + gridMs; end <= to; end += gridMs) ends.push(end);
  return ends;
}

/** Those of them that have ended and settled at `now`. */
export const completeEnds = (from: number, to: number, gridMs: number, now: number): number[] => windowEnds(from, Math.min(to, now - gridMs * SETTLE_SHARE), gridMs);

/** The latest ones, where there are too many for one answer. */
export const latest = (ends: number[]): number[] => ends.slice(-MAX_WINDOWS);
