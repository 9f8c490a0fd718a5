import { anchoredRegExp } from './regexp.js';

export type MatchOperator = '=' | '!=' | '=~' | '!~';

/** A condition on one label. A label that is not there has the value ''. */
export interface Matcher {
  readonly name: string;
  readonly operator: MatchOperator;
  readonly value: string;
  matches(value: string): boolean;
}

/**
 * Compiles a label matcher.
 * @throws Error with Go's wording when the value of `=~` or `!~` is not a regular expression that Prometheus would take.
 */
export function createMatcher(name: string, operator: MatchOperator, value: string): Matcher {
  return { name, operator, value, matches: predicate(operator, value) };
}

function predicate(operator: MatchOperator, expected: string): (value: string) => boolean {
  if (operator === '=') return (value) => value === expected;
  if (operator === '!=') return (value) => value !== expected;
  const test = regexpTest(expected);
  return operator === '=~' ? test : (value) => !test(value);
}

/** Alternatives of plain words need no regular expression, and they are what dashboards and gates write most. */
function regexpTest(source: string): (value: string) => boolean {
  if (/^[\w /:;,@-]+(\|[\w /:;,@-]+)*$/.test(source)) {
    const words = new Set(source.split('|'));
    return (value) => words.has(value);
  }
  const compiled = anchoredRegExp(source);
  return (value) => compiled.test(value);
}
