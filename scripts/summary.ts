import { z } from 'zod';

/** Full names of tests that may be skipped in CI. Everything else that a CI run leaves out counts as a failure. */
const ALLOWED_SKIPS: readonly string[] = [];

/** So many files may fail for reasons of the machine; more of them are a change that does not work. */
const MOST_AGAIN = 3;

const report = z.object({
  /** False for errors outside of tests as well. */
  success: z.boolean().default(true),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});

type Report = z.infer<typeof report>;
const parse = (text: string): Report => report.parse(JSON.parse(text));

/** Files of a report that failed, to be run once more by themselves; none when they are too many for that. */
export function filesToRunAgain(text: string | undefined): string[] {
  const failed = text === undefined ? [] : parse(text).testResults.filter(({ status }) => status === 'failed');
  return failed.length > MOST_AGAIN ? [] : failed.map(({ name }) => name);
}

/** What one run of the tests, or several, came to. */
export interface Tally {
  passed: number;
  /** Tests that failed at first, and passed when their file was run again by itself. */
  unsteady: string[];
  /** For people: names of tests, files that could not be loaded, reports that are missing. */
  failed: string[];
  /** Full names of tests that did not run. */
  skipped: string[];
}

/**
 * @param text of vitest's JSON report; undefined when it was not written, which is a failure like any other.
 * @param again of the files that were run once more; each counts in the place of what it came to before
 */
export function readReport(file: string, text: string | undefined, again?: string): Tally {
  if (text === undefined) return { passed: 0, unsteady: [], failed: [`${file} was not written: the run ended before its tests did`], skipped: [] };
  const tally: Tally = { passed: 0, unsteady: [], failed: [], skipped: [] };
  const [whole, repeated] = [parse(text), again === undefined ? undefined : parse(again)];
  const second = new Map((repeated?.testResults ?? []).map((result) => [result.name, result]));
  for (const first of whole.testResults) {
    const result = second.get(first.name) ?? first;
    count(result, tally);
    const failedBefore = new Set(result === first ? [] : first.assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName));
    tally.unsteady.push(...result.assertionResults.filter(({ fullName, status }) => status === 'passed' && failedBefore.has(fullName)).map(({ fullName }) => fullName));
  }
  if (!(repeated ?? whole).success && tally.failed.length === 0) tally.failed.push(`${file}: something went wrong outside of the tests; see what the run printed`);
  return tally;
}

function count({ name, status, message, assertionResults }: Report['testResults'][number], tally: Tally): void {
  const failures = assertionResults.filter((test) => test.status === 'failed');
  tally.passed += assertionResults.filter((test) => test.status === 'passed').length;
  tally.failed.push(...failures.map(({ fullName }) => fullName));
  tally.skipped.push(...assertionResults.filter((test) => test.status !== 'passed' && test.status !== 'failed').map(({ fullName }) => fullName));
  if (status === 'failed' && failures.length === 0) tally.failed.push(`${name}: ${message?.split('\n')[0] || 'it could not be run'}`);
}

export function total(tallies: Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, { passed }) => sum + passed, 0),
    unsteady: tallies.flatMap(({ unsteady }) => unsteady),
    failed: tallies.flatMap(({ failed }) => failed),
    skipped: tallies.flatMap(({ skipped }) => skipped),
  };
}

/** What is wrong, a line each; empty when all is well. */
export function judge({ passed, failed, skipped }: Omit<Tally, 'unsteady'>, allowed: readonly string[] = ALLOWED_SKIPS): string[] {
  return [
    ...failed.map((name) => `failed: ${name}`),
    ...skipped.filter((name) => !allowed.includes(name)).map((name) => `skipped, and that is not allowed: ${name}`),
    ...(passed === 0 ? ['no test passed'] : []),
  ];
}

/** The line that CI reads. */
export const closingLine = ({ passed, failed, skipped }: Omit<Tally, 'unsteady'>): string => `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`;

/** Named loudly: each is a defect of the test or of the program, which a machine that is busy brings to light. */
export const unsteadyLines = ({ unsteady }: Tally): string[] => unsteady.map((name) => `unsteady, failed once and passed when its file ran again by itself: ${name}`);
