import fc from 'fast-check';
import { play, schedules, type Schedule } from './schedules.js';
import type { World } from './world.js';

/** The 32-bit seed of a line: a number as it is when it is small enough, any other text by its hash. */
export function seedOf(line: string): number {
  const value = Number(line);
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) return value;
  let hash = 0x811c9dc5;
  for (const letter of line) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  return hash | 0;
}

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

/** The smallest schedule that still fails, found from one that does; undefined when it does not fail. */
export async function shrink(seed: number): Promise<{ schedule: Schedule; failure: string } | undefined> {
  const property = fc.asyncProperty(schedules, async (schedule) => {
    await play(schedule);
  });
  const { failed, counterexample, errorInstance } = await fc.check(property, { seed, numRuns: 1 });
  const [schedule] = counterexample ?? [];
  return failed && schedule ? { schedule, failure: errorInstance instanceof Error ? errorInstance.message : String(errorInstance) } : undefined;
}
