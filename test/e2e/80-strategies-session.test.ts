import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assertEverybodyOn, assertNoneFailed, holds, spans } from './callers.js';
import { World } from './harness.js';
import type { KeptRequest } from './split.js';

const COOKIE = 'reviews-version';
const users = (count: number) => [{ name: 'users', rps: 80, users: count, headers: {}, host: 'reviews', path: '/reviews/0' }];

/** Each user's requests of these times, in the order in which they were sent. */
function byUser(requests: KeptRequest[], from: number, to: number): Map<number, KeptRequest[]> {
  const within = requests.filter(({ time, user }) => user !== undefined && Date.parse(time) >= from && Date.parse(time) < to);
  const all = new Map<number, KeptRequest[]>();
  for (const one of within.toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time)))
    all.set(one.user ?? -1, [...(all.get(one.user ?? -1) ?? []), one]);
  return all;
}

/** Answers of another version than the first that `binds` a user; what was sent before that answer was there does not count. */
function crossings(own: KeptRequest[], binds: (request: KeptRequest) => boolean): KeptRequest[] {
  const first = own.find(binds);
  if (!first) return [];
  const known = Date.parse(first.time) + first.latencyMs;
  return own.filter((later) => Date.parse(later.time) > known && later.revision !== first.revision);
}

/** While cookies were handed out, since then: the whole time, steps in between included. */
function sessions(world: World, since: number): { from: number; to: number } {
  const found = spans(world, 'default/reviews', since, holds('session'));
  return { from: found[0]?.from ?? NaN, to: found.at(-1)?.to ?? NaN };
}

/** The cookies that an answer sets, for somebody who brings these. */
const setCookies = (world: World, cookie?: string): Promise<{ set: string[]; revision: unknown }> =>
  new Promise((resolve, reject) => {
    request(
      new URL('/reviews/0', world.sandbox.productpageUrl),
      { headers: { host: 'reviews', ...(cookie ? { cookie } : {}) } },
      (response) => {
        response
          .resume()
          .on('end', () =>
            resolve({ set: response.headers['set-cookie'] ?? [], revision: response.headers['x-sluice-revision'] }),
          );
      },
    )
      .on('error', reject)
      .end();
  });

describe('session affinity', () => {
  let world: World;
  /** What the first run gave its users. */
  let old = '';
  beforeAll(async () => {
    world = await World.start({
      callers: users(40),
      analysis: {
        interval: '5s',
        stepWeights: [30, 60],
        sessionAffinity: { cookieName: COOKIE, path: '/', maxAge: 900, secure: true, sameSite: 'Lax' },
      },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  it('a user who was sent to the new version stays there for as long as the release runs', async () => {
    const since = Date.now();
    const commit = await world.commit({}, 'Sticky');
    await world.until('cookies', () => spans(world, 'default/reviews', since, holds('session')).length > 0);
    const given = await world.until('a cookie', async () => (await setCookies(world)).set[0]);
    expect(given).toMatch(/^reviews-version=[0-9a-f]{10}; Max-Age=900; Path=\/; SameSite=Lax; Secure$/);
    old = given.split(';')[0] ?? '';
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [30, 60, 100] });
    await assertEverybodyOn(world, entry, entry.revision);
    const { from, to } = sessions(world, since);
    const each = byUser(await world.requests(), from, to);
    const onNew = [...each.values()].filter((own) => own.some(({ revision }) => revision === entry.revision));
    expect(each.size).toBe(40);
    expect(onNew.length, 'users who met the new version').toBeGreaterThan(10);
    const returned = onNew.flatMap((own) => crossings(own, ({ revision }) => revision === entry.revision));
    expect(returned.slice(0, 3), 'answers that took a user back').toEqual([]);
    assertNoneFailed((await world.requests()).filter(({ time }) => Date.parse(time) >= since));
  });

  it('the cookie ends with its release: afterwards nobody gets one, and it leads nowhere', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => setCookies(world, old)));
    expect(answers.flatMap(({ set }) => set)).toEqual([]);
    const [since, stable] = [Date.now(), world.status.stable?.revision];
    const commit = await world.commit({ errorRate: 0.3 }, 'Bad, and sticky');
    await world.until('cookies', () =>
      spans(world, 'default/reviews', since, holds('session')).some(({ from }) => Date.now() > from),
    );
    // The old cookie divides like none at all: 30 of 100 requests, which are bad.
    const divided = new Set(
      (await Promise.all(Array.from({ length: 60 }, () => setCookies(world, old)))).map(({ revision }) => revision),
    );
    const entry = await world.ended(commit);
    expect(divided).toEqual(new Set([stable, entry.revision]));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed' });
    // Browsers keep what they were given; it means nothing any more.
    await assertEverybodyOn(world, entry, stable ?? '');
  });
});

describe('session affinity with a cookie for the stable version, too', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      callers: users(60),
      analysis: {
        interval: '4s',
        stepWeights: [30, 60],
        sessionAffinity: { cookieName: COOKIE, primaryCookieName: 'reviews-stable', path: '/' },
      },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });

  it('no user crosses in either direction before the promotion', async () => {
    const [since, stable] = [Date.now(), world.status.stable?.revision ?? ''];
    const entry = await world.ended(await world.commit({}, 'Nobody crosses'));
    expect(entry).toMatchObject({ result: 'Succeeded' });
    await assertEverybodyOn(world, entry, entry.revision);
    const { from, to } = sessions(world, since);
    const each = [...byUser(await world.requests(), from, to).values()];
    expect(each).toHaveLength(60);
    const crossed = each.flatMap((own) => crossings(own, () => true));
    expect(crossed.slice(0, 3), 'answers that took a user across').toEqual([]);
    const onNew = each.filter((own) => own.at(-1)?.revision === entry.revision).length;
    const onStable = each.filter((own) => own.at(-1)?.revision === stable).length;
    expect([onNew > 3, onStable > 3], `${onNew} users on the new version, ${onStable} on the stable one`).toEqual([true, true]);
    assertNoneFailed((await world.requests()).filter(({ time }) => Date.parse(time) >= since));
  });
});
