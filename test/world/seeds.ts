import fc from 'fast-check';
import { play, schedules, type Schedule } from './schedules.js';
import type { World } from './world.js';

/** The 32-bit seed of a line: a number as it is when it is small enough, any other text by its hash. */
function seedOf(line: string): number {
  const value = Number(line);
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) return value;
  let hash = 0x811c9dc5;
  for (const letter of line) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  return hash | 0;
}

/** So many seeds: one for each line, and when there are fewer lines than that, more that the lines determine. */
export const seedsFrom = (lines: string[], count: number): number[] =>
  Array.from({ length: count }, (_, index) => {
    const line = lines[index % lines.length] ?? '';
    return seedOf(index < lines.length ? line : `${line}#${Math.floor(index / lines.length)}`);
  });

/** The one schedule that a seed stands for. */
export function scheduleOf(seed: number): Schedule {
  const [schedule] = fc.sample(schedules, { seed, numRuns: 1 });
  if (!schedule) throw new Error(`seed ${seed} gives no schedule`);
  return schedule;
}

/** Play the schedule of a seed; what broke is told in full, with the last that happened. */
export async function playSeed(seed: number): Promise<{ faults: number; failure?: string }> {
  let world: World | undefined;
  try {
    await play(scheduleOf(seed), (made) => (world = made));
    return { faults: world?.faultsInjected ?? 0 };
  } catch (error) {
    return { faults: world?.faultsInjected ?? 0, failure: error instanceof Error ? error.message : String(error) };
  }
}

type Player = (schedule: Schedule) => Promise<unknown>;

async function failureOf(schedule: Schedule, playOne: Player): Promise<string | undefined> {
  return playOne(schedule).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

const without = <T>(list: T[], index: number): T[] => list.filter((_, at) => at !== index);

/** Schedules with one thing less: a happening, or a fault. */
const less = ({ setting, happenings }: Schedule): Schedule[] => [
  ...happenings.map((_, index) => ({ setting, happenings: without(happenings, index) })),
  ...setting.faults.map((_, index) => ({ setting: { ...setting, faults: without(setting.faults, index) }, happenings })),
];

/** A schedule of which nothing can be left out: fast-check leaves what comes after the cause. */
async function leanest(schedule: Schedule, failure: string, playOne: Player): Promise<{ schedule: Schedule; failure: string }> {
  for (const smaller of less(schedule)) {
    const found = await failureOf(smaller, playOne);
    if (found !== undefined) return leanest(smaller, found, playOne);
  }
  return { schedule, failure };
}

/** The smallest schedule that still fails, found from one that does; undefined when it does not fail. */
export async function shrink(seed: number, playOne: Player = play): Promise<{ schedule: Schedule; failure: string } | undefined> {
  const property = fc.asyncProperty(schedules, async (schedule) => {
    await playOne(schedule);
  });
  const { failed, counterexample, errorInstance } = await fc.check(property, { seed, numRuns: 1 });
  const [schedule] = counterexample ?? [];
  return failed && schedule ? leanest(schedule, errorInstance instanceof Error ? errorInstance.message : String(errorInstance), playOne) : undefined;
}
