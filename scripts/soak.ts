/**
 * `npm run soak [-- --count N] [-- --seeds FILE] [-- --first N] [-- --stop]`: plays random schedules in the simulated world of
 * test/world and asserts the nine truths after every step; then feeds every parser of outside data with ten inputs per schedule. The last line is `N schedules, N faults, N failures`.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { playSeed, seedsFrom } from '../test/world/seeds.js';
import { fuzz } from './fuzz.js';

const COUNT = 10_000;
const MAX_WORKERS = 2;
/** 10,000 schedules come with 100,000 inputs. */
const INPUTS_PER_SCHEDULE = 10;

const { values } = parseArgs({
  options: { count: { type: 'string' }, seeds: { type: 'string' }, first: { type: 'string' }, stop: { type: 'boolean', default: false }, worker: { type: 'string' } },
});

function seedsOf(): number[] {
  const wanted = values.count === undefined ? undefined : Number(values.count);
  if (wanted !== undefined && !(Number.isInteger(wanted) && wanted > 0)) throw new Error(`--count is ${values.count}; give a whole number above 0`);
  if (values.seeds !== undefined) {
    const lines = readFileSync(values.seeds, 'utf8').split('\n').map((line) => line.trim());
    const given = lines.filter((line) => line !== '');
    if (given.length === 0) throw new Error(`--seeds: ${values.seeds} holds no seed; write one per line`);
    return seedsFrom(given, wanted ?? given.length);
  }
  const first = Number(values.first ?? 1);
  return Array.from({ length: wanted ?? COUNT }, (_, index) => first + index);
}

interface Result {
  seed: number;
  faults: number;
  failure?: string;
}

/** A worker plays every `of`-th seed and tells each result. */
async function work(seeds: number[], index: number, of: number): Promise<void> {
  for (let at = index; at < seeds.length; at += of) {
    const seed = seeds[at] as number;
    const { faults, failure } = await playSeed(seed);
    process.send?.({ seed, faults, ...(failure ? { failure } : {}) } satisfies Result);
  }
}

async function fuzzed(count: number, seed: number): Promise<number> {
  const { inputs, failures } = await fuzz(count, seed);
  for (const { target, input, message } of failures) console.log(`parser of ${target}: ${message}\n  input: ${input}\n  replay: npx tsx scripts/fuzz.ts ${count} ${seed}`);
  console.log(`${inputs} inputs to parsers, ${failures.length} failures`);
  return failures.length;
}

async function main(): Promise<void> {
  const seeds = seedsOf();
  if (values.worker !== undefined) {
    const [index = 0, of = 1] = values.worker.split('/').map(Number);
    await work(seeds, index, of);
    process.disconnect();
    return;
  }
  const started = Date.now();
  const totals = { schedules: 0, faults: 0, failures: 0 };
  const workers = Math.min(MAX_WORKERS, availableParallelism(), seeds.length);
  const children = Array.from({ length: workers }, (_, index) => fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--worker', `${index}/${workers}`]));
  const onResult = ({ seed, faults, failure }: Result): void => {
    totals.schedules += 1;
    totals.faults += faults;
    if (totals.schedules % 500 === 0) console.log(`${totals.schedules} of ${seeds.length}, ${((Date.now() - started) / 1_000).toFixed(0)} s`);
    if (failure === undefined) return;
    totals.failures += 1;
    console.log(`seed ${seed}: ${failure}\nreplay, and shrink: SLUICE_SEED=${seed} npx vitest run test/world/world.test.ts`);
    if (values.stop) for (const child of children) child.kill();
  };
  const codes = await Promise.all(
    children.map(async (child) => {
      child.on('message', (message) => onResult(message as Result));
      const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
      return signal === 'SIGTERM' && totals.failures > 0 ? 0 : (code ?? 1);
    }),
  );
  const died = codes.filter((code) => code !== 0).length;
  if (died > 0) console.log(`${died} of ${workers} workers ended before their last schedule`);
  // Who asks whether a mutant is caught wants to know about schedules only.
  if (!values.stop) totals.failures += await fuzzed(seeds.length * INPUTS_PER_SCHEDULE, seeds[0] ?? 1);
  console.log(`${((Date.now() - started) / 1_000).toFixed(0)} s`);
  console.log(`${totals.schedules} schedules, ${totals.faults} faults, ${totals.failures} failures`);
  process.exitCode = totals.failures > 0 || died > 0 || totals.schedules < seeds.length ? 1 : 0;
}

await main();
