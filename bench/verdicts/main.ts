import { parseArgs } from 'node:util';
import { broken, CASES, measure, type Row } from './rows.js';

/** `npm run bench:verdicts [-- --output json] [--runs N] [--seed N]`: what the sequential verdict keeps of what it promises. */
const { values } = parseArgs({ options: { output: { type: 'string', default: 'table' }, runs: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } } });
const [runs, seed] = [Number(values.runs), Number(values.seed)];
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed) || !['table', 'json'].includes(values.output))
  throw new Error('usage: npm run bench:verdicts -- [--output table|json] [--runs N] [--seed N]');

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;
const extra = ({ within20, promotedEarly }: Row): string[] => [
  ...(within20 === undefined ? [] : [`${percent(within20)} within 20 s`]),
  ...(promotedEarly === undefined ? [] : [`${percent(promotedEarly)} promoted early`]),
];
const cells = (row: Row): string[] => [
  row.kind,
  String(row.rps),
  percent(row.stable),
  percent(row.canary),
  row.noise,
  `${row.scrapeSeconds} s`,
  percent(row.rolledBack),
  row.bad.toFixed(1),
  row.seconds.toFixed(0),
  percent(row.rolledBackThreshold),
  row.badThreshold.toFixed(1),
  [...extra(row), broken(row).join('; ') || (row.promise ? 'kept' : 'measured only')].join('; '),
];
const HEAD = ['kind', 'rps', 'stable', 'canary', 'noise', 'scrape', 'rolled back', 'bad', 'seconds', 'threshold rule', 'its bad', 'promise'];

function table(rows: string[][]): string {
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n');
}

const rows = CASES.map((item, index) => {
  if (process.stderr.isTTY) process.stderr.write(`\rrow ${index + 1} of ${CASES.length} `);
  return measure(item, runs, seed * 1000 + index);
});
if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
if (values.output === 'json') console.log(JSON.stringify(rows.map(({ promise: _promise, ...row }) => row)));
else console.log(`${table([HEAD, ...rows.map(cells)])}\n\n${runs} runs each. Threshold rule: interval 60 s, threshold 5, success rate >= 99 %, weights 10 to 50.`);
const failing = rows.filter((row) => broken(row).length > 0);
if (failing.length > 0) {
  console.error(`${failing.length} of ${rows.length} rows break their promise`);
  process.exitCode = 1;
}
