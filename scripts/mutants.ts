/**
 * `npm run mutants [-- --patch FILE]... [-- --count N]`: breaks the controller on purpose, in a scratch copy of the sources, and
 * plays schedules of test/world until one of the nine truths breaks. Without `--patch` it judges the mutants of test/world/mutants.ts.
 * The last line is `N mutants, N caught, N survived`; the exit code is 1 when one survives or does not run.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { judge, type Judged } from '../test/world/judge.js';
import { MUTANTS } from '../test/world/mutants.js';

const COUNT = 1_500;

const { values } = parseArgs({ options: { patch: { type: 'string', multiple: true }, count: { type: 'string' } } });
const count = Number(values.count ?? COUNT);
if (!(Number.isInteger(count) && count > 0)) throw new Error(`--count is ${values.count}; give a whole number above 0`);
for (const file of values.patch ?? []) if (!existsSync(file)) throw new Error(`--patch: ${file} does not exist; give a unified diff of files under src`);

const jobs = values.patch
  ? values.patch.map((file) => ({ name: basename(file), change: { patch: readFileSync(file, 'utf8') }, first: 1 }))
  : MUTANTS.map(({ name, edits, first }) => ({ name, change: { edits }, first }));

const totals = { caught: 0, survived: 0, broken: 0 };
for (const { name, change, first } of jobs) {
  const started = Date.now();
  let judged: Judged;
  try {
    judged = await judge(change, { count, first });
  } catch (error) {
    judged = { verdict: 'broken', words: error instanceof Error ? error.message : String(error) };
  }
  totals[judged.verdict] += 1;
  console.log(`${judged.verdict.padEnd(8)} ${name} (${((Date.now() - started) / 1_000).toFixed(0)} s): ${judged.words.split('\n')[0] ?? ''}`);
}
if (totals.broken > 0) console.log(`${totals.broken} did not run; they count as neither`);
console.log(`${jobs.length} mutants, ${totals.caught} caught, ${totals.survived} survived`);
process.exitCode = totals.caught === jobs.length ? 0 : 1;
