import fc from 'fast-check';
import type { Target } from './target.js';
import { TARGETS } from './targets.js';

/** More of the processor than any input may take, in milliseconds: nothing that is meant here takes only a little too long. */
const SLOW_MS = 5_000;
const now = (): number => process.cpuUsage().user / 1_000;

export interface FuzzFailure {
  target: string;
  /** The smallest input that was found, as text. */
  input: string;
  message: string;
  /** Replays it. */
  seed: number;
}

const untouched = (): boolean => Object.keys(Object.prototype).length === 0 && ({} as { polluted?: unknown }).polluted === undefined;

async function attempt(target: Target, input: unknown): Promise<void> {
  const started = now();
  await target.run(input as never);
  const took = now() - started;
  if (took > SLOW_MS) throw new Error(`it took ${Math.round(took)} ms`);
  if (!untouched()) throw new Error('Object.prototype was changed');
}

/** So many inputs for one parser. Resolves with what broke it, if anything did. */
export async function fuzzTarget(target: Target, count: number, seed: number): Promise<FuzzFailure | undefined> {
  const property = fc.asyncProperty(target.input, (input) => attempt(target, input));
  const { failed, counterexample, errorInstance } = await fc.check(property, { numRuns: count, seed });
  if (!failed) return undefined;
  const message = errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance);
  return { target: target.name, input: fc.stringify(counterexample?.[0]).slice(0, 2_000), message, seed };
}

/** `count` inputs, shared evenly between all parsers of what others write. */
export async function fuzz(count: number, seed: number, onTarget?: (name: string) => void): Promise<{ inputs: number; failures: FuzzFailure[] }> {
  const each = Math.ceil(count / TARGETS.length);
  const failures: FuzzFailure[] = [];
  for (const target of TARGETS) {
    onTarget?.(target.name);
    const failure = await fuzzTarget(target, each, seed);
    if (failure) failures.push(failure);
  }
  return { inputs: each * TARGETS.length, failures };
}
