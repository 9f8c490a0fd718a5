import { describe, expect, it } from 'vitest';
import type { Schedule } from './schedules.js';
import { scheduleOf, seedsFrom, shrink } from './seeds.js';

const kills = ({ happenings }: Schedule): number => happenings.filter(({ what }) => what.type === 'kill').length;
/** A world that breaks of a kill, whatever else happens in it. */
const fragile = async (schedule: Schedule): Promise<void> => {
  await Promise.resolve();
  if (kills(schedule) > 0) throw new Error('it was killed');
};

describe('a seed that fails', () => {
  it('is made as small as what it fails of', async () => {
    const seed = Array.from({ length: 1_000 }, (_, index) => index).find((item) => kills(scheduleOf(item)) > 0 && scheduleOf(item).happenings.length > 4);
    const found = await shrink(seed ?? NaN, fragile);
    expect(found?.failure).toContain('it was killed');
    expect(found?.schedule.happenings.map(({ what }) => what.type)).toEqual(['kill']);
  });

  it('that does not fail leaves nothing to make small', async () => {
    const seed = Array.from({ length: 1_000 }, (_, index) => index).find((item) => kills(scheduleOf(item)) === 0);
    expect(await shrink(seed ?? NaN, fragile)).toBeUndefined();
  });
});

describe('seeds from outside', () => {
  it('count as they are when they are small numbers, any other line by its hash', () => {
    expect(seedsFrom(['7', '-3'], 2)).toEqual([7, -3]);
    const [long, word] = seedsFrom(['99999999999', 'monday'], 2);
    expect([long, word].every((seed) => Number.isInteger(seed) && Math.abs(seed ?? NaN) <= 2 ** 31)).toBe(true);
    expect(long).not.toBe(word);
  });

  it('are as many as were asked for: the first, or more that the lines determine', () => {
    expect(seedsFrom(['1', '2', '3'], 2)).toEqual([1, 2]);
    const many = seedsFrom(['1', '2'], 7);
    expect(many.slice(0, 2)).toEqual([1, 2]);
    expect(new Set(many).size).toBe(7);
    expect(seedsFrom(['1', '2'], 7)).toEqual(many);
    expect(seedsFrom(['1', '5'], 7)).not.toEqual(many);
  });
});
