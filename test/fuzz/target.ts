import type fc from 'fast-check';
import type { Http } from '../../src/net/http.js';

/** One parser of what others write. */
export interface Target {
  name: string;
  input: fc.Arbitrary<unknown>;
  /** Rejects when the parser breaks one of its promises. */
  run: (input: never) => Promise<void> | void;
}
export const target = <T>(name: string, input: fc.Arbitrary<T>, run: (input: T) => Promise<void> | void): Target => ({ name, input, run });

/** Characters that may be said of one bad input: it is shown to people, and stored. */
const MAX_WORDS = 8_192;

export function short(words: string, what: string): void {
  if (words.length > MAX_WORDS) throw new Error(`${what} has ${words.length} characters: ${words.slice(0, 100)}…`);
}

/** Runs what may refuse its input, but with this error only. */
export function refusing(refusal: new (...args: never[]) => Error, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof refusal)) throw error;
    short(error.message, 'the refusal');
  }
}

export const answering = (answer: { status: number; body: string; headers?: Record<string, string> }): Http => ({ send: () => Promise.resolve({ headers: {}, ...answer }), close: () => {} });
