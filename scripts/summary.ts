import { z } from 'zod';

/** Full names of tests that may be skipped in CI. Everything else that a CI run leaves out counts as a failure. */
const ALLOWED_SKIPS: readonly string[] = [];

const report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});

/** What one run of the tests, or several, came to. */
export interface Tally {
  passed: number;
  /** For people: names of tests, files that could not be loaded, reports that are missing. */
  failed: string[];
  /** Full names of tests that did not run. */
  skipped: string[];
}

/**
 * @param text of vitest's JSON report; undefined when it was not written, which is a failure like any other.
 */
export function readReport(file: string, text: string | undefined): Tally {
  if (text === undefined) return { passed: 0, failed: [`${file} was not written: the run ended before its tests did`], skipped: [] };
  const tally: Tally = { passed: 0, failed: [], skipped: [] };
  for (const { name, status, message, assertionResults } of report.parse(JSON.parse(text)).testResults) {
    const failures = assertionResults.filter((test) => test.status === 'failed');
    tally.passed += assertionResults.filter((test) => test.status === 'passed').length;
    tally.failed.push(...failures.map(({ fullName }) => fullName));
    tally.skipped.push(...assertionResults.filter((test) => test.status !== 'passed' && test.status !== 'failed').map(({ fullName }) => fullName));
    if (status === 'failed' && failures.length === 0) tally.failed.push(`${name}: ${message?.split('\n')[0] || 'it could not be run'}`);
  }
  return tally;
}

export function total(tallies: Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, { passed }) => sum + passed, 0),
    failed: tallies.flatMap(({ failed }) => failed),
    skipped: tallies.flatMap(({ skipped }) => skipped),
  };
}

/** What is wrong, a line each; empty when all is well. */
export function judge({ passed, failed, skipped }: Tally, allowed: readonly string[] = ALLOWED_SKIPS): string[] {
  return [
    ...failed.map((name) => `failed: ${name}`),
    ...skipped.filter((name) => !allowed.includes(name)).map((name) => `skipped, and that is not allowed: ${name}`),
    ...(passed === 0 ? ['no test passed'] : []),
  ];
}

/** The line that CI reads. */
export const closingLine = ({ passed, failed, skipped }: Tally): string => `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`;
