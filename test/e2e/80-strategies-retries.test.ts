import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assertEverybodyOn, assertNoneFailed } from './callers.js';
import { World } from './harness.js';

const ROUTES = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
    - retries:
        attempts: 5
        perTryTimeout: 5s
        retryOn: 5xx,connect-failure
      route:
        - destination: {host: reviews}
`;

describe('a route with retries', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      files: { 'virtualservice.yaml': ROUTES },
      canary: { service: { virtualService: { name: 'reviews' } } },
      analysis: {
        interval: '4s',
        stepWeights: [30, 60],
        metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 }, minSamples: 10 }],
      },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  it('a good version is promoted', async () => {
    expect(await world.ended(await world.commit({}, 'Good'))).toMatchObject({ result: 'Succeeded', weights: [30, 60, 100] });
  });

  it('a version whose failures nobody notices, because proxies try again, is taken back all the same', async () => {
    const [since, stable] = [Date.now(), world.status.stable?.revision ?? ''];
    const entry = await world.ended(await world.commit({ errorRate: 0.25 }, 'Fails behind retries'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [30] });
    expect(entry.message).toMatch(
      /^success rate [78]\d(\.\d+)? % < 99 % over \d+ tries \(callers, whose proxies tried again, got (99\.\d+|100) %\)$/,
    );
    await assertEverybodyOn(world, entry, stable);
    const requests = (await world.requests()).filter(({ time }) => Date.parse(time) >= since);
    expect(requests.some(({ revision }) => revision === entry.revision)).toBe(true);
    assertNoneFailed(requests);
  });
});
