import { expect, it } from 'vitest';
import { matchesLabels } from '../../src/kube/index.js';

const labels = { app: 'reviews', 'sluice.dev/slot': 'blue', empty: '' };

it.each([
  ['', true],
  ['app=reviews', true],
  ['app==reviews,sluice.dev/slot=blue', true],
  ['app=reviews,sluice.dev/slot=green', false],
  ['app!=reviews', false],
  ['missing!=x', true],
  ['sluice.dev/slot', true],
  ['!sluice.dev/slot', false],
  ['!missing', true],
  ['empty=', true],
  ['sluice.dev/slot in (green, blue),app', true],
  ['sluice.dev/slot notin (green,blue)', false],
  ['missing notin (a)', true],
  ['missing in (a)', false],
])('%j is %s', (selector, expected) => {
  expect(matchesLabels(selector, labels)).toBe(expected);
});

it('quotes what it cannot read', () => {
  expect(() => matchesLabels('app=reviews,a b c', labels)).toThrow('cannot read "a b c"');
});
