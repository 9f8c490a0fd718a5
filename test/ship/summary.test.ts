import { describe, expect, it } from 'vitest';
import { closingLine, judge, readReport, total } from '../../scripts/summary.js';

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

  it('is not content with nothing at all', () => {
    expect(judge(readReport('test.json', report()))).toEqual(['no test passed']);
  });
});
