/** `tsx scripts/run-again.ts REPORT`: the test files that failed in it, a line each, where they are so few that the machine may be the reason. */
import { readFile } from 'node:fs/promises';
import { filesToRunAgain } from './summary.js';

const text = await readFile(process.argv[2] ?? '', 'utf8').catch(() => undefined);
for (const file of filesToRunAgain(text)) console.log(file);
