import { describe, expect, it, vi } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import { startWorld } from './harness.js';
import { canary, deployment } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

/** How many pods could answer for the canary at every change of its weight. */
function pods(shop: Shop): { seen: [weight: number, ready: number][]; stop: () => void } {
  const seen: [number, number][] = [];
  const stop = world.server.store.watch(
    Resources.VirtualService,
    () => {
      const weight = shop.weights['reviews-green'] ?? 0;
      if (seen.at(-1)?.[0] !== weight) seen.push([weight, shop.endpoints('reviews-green')]);
    },
    { namespace: shop.namespace },
  );
  return { seen, stop };
}

describe.concurrent('pods of the canary', () => {
  it('proportional: as many as each weight needs, ready before the weight comes, and all of them before all traffic', async () => {
    const shop = await world.shop();
    await shop.adopted(canary({ analysis: { stepWeights: [20, 60], canaryReplicas: 'proportional' } }), deployment('v1', {}, 10));
    const { seen, stop } = pods(shop);
    shop.release('slow-v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    stop();
    expect(seen.filter(([weight]) => weight > 0)).toEqual([
      [20, 2],
      [60, 6],
      [100, 10],
    ]);
    expect(shop.endpoints('reviews')).toBe(10);
  });

  it('full, by default: as many as the stable version has, from the first weight on', async () => {
    const shop = await world.shop();
    await shop.adopted(canary(), deployment('v1', {}, 5));
    const { seen, stop } = pods(shop);
    shop.release('slow-v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    stop();
    expect(seen.filter(([weight]) => weight > 0)).toEqual([
      [20, 5],
      [60, 5],
      [100, 5],
    ]);
  });

  it('that come by growth in the middle of a release are waited for on both sides, and give it a deadline of their own', async () => {
    const shop = await world.shop();
    await shop.adopted(canary());
    const { seen, stop } = pods(shop);
    // Nobody calls, so the release stays at its first weight.
    shop.health({ requests: 0 });
    shop.release('slow-v2');
    await shop.weight(20);
    await shop.reason('Progressing', 'NotEnoughData');
    const deadline = (): number => Date.parse(shop.status.deadline ?? '');
    const before = deadline();
    shop.merge(SluiceResources.Canary, 'reviews', { spec: { replicas: 10 } }, 'scale');
    await shop.see('a later deadline', () => deadline() > before);
    const given = deadline();
    shop.merge(SluiceResources.Canary, 'reviews', { spec: { replicas: 4 } }, 'scale');
    await shop.see('fewer pods', () => shop.replicas('reviews-blue') === 4);
    shop.merge(SluiceResources.Canary, 'reviews', { spec: { replicas: 10 } }, 'scale');
    await shop.see('as many again', () => shop.replicas('reviews-blue') === 10);
    expect(deadline(), 'a number that was asked for before is no growth').toBe(given);
    shop.health({ requests: 100 });
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    stop();
    const late = seen.filter(([weight]) => weight > 20);
    expect(late.map(([weight]) => weight)).toEqual([60, 100]);
    for (const [weight, ready] of late) expect(ready, `ready pods at weight ${weight}`).toBeGreaterThanOrEqual((weight * 10) / 100);
  });
});
