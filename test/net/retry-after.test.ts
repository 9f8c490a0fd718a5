import { expect, it } from 'vitest';
import { retryAfterSeconds } from '../../src/net/retry-after.js';

const now = Date.parse('2030-01-01T12:00:00Z');
it.each<[string | undefined, number | undefined]>([
  [undefined, undefined],
  ['30', 30],
  ['0', 0],
  ['1.2', 2],
  ['Tue, 01 Jan 2030 12:01:30 GMT', 90],
  ['Tue, 01 Jan 2030 11:00:00 GMT', 0],
  ['soon', undefined],
])('Retry-After: %s means %s seconds', (header, seconds) => expect(retryAfterSeconds(header, now)).toBe(seconds));
