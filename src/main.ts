#!/usr/bin/env node
import { processIo } from './cli/io.js';
import { run } from './cli/program.js';

/** Time for the last output and for what still closes, in milliseconds. */
const LINGER_MS = 2_000;

process.exitCode = await run(process.argv.slice(2), processIo());
// Nothing should be open any more; if something is, the exit code must not wait for it.
setTimeout(() => process.exit(), LINGER_MS).unref();
