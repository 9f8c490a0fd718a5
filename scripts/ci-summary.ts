/** `tsx scripts/ci-summary.ts REPORT…`: the closing line of CI out of vitest's JSON reports. Beside each may lie REPORT.again: of the files that were run once more. */
import { readFile } from 'node:fs/promises';
import { closingLine, judge, readReport, total, unsteadyLines } from './summary.js';

const files = process.argv.slice(2);
const read = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);
const tallies = await Promise.all(files.map(async (file) => readReport(file, await read(file), await read(`${file}.again`))));
const sum = total(tallies);
for (const line of [...unsteadyLines(sum), ...judge(sum)]) console.log(line);
console.log(closingLine(sum));
if (files.length === 0 || judge(sum).length > 0) process.exitCode = 1;
