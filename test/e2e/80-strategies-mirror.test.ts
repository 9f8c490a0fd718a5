import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assertEverybodyOn, assertNoneFailed, assertOnly, latest, routesOf, sentIn, spans } from './callers.js';
import { World } from './harness.js';
import { binomialInterval } from './split.js';

const MIRRORED = 60;
const CALLERS = [{ name: 'anybody', rps: 80, headers: {}, host: 'reviews', path: '/reviews/0' }];
const mirrors = (object: Parameters<typeof routesOf>[0]): boolean =>
  routesOf(object).some((route) => route.mirrors !== undefined);

describe('mirroring', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      callers: CALLERS,
      // Slow copies are no failures here: what matters is who waits for them.
      analysis: {
        interval: '6s',
        mirror: true,
        mirrorWeight: MIRRORED,
        stepWeights: [50],
        metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 }, minSamples: 10 }],
      },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  /** Requests that the pods of a workload have counted so far, as the real Prometheus has it. */
  async function counted(workload: string, reporter: string): Promise<number> {
    const query = `sum(istio_requests_total{reporter="${reporter}",destination_workload="${workload}"}) or vector(0)`;
    const answer = await fetch(`${world.sandbox.prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`);
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    return Number(data.result[0]?.value[1]);
  }

  it('as many requests as asked for are copied to the new version, and callers get the stable one', async () => {
    const [since, slot, stable] = [Date.now(), world.freeSlot, world.status.stable?.revision ?? ''];
    const workload = `reviews-${slot}`;
    const commit = await world.commit({}, 'Copies first');
    await world.until('copies', () => spans(world, 'default/reviews', since, mirrors).length > 0);
    const [before, directBefore, sentBefore] = [
      await counted(workload, 'destination'),
      await counted(workload, 'source'),
      (await world.requests()).length,
    ];
    await world.until('four seconds of copies', () =>
      spans(world, 'default/reviews', since, mirrors).some(({ from }) => Date.now() > from + 4_000),
    );
    const [copies, sent] = [(await counted(workload, 'destination')) - before, (await world.requests()).length - sentBefore];
    expect((await counted(workload, 'source')) - directBefore, 'requests of callers that went to the new version itself').toBe(0);
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [50, 100] });
    // Both counts are a scrape old at most: a second of requests at either end.
    const slack = 2 * (CALLERS[0]?.rps ?? 0);
    const [low, high] = binomialInterval(sent, MIRRORED / 100, 0.9999);
    expect(copies, `copies of ${sent} requests`).toBeGreaterThanOrEqual(low - slack);
    expect(copies, `copies of ${sent} requests`).toBeLessThanOrEqual(high + slack);
    const requests = await sentIn(world, spans(world, 'default/reviews', since, mirrors));
    assertOnly(requests, 'anybody', stable, 200);
    await assertEverybodyOn(world, entry, entry.revision);
    assertNoneFailed((await world.requests()).filter(({ time }) => Date.parse(time) >= since));
  });

  it('copies that fail and take long are noticed by Sluice alone', async () => {
    const [since, stable] = [Date.now(), world.status.stable?.revision ?? ''];
    const entry = await world.ended(await world.commit({ errorRate: 0.4, latencyMs: 1_500 }, 'Bad as a copy'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [] });
    await assertEverybodyOn(world, entry, stable);
    const requests = (await world.requests()).filter(({ time }) => Date.parse(time) >= since);
    assertOnly(requests, 'anybody', stable, 400);
    assertNoneFailed(requests);
    const latencies = requests.map(({ latencyMs }) => latencyMs).toSorted((one, other) => one - other);
    expect(latencies[Math.floor(latencies.length * 0.9)], 'nine of ten callers waited no longer than').toBeLessThan(1_000);
    expect(mirrors(latest(world, 'default/reviews'))).toBe(false);
  });
});
