/** A value over a stretch of time. */
export interface Point {
  /** Unix milliseconds. */
  from: number;
  to: number;
  /** Null where the server has none. */
  value: number | null;
}

/**
 * The value of the newest point that lies wholly in [from, to] and has one; NaN where there is none. A point that began before the
 * evidence may tell of another weight, and one that has not ended yet is of fewer requests than it will be.
 */
export function newestComplete(points: Iterable<Point>, from: number, to: number): number {
  let newest: Point | undefined;
  for (const point of points) {
    if (point.value === null || Number.isNaN(point.value) || point.from < from || point.to > to) continue;
    if (!newest || point.to > newest.to) newest = point;
  }
  return newest?.value ?? Number.NaN;
}
