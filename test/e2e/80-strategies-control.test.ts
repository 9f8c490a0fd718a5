import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Resources } from '../../src/kube/index.js';
import { NAMESPACE } from '../../src/sandbox/sandbox.js';
import { assertEverybodyOn, assertNoneFailed, assertOnly, holds, latest, ofGroup, routesOf, sentIn, spans } from './callers.js';
import { World } from './harness.js';
import { assertWindows, type Window } from './split.js';

const WEIGHTS = [30, 60];
const caller = (name: string, rps: number, headers: Record<string, string> = {}) => ({ name, rps, headers, host: 'reviews', path: '/reviews/0' });
const ROUTES = 'default/reviews';

describe('a control arm for the requests that match', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      callers: [caller('jason', 60, { 'end-user': 'jason' }), caller('everybody else', 30)],
      analysis: { interval: '5s', stepWeights: WEIGHTS, match: [{ headers: { 'end-user': { exact: 'jason' } } }], control: true, verdict: { method: 'sequential', minSamples: 20 } },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  const services = async (): Promise<string[]> => {
    const { items } = await world.plane.client.list(Resources.Service, { namespace: NAMESPACE });
    return items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('reviews')).sort();
  };
  /** Requests by the Service that they were sent to, as the proxies of callers counted them. */
  const counted = async (): Promise<Record<string, number>> => {
    const query = encodeURIComponent('sum by (destination_service_name) (istio_requests_total{reporter="source",destination_service_name=~"reviews-.*"})');
    const answer = (await (await fetch(`${world.sandbox.prometheusUrl}/api/v1/query?query=${query}`)).json()) as { data: { result: { metric: { destination_service_name: string }; value: [number, string] }[] } };
    return Object.fromEntries(answer.data.result.map(({ metric, value }) => [metric.destination_service_name, Number(value[1])]));
  };

  it.each(['blue', 'green'])('divides what matches by the weights, between the new version and the arm of slot %s, and nobody else', async (stable) => {
    expect(world.status.stable?.slot).toBe(stable);
    expect(await services()).toEqual(['reviews', 'reviews-blue', 'reviews-blue-control', 'reviews-green', 'reviews-green-control']);
    const [since, old] = [Date.now(), world.status.stable?.revision ?? ''];
    const before = await counted();
    const entry = await world.ended(await world.commit({}, 'For those who asked'));
    expect(entry).toMatchObject({ result: 'Succeeded' });
    const windows: Window[] = [];
    for (const weight of WEIGHTS) {
      const gives = spans(world, ROUTES, since, (object) =>
        routesOf(object).some(({ name, route }) => name?.startsWith('sluice.dev/reviews/match-') && route?.some((to) => to.weight === weight && !to.destination.host.endsWith('-control'))),
      );
      const requests = await sentIn(world, gives);
      const own = ofGroup(requests, 'jason');
      expect(new Set(own.map(({ revision }) => revision))).toEqual(new Set([old, entry.revision]));
      windows.push({ weight, sent: own.length, answered: own.filter(({ revision }) => revision === entry.revision).length });
      assertOnly(requests, 'everybody else', old);
    }
    expect(assertWindows(windows)).toBe(WEIGHTS.length);
    expect(spans(world, ROUTES, since, holds('match')).length).toBeGreaterThan(0);
    await assertEverybodyOn(world, entry, entry.revision);
    const after = await counted();
    const free = stable === 'blue' ? 'green' : 'blue';
    // What matched and was not the canary's went to the arm, and to that of the stable slot alone.
    const arm = (after[`reviews-${stable}-control`] ?? 0) - (before[`reviews-${stable}-control`] ?? 0);
    expect(arm).toBeGreaterThanOrEqual(windows.reduce((sum, { sent, answered }) => sum + sent - answered, 0) * 0.9);
    expect(after[`reviews-${free}-control`] ?? 0).toBe(before[`reviews-${free}-control`] ?? 0);
    assertNoneFailed((await world.requests()).filter(({ time }) => Date.parse(time) >= since));
  });

  it('a bad version is told from the arm, and fails for its part of those who match only', async () => {
    const since = Date.now();
    const entry = await world.ended(await world.commit({ errorRate: 0.4 }, 'Bad for those who asked'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'Regression' });
    assertNoneFailed((await world.requests()).filter(({ time }) => Date.parse(time) >= since), ['everybody else']);
    expect(routesOf(latest(world, ROUTES)).map(({ name }) => name ?? '')).toEqual(['']);
  });

  it('goes with the Canary, and no request is lost', async () => {
    // The target itself must not take over with the bad version.
    expect(await world.ended(await world.commit({}, 'Good again'))).toMatchObject({ result: 'Succeeded' });
    await world.sandbox.repository.removeCanary();
    await world.until('the Services of the slots to go', async () => (await services()).length === 1);
    expect(await services()).toEqual(['reviews']);
    world.assertNothingLost();
  });
});
