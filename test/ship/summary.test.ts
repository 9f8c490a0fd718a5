import { describe, expect, it } from 'vitest';
import { closingLine, filesToRunAgain, judge, readReport, total, unsteadyLines } from '../../scripts/summary.js';

const file = (status: string, tests: Record<string, string>, message = '') => ({
  name: '/checkout/test/a.test.ts',
  status,
  message,
  assertionResults: Object.entries(tests).map(([fullName, result]) => ({ fullName, status: result })),
});
const report = (...files: object[]): string => JSON.stringify({ success: true, testResults: files });

describe('the closing line of CI', () => {
  it('adds up the reports', () => {
    const sum = total([readReport('test.json', report(file('passed', { a: 'passed', b: 'passed' }))), readReport('e2e.json', report(file('passed', { c: 'passed', d: 'skipped' })))]);
    expect(closingLine(sum)).toBe('3 passed, 0 failed, 1 skipped');
  });

  it('fails for a failed test and for a skipped one, and names both', () => {
    const sum = readReport('test.json', report(file('failed', { good: 'passed', bad: 'failed', later: 'todo', left: 'pending' })));
    expect(judge(sum, ['left'])).toEqual(['failed: bad', 'skipped, and that is not allowed: later']);
    expect(closingLine(sum)).toBe('1 passed, 1 failed, 2 skipped');
  });

  it('counts a file that could not be loaded', () => {
    const sum = readReport('test.json', report(file('passed', { good: 'passed' }), file('failed', {}, 'SyntaxError: what\nat line 1')));
    expect(judge(sum)).toEqual(['failed: /checkout/test/a.test.ts: SyntaxError: what']);
    expect(closingLine(sum)).toBe('1 passed, 1 failed, 0 skipped');
  });

  it('counts a report that was never written', () => {
    const sum = total([readReport('test.json', report(file('passed', { good: 'passed' }))), readReport('e2e.json', undefined)]);
    expect(judge(sum)).toEqual(['failed: e2e.json was not written: the run ended before its tests did']);
  });

  it('counts an error outside of the tests', () => {
    const text = JSON.stringify({ success: false, testResults: [file('passed', { good: 'passed' })] });
    expect(judge(readReport('test.json', text))).toEqual(['failed: test.json: something went wrong outside of the tests; see what the run printed']);
  });

  it('is not content with nothing at all', () => {
    expect(judge(readReport('test.json', report()))).toEqual(['no test passed']);
  });
});

describe('files that are run once more', () => {
  const named = (name: string, status: string, tests: Record<string, string>) => ({ ...file(status, tests), name });

  it('are those that failed, unless they are many', () => {
    expect(filesToRunAgain(report(named('a', 'failed', { bad: 'failed' }), named('b', 'passed', { good: 'passed' })))).toEqual(['a']);
    expect(filesToRunAgain(report(...['a', 'b', 'c', 'd'].map((name) => named(name, 'failed', { bad: 'failed' }))))).toEqual([]);
    expect(filesToRunAgain(undefined)).toEqual([]);
  });

  it('count by what they come to then, and what failed before is named', () => {
    const first = report(named('a', 'failed', { good: 'passed', late: 'failed' }), named('b', 'passed', { other: 'passed' }));
    const tally = readReport('e2e.json', first, report(named('a', 'passed', { good: 'passed', late: 'passed' })));
    expect(closingLine(tally)).toBe('3 passed, 0 failed, 0 skipped');
    expect(unsteadyLines(tally)).toEqual(['unsteady, failed once and passed when its file ran again by itself: late']);
  });

  it('fail when they fail twice', () => {
    const failing = report(named('a', 'failed', { good: 'passed', bad: 'failed' }));
    const tally = readReport('e2e.json', failing, failing);
    expect(judge(tally)).toEqual(['failed: bad']);
    expect(unsteadyLines(tally)).toEqual([]);
  });
});
