import { describe, expect, it, vi } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { faulty, isWrite, noAnswer } from './faulty-client.js';
import { startWorld } from './harness.js';
import type { Shop } from './shop.js';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: false });

/** Lives worked on at once. */
const AT_ONCE = 6;

interface Life {
  /** Writes that were carried out since it was armed. */
  writes: number;
  armed: boolean;
  dead: Promise<void>;
  stop(): Promise<void>;
}

/** A controller of one namespace that dies as soon as the server has carried out its n-th write, before it hears of that. */
async function mortal(shop: Shop, n: number): Promise<Life> {
  let dead = false;
  let died: () => void = () => {};
  const life = { writes: 0, armed: false, dead: new Promise<void>((resolve) => (died = resolve)) };
  const controller = await world.runController({
    namespace: shop.namespace,
    wrap: (client) =>
      faulty(client, {
        before: () => {
          if (dead) throw noAnswer();
        },
        after: (call) => {
          if (life.armed && isWrite(call) && !dead && (life.writes += 1) === n) {
            dead = true;
            died();
          }
          if (dead) throw noAnswer();
        },
        hides: () => dead,
      }),
  });
  return Object.assign(life, { stop: () => controller.stop() });
}

interface Story {
  /** Up to where nobody dies. */
  before: (shop: Shop) => Promise<void>;
  /** What the controller must carry to its end, whoever does. */
  act: (shop: Shop) => void;
  ends: (shop: Shop) => Promise<void>;
}

/** Plays the story with a death after its n-th write; returns false when it has fewer. */
async function playWithDeath(story: Story, n: number): Promise<boolean> {
  const shop = await world.shop();
  const first = await mortal(shop, n);
  await story.before(shop);
  shop.guard();
  first.armed = true;
  story.act(shop);
  const died = await Promise.race([first.dead.then(() => true), story.ends(shop).then(() => false)]);
  await first.stop();
  if (!died) return false;
  const second = await world.runController({ namespace: shop.namespace });
  await story.ends(shop);
  await second.stop();
  return true;
}

/** A death after every single write. */
async function dieEverywhere(story: Story, atLeast: number): Promise<void> {
  for (let n = 1; ; n += AT_ONCE) {
    const played = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => playWithDeath(story, n + index)));
    if (played.every(Boolean)) continue;
    expect(n + played.indexOf(false), 'writes of the story').toBeGreaterThan(atLeast);
    return;
  }
}

/** Each message by its id: a receiver drops what it has had before. */
const told = (shop: Shop): string[] => [...new Map(shop.messages.filter(({ answered }) => answered === 200).map(({ body }) => [body['id'], String(body['event'])])).values()];

async function everybodyKnows(shop: Shop, events: string[]): Promise<void> {
  await shop.see(`messages ${events.join()}`, () => events.every((event) => told(shop).includes(event)));
  await shop.see('an empty outbox', () => (shop.status.messages ?? []).length === 0);
  expect(told(shop).toSorted()).toEqual(events.toSorted());
}

describe('a controller that dies after any of its writes', () => {
  it('while it adopts: the next one finishes', () =>
    dieEverywhere(
      {
        before: (shop) => shop.running(),
        act: (shop) => shop.adoptable(),
        ends: async (shop) => {
          await shop.phase('Initialized');
          await shop.see('the target runs no pods', () => shop.replicas('reviews') === 0);
          expect(shop.weights).toEqual({ 'reviews-blue': 100, 'reviews-green': 0 });
        },
      },
      8,
    ));

  it('while it promotes: the next one finishes the same run, which is told once', () =>
    dieEverywhere(
      {
        before: async (shop) => {
          await shop.adopted();
          await everybodyKnows(shop, ['Initialized']);
        },
        act: (shop) => shop.release('v2'),
        ends: async (shop) => {
          expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', reason: 'Promoted', weights: [20, 60, 100] });
          expect(shop.weights).toEqual({ 'reviews-blue': 0, 'reviews-green': 100 });
          await shop.see('the old slot is empty', () => shop.replicas('reviews-blue') === 0);
          await everybodyKnows(shop, ['Initialized', 'Started', 'Succeeded']);
          expect(shop.history).toHaveLength(1);
        },
      },
      12,
    ));

  it('while it takes back: the next one finishes the same run, which is told once', () =>
    dieEverywhere(
      {
        before: async (shop) => {
          await shop.adopted();
          await everybodyKnows(shop, ['Initialized']);
          shop.health({ errorRate: 1 }, ['green']);
        },
        act: (shop) => shop.release('bad'),
        ends: async (shop) => {
          const ending = await shop.ended(1);
          expect(ending).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [20] });
          expect(shop.weights).toEqual({ 'reviews-blue': 100, 'reviews-green': 0 });
          await shop.see('the bad slot is empty', () => shop.replicas('reviews-green') === 0);
          await everybodyKnows(shop, ['Initialized', 'Started', 'Failed']);
          expect(shop.history).toHaveLength(1);
          expect(shop.status.quarantined?.map(({ revision }) => revision)).toEqual([ending.revision]);
        },
      },
      10,
    ));

  it('while it gives everything back: the next one finishes', () =>
    dieEverywhere(
      {
        before: async (shop) => {
          await shop.adopted();
          await everybodyKnows(shop, ['Initialized']);
        },
        act: (shop) => shop.remove(SluiceResources.Canary),
        ends: async (shop) => {
          await shop.see('the Canary is gone', () => shop.canary === undefined);
          expect(shop.replicas('reviews')).toBe(2);
          expect(shop.selector()).toEqual({ app: 'reviews' });
          expect(shop.replicas('reviews-blue')).toBeUndefined();
        },
      },
      8,
    ));
});
