import { describe, expect, it } from 'vitest';
import { fuzzTarget } from './fuzz.js';
import { TARGETS } from './targets.js';

describe('nothing that others write gets past the parser of', () => {
  it.each(TARGETS.map((target) => [target.name, target] as const))(
    '%s',
    async (_name, target) => {
      expect(await fuzzTarget(target, 300, 20_261_121)).toBeUndefined();
    },
    120_000,
  );
});
