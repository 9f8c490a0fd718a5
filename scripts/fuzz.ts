/**
 * `npx tsx scripts/fuzz.ts [COUNT] [SEED]`: feeds every parser of outside data with inputs that somebody might send. The last line is
 * `N inputs, N failures`; the soak calls {@link fuzz} with its own count.
 */
import { fileURLToPath } from 'node:url';
import { fuzz } from '../test/fuzz/fuzz.js';

export { fuzz };

const DEFAULT_COUNT = 100_000;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [count = DEFAULT_COUNT, seed = Date.now() % 2 ** 31] = process.argv.slice(2).map(Number);
  if (!(count > 0) || !Number.isInteger(seed)) throw new Error('give a number of inputs above 0, and a whole number as seed');
  const { inputs, failures } = await fuzz(count, seed, (name) => console.log(`${name}, seed ${seed}`));
  for (const { target, input, message } of failures) console.log(`FAILED ${target}: ${message}\n  input: ${input}`);
  console.log(`${inputs} inputs, ${failures.length} failures`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
