import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { Resources } from '../../src/kube/index.js';
import { REPLICAS, World } from './harness.js';
import { adoptUnderLoad, assertLeft, leaveUnderLoad, pristine, type Pristine } from './leaving.js';

const STEPS = [25, 60];

describe('a Canary is deleted in the middle of a release, under load', () => {
  let world: World;
  let before: Pristine;
  beforeAll(async () => {
    world = await World.start({ rps: 120, withoutCanary: true, analysis: { interval: '4s', stepWeights: STEPS } });
    before = await pristine(world);
  });
  afterAll(async () => {
    await world?.stop();
  });

  it('adopts and promotes without losing a request', async () => {
    await adoptUnderLoad(world);
    const [since, slot] = [Date.now(), world.freeSlot];
    const entry = await world.ended(await world.commit({}, 'A good version'));
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [...STEPS, 100] });
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(STEPS.length);
  });

  it('gives the target back, and loses no request', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    await world.commit({}, 'Never finished');
    await world.weight(slot, 60, since);
    await leaveUnderLoad(world);
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 0]);
    world.recorder.assertInvariants(REPLICAS);
    expect(world.sandbox.tally.totals.failed, 'failed requests').toBe(0);
    await assertLeft(world, before);
    expect(world.sandbox.tally.totals.failed, 'failed requests').toBe(0);
  });
});

const NAME = 'bookinfo-reviews';
const reviews = { destination: { host: 'reviews', port: { number: 9080 } } };
const virtualService = (timeout: string): string =>
  stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: NAME, labels: { team: 'books' } },
    spec: {
      hosts: ['reviews'],
      http: [
        {
          name: 'staff',
          match: [{ headers: { 'x-team': { exact: 'staff' } } }],
          route: [
            { destination: { host: 'details', port: { number: 9080 } }, weight: 70 },
            { destination: { host: 'ratings', port: { number: 9080 } }, weight: 30 },
          ],
          timeout,
        },
        {
          name: 'primary',
          match: [{ uri: { prefix: '/reviews' } }],
          headers: { request: { add: { 'x-route': 'primary' } } },
          timeout: '10s',
          route: [reviews],
        },
        { name: 'rest', route: [reviews], retries: { attempts: 0 } },
      ],
    },
  });

interface RouteLike {
  name: string;
  route?: unknown;
}

describe("the user's own VirtualService with several routes", () => {
  let world: World;
  let before: Pristine;
  const live = async (): Promise<RouteLike[]> =>
    ((await world.plane.client.get(Resources.VirtualService, 'default', NAME))['spec'] as { http: RouteLike[] }).http;
  const written = (): RouteLike[] => (JSON.parse(before[`VirtualService ${NAME}`]?.spec ?? '{}') as { http: RouteLike[] }).http;
  /** All but the destinations of the named route. */
  const untouched = (http: RouteLike[]): string =>
    JSON.stringify(http.map((item) => (item.name === 'primary' ? { ...item, route: [] } : item)));

  beforeAll(async () => {
    world = await World.start({
      rps: 120,
      virtualService: NAME,
      withoutCanary: true,
      canary: { service: { virtualService: { name: NAME, routes: ['primary'] } } },
      files: { 'virtualservice.yaml': virtualService('3s') },
      analysis: { interval: '4s', stepWeights: STEPS },
    });
    before = await pristine(world, [NAME]);
  });
  afterAll(async () => {
    await world?.stop();
  });

  it('shifts only the destinations of the named route', async () => {
    await adoptUnderLoad(world);
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.commit({}, 'A good version');
    await world.weight(slot, 25, since);
    // A change of another route comes in the middle; the weights stay.
    await world.sandbox.repository.commit({ 'virtualservice.yaml': virtualService('4s') }, 'Another timeout');
    await world.until('the other timeout', async () => JSON.stringify(await live()).includes('"4s"'));
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [...STEPS, 100] });
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(STEPS.length);
    const changed = untouched(written()).replace('"3s"', '"4s"');
    for (const { object } of world.recorder.virtualServices.filter(({ at }) => at >= since)) {
      const { http } = object['spec'] as { http: RouteLike[] };
      expect([untouched(written()), changed]).toContain(untouched(http));
    }
    expect(untouched(await live())).toBe(changed);
  });

  it('is byte for byte what the user wrote when the Canary is gone', async () => {
    await world.sandbox.repository.commit({ 'virtualservice.yaml': virtualService('3s') }, 'The first timeout again');
    await leaveUnderLoad(world);
    world.recorder.assertInvariants(REPLICAS);
    await assertLeft(world, before, [NAME]);
    expect(world.sandbox.tally.totals.failed, 'failed requests').toBe(0);
  });
});
