import { shortened } from '../../core/text.js';
import { Failure } from '../json-api.js';
import { sampleValue } from '../prometheus/schema.js';
import type { Sample } from '../prometheus/client.js';
import { select, type Step } from './jsonpath.js';

/** A number, a number as text, or true and false as 1 and 0. Null is none. @throws Failure for anything else */
export const webSamples = (document: unknown, steps: readonly Step[]): Sample[] =>
  select(document, steps).map(({ place, value }) => ({ labels: { path: place }, value: numberOf(value, place) }));

function numberOf(value: unknown, place: string): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value === null) return Number.NaN;
  const read = typeof value === 'string' ? sampleValue(value.trim()) : undefined;
  if (read !== undefined) return read;
  const what = typeof value === 'string' ? JSON.stringify(shortened(value, 40)) : Array.isArray(value) ? 'a list' : 'an object';
  throw new Failure(`the answer has ${what} at ${shortened(place, 100)}, where a number belongs`, false);
}
