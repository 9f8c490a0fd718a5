import { describe, expect, it, vi } from 'vitest';
import { conflict, expired, failed, faulty, isWrite, noAnswer, type Call, type Faults } from './faulty-client.js';
import { startWorld } from './harness.js';
import { canary } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 300_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: false });

/** Numbers from 0 to 1, the same for the same seed. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A whole life: a promotion, a bad version, one that is replaced, a way back. Everything is told once. */
async function life(shop: Shop): Promise<void> {
  await shop.adopted(canary({ analysis: { interval: '200ms' } }));
  shop.guard();
  shop.release('v2');
  expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
  shop.health({ errorRate: 1 }, ['blue']);
  shop.release('bad');
  expect(await shop.ended(2)).toMatchObject({ result: 'Failed', reason: 'ChecksFailed' });
  shop.health({ errorRate: 0 }, ['blue']);
  shop.release('v3');
  await shop.see('v3 is under way', () => shop.status.run !== undefined && shop.status.canaryWeight > 0);
  shop.release('v2');
  expect(await shop.ended(3)).toMatchObject({ result: 'Cancelled', reason: 'BackToStable' });
  await shop.see('all is told', () => (shop.status.messages ?? []).length === 0);
  const told = [...new Map(shop.messages.map(({ body }) => [body['id'], String(body['event'])])).values()].toSorted();
  expect(told).toEqual(['Cancelled', 'Failed', 'Initialized', 'Started', 'Started', 'Started', 'Succeeded']);
  expect(shop.history.map(({ result }) => result)).toEqual(['Cancelled', 'Failed', 'Succeeded']);
  expect(shop.weights).toEqual({ 'reviews-blue': 0, 'reviews-green': 100 });
}

/** Plays a life under the faults; returns how many befell it. */
async function under(faults: (hit: (name: string) => void) => Faults): Promise<Record<string, number>> {
  const shop = await world.shop();
  const hits: Record<string, number> = {};
  const hit = (name: string): void => void (hits[name] = (hits[name] ?? 0) + 1);
  const controller = await world.runController({ namespace: shop.namespace, wrap: (client) => faulty(client, faults(hit)) });
  await life(shop);
  await controller.stop();
  return hits;
}

describe.concurrent('a controller goes through a whole life', () => {
  it('while every third write is in conflict with somebody else’s', async () => {
    const random = chance(1);
    const hits = await under((hit) => ({
      before: (call) => {
        if (!isWrite(call) || call.verb === 'create' || random() > 1 / 3) return;
        hit('conflict');
        throw conflict();
      },
    }));
    expect(hits['conflict']).toBeGreaterThan(10);
  });

  it('while writes fail before and after they are carried out', async () => {
    const random = chance(2);
    const hits = await under((hit) => {
      const maybe = (call: Call, name: string, error: Error): void => {
        if (!isWrite(call) || random() > 1 / 6) return;
        hit(name);
        throw error;
      };
      return { before: (call) => maybe(call, 'refused', failed()), after: (call) => maybe(call, 'lost', noAnswer()) };
    });
    expect(hits['refused']).toBeGreaterThan(5);
    expect(hits['lost']).toBeGreaterThan(5);
  });

  it('while requests take their time', async () => {
    const random = chance(3);
    await under(() => ({ before: () => wait(random() * 300), after: () => wait(random() * 100) }));
  });

  it('while watches break, and what they missed is compacted away', async () => {
    const random = chance(4);
    const hits = await under((hit) => {
      const broken = new Map<string, number>();
      return {
        hides: (call) => {
          // Each kind a few times: an informer backs off from a server that does nothing else.
          const count = broken.get(call.resource.kind) ?? 0;
          if (count >= 3 || random() > 1 / 5) return false;
          broken.set(call.resource.kind, count + 1);
          const name = random() < 0.5 ? 'expired' : 'dropped';
          hit(name);
          throw name === 'expired' ? expired() : noAnswer();
        },
        before: (call) => {
          if (call.verb !== 'list' || random() > 1 / 5) return;
          hit('list');
          throw failed();
        },
      };
    });
    expect((hits['expired'] ?? 0) + (hits['dropped'] ?? 0)).toBeGreaterThan(10);
  });

  it('while all of that happens at once', async () => {
    const random = chance(5);
    const broken = new Map<string, number>();
    const hits = await under((hit) => ({
      before: async (call) => {
        await wait(random() * 60);
        if (!isWrite(call) || random() > 1 / 6) return;
        hit('before');
        throw call.verb !== 'create' && random() < 0.6 ? conflict() : failed();
      },
      after: (call) => {
        if (!isWrite(call) || random() > 1 / 10) return;
        hit('after');
        throw noAnswer();
      },
      hides: (call) => {
        const count = broken.get(call.resource.kind) ?? 0;
        if (count >= 2 || random() > 1 / 8) return false;
        broken.set(call.resource.kind, count + 1);
        hit('watch');
        throw expired();
      },
    }));
    expect(Object.keys(hits).toSorted()).toEqual(['after', 'before', 'watch']);
  });
});
