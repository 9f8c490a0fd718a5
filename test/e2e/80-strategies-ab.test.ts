import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assertEverybodyOn, assertNoneFailed, assertOnly, holds, latest, ofGroup, sentIn, spans } from './callers.js';
import { World } from './harness.js';

/** Two rules of the user's, in an order that matters. */
const ROUTES = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
    - name: testers
      match:
        - headers:
            x-tester: {exact: "yes"}
      timeout: 10s
      route:
        - destination: {host: reviews}
    - name: everybody
      timeout: 8s
      route:
        - destination: {host: reviews}
`;

const caller = (name: string, headers: Record<string, string> = {}, path = '/reviews/0') => ({
  name,
  rps: 15,
  headers,
  host: 'reviews',
  path,
});
const CHOSEN = [
  caller('jason', { 'end-user': 'jason' }),
  caller('jason as a tester', { 'end-user': 'jason', 'x-tester': 'yes' }),
  caller('a beta cookie', { cookie: 'theme=dark; beta=1; lang=en' }),
  caller('a beta query', {}, '/reviews/0?page=2&beta=on'),
];
const OTHERS = [
  caller('everybody else'),
  caller('jasonx', { 'end-user': 'jasonx' }),
  caller('another cookie', { cookie: 'notbeta=1; beta=10' }),
  caller('another query', {}, '/reviews/0?beta=off'),
  caller('a tester', { 'x-tester': 'yes' }),
];
const names = (groups: { name: string }[]): string[] => groups.map(({ name }) => name);

describe('A/B by header, cookie and query parameter, on the routes of the user', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      callers: [...CHOSEN, ...OTHERS],
      files: { 'virtualservice.yaml': ROUTES },
      canary: { service: { virtualService: { name: 'reviews' } } },
      analysis: {
        interval: '3s',
        iterations: 3,
        match: [
          { headers: { 'end-user': { exact: 'jason' } } },
          { headers: { cookie: { regex: String.raw`^(.*?;\s*)?(beta=1)(;.*)?$` } } },
          { queryParams: { beta: { exact: 'on' } } },
        ],
      },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  it('who matches gets the new version and nobody else does, until everybody gets it', async () => {
    const [since, stable] = [Date.now(), world.status.stable?.revision ?? ''];
    const entry = await world.ended(await world.commit({}, 'For those who asked'));
    expect(entry).toMatchObject({ result: 'Succeeded' });
    const requests = await sentIn(world, spans(world, 'default/reviews', since, holds('match')));
    for (const group of names(CHOSEN)) assertOnly(requests, group, entry.revision, 60);
    for (const group of names(OTHERS)) assertOnly(requests, group, stable, 60);
    await assertEverybodyOn(world, entry, entry.revision);
    assertNoneFailed((await world.requests()).filter(({ time }) => Date.parse(time) >= since));
  });

  it('a bad version fails for those who match only, and is taken back from them', async () => {
    const [since, stable] = [Date.now(), world.status.stable?.revision ?? ''];
    const entry = await world.ended(await world.commit({ errorRate: 0.4 }, 'Bad for those who asked'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [] });
    await assertEverybodyOn(world, entry, stable);
    const requests = (await world.requests()).filter(({ time }) => Date.parse(time) >= since);
    const met = requests.filter(({ revision }) => revision === entry.revision);
    expect(new Set(met.map(({ group }) => group)), 'groups that met the bad version').toEqual(new Set(names(CHOSEN)));
    expect(ofGroup(met, 'jason').some(({ status }) => status === 500)).toBe(true);
    assertNoneFailed(requests, names(OTHERS));
  });

  it('leaves the routes as the user has them', () => {
    const { http } = latest(world, 'default/reviews')['spec'] as { http: { name?: string; timeout?: string }[] };
    expect(http.map(({ name, timeout }) => `${name} ${timeout}`)).toEqual(['testers 10s', 'everybody 8s']);
    world.assertNothingLost();
  });
});
