import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Resources } from '../../src/kube/resources.js';
import { World } from './harness.js';

let world: World;
beforeAll(async () => {
  world = await World.create();
  await world.runController();
});
afterAll(() => world.stop());
afterEach(() => expect(world.truths.broken).toEqual([]));

describe.concurrent('a release on the embedded API', () => {
  it('adopts a running target without a moment in which it does not serve', async () => {
    const shop = await world.shop();
    await shop.adopted();
    expect(shop.weights).toEqual({ 'reviews-blue': 100, 'reviews-green': 0 });
    expect(shop.selector()).toMatchObject({ app: 'reviews', 'sluice.dev/slot': 'blue' });
    await shop.see('the target runs no pods', () => shop.replicas('reviews') === 0);
    expect(shop.canary?.spec.replicas).toBe(2);
    expect(shop.get(Resources.Service, 'reviews-green')).toBeDefined();
  });

  it('promotes what passes its checks, with the pods that were tested', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('v2');
    await shop.weight(20);
    const tested = shop.images('green');
    const ended = await shop.ended(1);
    expect(ended).toMatchObject({ result: 'Succeeded', reason: 'Promoted', weights: [20, 60, 100] });
    expect(shop.weights).toEqual({ 'reviews-blue': 0, 'reviews-green': 100 });
    expect(shop.images('green')).toEqual(tested);
    expect(shop.selector()).toMatchObject({ 'sluice.dev/slot': 'green' });
    await shop.see('one message of the start and one of the end', () => shop.told('Started').length === 1 && shop.told('Succeeded').length === 1);
    await shop.see('the old version is scaled away', () => shop.replicas('reviews-blue') === 0);
  });
});
