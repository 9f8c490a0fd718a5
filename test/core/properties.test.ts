import fc from 'fast-check';
import { describe, it } from 'vitest';
import { play, schedules } from './schedules.js';

/** `SLUICE_SCHEDULES=20000 npx vitest run test/core/properties.test.ts` looks longer; SLUICE_SEED and SLUICE_PATH replay. */
const numRuns = Number(process.env['SLUICE_SCHEDULES'] ?? 300);
const seed = process.env['SLUICE_SEED'] === undefined ? undefined : Number(process.env['SLUICE_SEED']);
const path = process.env['SLUICE_PATH'];
/** Milliseconds for all schedules, and for making the one that fails small: what was found is told, even on a slow machine. */
const limit = Math.max(240_000, numRuns * 500);

describe('in any world', () => {
  it(
    'the nine truths hold after every step, and the run ends once nothing stands in its way',
    () => {
      fc.assert(
        fc.property(schedules, (schedule) => {
          play(schedule);
        }),
        { numRuns, interruptAfterTimeLimit: limit, ...(seed === undefined ? {} : { seed }), ...(path === undefined ? {} : { path }) },
      );
    },
    limit + 60_000,
  );
});
