import { expect, it } from 'vitest';
import { newestComplete, type Point } from '../../src/metrics/points.js';

const point = (from: number, to: number, value: number | null): Point => ({ from, to, value });

it.each<[string, Point[], number]>([
  ['nothing', [], Number.NaN],
  ['the newest, in whatever order they come', [point(20, 30, 3), point(0, 10, 1), point(10, 20, 2)], 3],
  ['one that just fits', [point(0, 60, 1)], 1],
  ['none that began before', [point(-1, 10, 1)], Number.NaN],
  ['none that has not ended', [point(50, 61, 1)], Number.NaN],
  ['the one before, where the newest has no value', [point(0, 10, 1), point(10, 20, null), point(20, 30, Number.NaN)], 1],
  ['zero, which is a value', [point(0, 10, 5), point(10, 20, 0)], 0],
  ['an infinity, which is none to be judged but one that is there', [point(0, 10, Number.POSITIVE_INFINITY)], Number.POSITIVE_INFINITY],
])('of the points in 0 to 60: %s', (_name, points, value) => {
  expect(newestComplete(points, 0, 60)).toBe(value);
});
