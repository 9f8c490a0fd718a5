import { describe, it } from 'vitest';
import { Situation } from './builders.js';

/** A table of one room: each key is something that a user would say, each row proves it from an adopted Canary at rest. */
export function sentences(room: string, rows: Record<string, (canary: Situation) => void>): void {
  describe(room, () => {
    for (const [sentence, prove] of Object.entries(rows)) it(sentence, () => prove(new Situation()));
  });
}
