import { expect, it } from 'vitest';
import { Tokens } from '../../src/metrics/tokens.js';

function tokens(lifeMs: number) {
  const clock = { now: 0 };
  let exchanges = 0;
  const kept = new Tokens<number>(() => clock.now);
  return {
    clock,
    count: () => exchanges,
    get: (who: string) => kept.get([who], () => Promise.resolve({ value: ++exchanges, expiresAt: clock.now + lifeMs })),
    fail: (who: string) => kept.get([who], () => Promise.reject(new Error(`no token, ${++exchanges}`))),
  };
}

it('a token is used until a minute before it expires', async () => {
  const { clock, get } = tokens(600_000);
  expect(await get('a')).toBe(1);
  clock.now = 539_999;
  expect(await get('a')).toBe(1);
  clock.now = 540_000;
  expect(await get('a')).toBe(2);
});

it('everybody has his own', async () => {
  const { get } = tokens(600_000);
  expect([await get('a'), await get('b'), await get('a')]).toEqual([1, 2, 1]);
});

it('those who ask at once share one exchange, after an end as well', async () => {
  const { clock, get, count } = tokens(600_000);
  await Promise.all([get('a'), get('a'), get('a')]);
  clock.now = 600_000;
  await Promise.all([get('a'), get('a'), get('a')]);
  expect(count()).toBe(2);
});

it('a failure is not kept', async () => {
  const { get, fail } = tokens(600_000);
  await expect(fail('a')).rejects.toThrow('no token, 1');
  expect(await get('a')).toBe(2);
});

it('a token that is too short-lived is used once, not for ever', async () => {
  const { get } = tokens(10_000);
  expect([await get('a'), await get('a')]).toEqual([1, 2]);
});

it('what nobody asks for any more is forgotten', async () => {
  const { get } = tokens(600_000);
  for (let who = 0; who <= 200; who++) await get(String(who));
  expect(await get('200')).toBe(201);
  expect(await get('0')).toBe(202);
});
