import { describe, expect, it } from 'vitest';
import { createMatcher } from '../../../src/sandbox/prometheus/storage/matcher.js';

describe('regular expressions of label matchers', () => {
  it.each([
    ['5.*', '503', true],
    ['5.*', '1503', false],
    ['200|201', '201', true],
    ['200|201', '2011', false],
    ['a.c', 'a\nc', true],
    ['(?i)reviews-v\\d', 'REVIEWS-V2', true],
    ['(?P<name>v[[:digit:]]+)', 'v12', true],
    ['[*+?]', '*', true],
    ['a\\*', 'a*', true],
    ['(?:a|b)+c', 'abc', true],
    ['\\Qa.b\\E', 'axb', false],
    ['', '', true],
    ['.+', '', false],
  ])('%s against %j is %s', (pattern, value, matches) => {
    expect(createMatcher('x', '=~', pattern).matches(value)).toBe(matches);
    expect(createMatcher('x', '!~', pattern).matches(value)).toBe(!matches);
  });

  it.each(['(', '[a', '*a', 'a|*', 'a(?=b)', '(?<!a)b', '(a)\\1', 'a)'])(
    '%s is refused, since Prometheus refuses it',
    (pattern) => {
      expect(() => createMatcher('x', '=~', pattern)).toThrow('error parsing regexp: ');
    },
  );
});
