import { describe, expect, it, vi } from 'vitest';
import { startWorld } from './harness.js';
import { canaryWith } from './manifests.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

/** Steps that are far longer than it takes to see the difference. */
const compared = { interval: '30s', warmup: '0s', evaluate: '500ms', stepWeights: [20, 60], verdict: { minSamples: 200 }, metrics: [{ name: 'request-success-rate' }, { name: 'request-duration' }] };
const ON_BLUE = { 'reviews-blue': 100, 'reviews-green': 0 };

describe.concurrent('a release that is compared with the version it replaces', () => {
  it('is taken back in the middle of its first step when it fails more', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith(compared));
    shop.guard();
    shop.health({ errorRate: 0.002 }, ['blue']);
    shop.health({ errorRate: 0.2 }, ['green']);
    shop.release('bad');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'Regression', weights: [20], message: expect.stringMatching(/^failed requests: canary 20 % of [\d,]+, stable 0\.2 % of [\d,]+, a difference of /) });
    expect(shop.weights).toEqual(ON_BLUE);
    await shop.see('the reason in the message', () => String(shop.told('Failed')[0]?.body['text']).includes('chance would show this of a version that is not worse in 1 in'));
  });

  it('is taken back when it is slower than the stable version, without a bound that anybody guessed', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith(compared));
    shop.health({ latencyMs: 40 }, ['blue']);
    shop.health({ latencyMs: 400 }, ['green']);
    shop.release('slow');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'Regression', message: expect.stringMatching(/^slow requests \(over \d+ ms\): canary/) });
  });

  it('stays while both fail alike, however much', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith({ ...compared, interval: '4s' }));
    shop.health({ errorRate: 0.3 });
    shop.release('v2');
    await shop.weight(60);
    const seen = (): number => shop.canary?.status?.verdict?.streams.find(({ metric }) => metric === 'request-success-rate')?.canary.total ?? 0;
    expect(seen()).toBeGreaterThanOrEqual(200);
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });

  it('looks often, and writes what it has seen seldom', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith({ ...compared, interval: '60s' }));
    shop.release('v2');
    await shop.weight(20);
    const asked = (): number => world.metrics.queries.length;
    const writes = (): number => world.writes(shop.namespace).filter(({ subresource }) => subresource === 'status').length;
    await shop.see('the first evidence', () => shop.canary?.status?.verdict !== undefined);
    const before = { asked: asked(), writes: writes() };
    await shop.see('many looks', () => asked() >= before.asked + 20, 60_000);
    expect(writes() - before.writes).toBeLessThanOrEqual(3);
    // What was seen meanwhile is stored with the end of the run.
    const stored = shop.canary?.status?.verdict?.streams[0]?.canary.total ?? 0;
    shop.act('abort');
    await shop.ended(1);
    expect(shop.canary?.status?.verdict?.streams[0]?.canary.total ?? 0).toBeGreaterThan(stored + 500);
  });

  it('says what it needs where nothing comparable serves, and begins nothing', async () => {
    const shop = await world.shop();
    await shop.running();
    shop.put(canaryWith({ ...compared, stepWeights: [50, 100] }));
    await shop.see('the refusal', () => shop.condition('Stalled')?.status === 'True');
    expect(shop.condition('Stalled')).toMatchObject({ reason: 'InvalidSpec', message: expect.stringContaining('spec.analysis.verdict: step 2 (weight 100 %) cannot be compared with the stable version: the stable version gets no requests') });
    expect(shop.canary?.status?.adoptedAt).toBeUndefined();
  });
});
