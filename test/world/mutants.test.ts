import { describe, expect, it } from 'vitest';
import { judge } from './judge.js';
import { MUTANTS } from './mutants.js';

/** From its first seed on, the world may take this many schedules to catch a mutant. */
const WITHIN = 60;

describe('the world can fail', () => {
  it('has a mutant for every truth, and for the fence between leaders', () => {
    expect(new Set(MUTANTS.map(({ truth }) => truth))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 'fencing']));
  });

  for (const { name, truth, edits, first } of MUTANTS)
    it(`catches a controller that breaks truth ${truth}: ${name}`, async () => {
      const { verdict, words } = await judge({ edits }, { count: WITHIN, first });
      expect(verdict, words).toBe('caught');
    }, 240_000);

  it('says so when a patch does not fit, instead of judging what was not changed', async () => {
    const patch = '--- a/src/core/capacity.ts\n+++ b/src/core/capacity.ts\n@@ -1,1 +1,1 @@\n-this line is not there\n+nor is this\n';
    await expect(judge({ patch }, { count: 1, first: 1 })).rejects.toThrow('does not apply');
  });
});
