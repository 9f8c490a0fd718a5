/** `tsx scripts/ci-summary.ts REPORT…`: the closing line of CI out of vitest's JSON reports. */
import { readFile } from 'node:fs/promises';
import { closingLine, judge, readReport, total } from './summary.js';

const files = process.argv.slice(2);
const tallies = await Promise.all(files.map(async (file) => readReport(file, await readFile(file, 'utf8').catch(() => undefined))));
const sum = total(tallies);
for (const line of judge(sum)) console.log(line);
console.log(closingLine(sum));
if (files.length === 0 || judge(sum).length > 0) process.exitCode = 1;
