import { expect, it } from 'vitest';
import { cloneJson, perObject } from '../../src/core/per-object.js';

it('each object is read once, also when there is nothing to be had of it', () => {
  let reads = 0;
  const nameOf = perObject((object: { name?: string }) => {
    reads += 1;
    return object.name;
  });
  const [named, nameless] = [{ name: 'a' }, {}];
  expect([nameOf(named), nameOf(nameless), nameOf(named), nameOf(nameless)]).toEqual(['a', undefined, 'a', undefined]);
  expect(reads).toBe(2);
  expect(nameOf({ name: 'a' })).toBe('a');
  expect(reads).toBe(3);
});

it('a copy is equal and shares nothing', () => {
  const original = { list: [{ a: 1 }], text: 'x', none: null, nested: { deep: { yes: true } } };
  const copy = cloneJson(original);
  expect(copy).toEqual(original);
  copy.nested.deep.yes = false;
  copy.list[0]!.a = 2;
  copy.list.push({ a: 3 });
  expect(original).toEqual({ list: [{ a: 1 }], text: 'x', none: null, nested: { deep: { yes: true } } });
});
