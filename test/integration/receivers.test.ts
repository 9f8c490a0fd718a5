import { describe, expect, it, vi } from 'vitest';
import { startWorld } from './harness.js';
import { alertProvider, canaryWith } from './manifests.js';
import type { Shop } from './shop.js';
import type { StubReply } from './stub.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

const hook = (shop: Shop, type: string, more: Record<string, unknown> = {}) => ({ name: 'gate', type, url: `${world.stub.url}/hook/${shop.namespace}`, timeout: '20s', ...more });
const hookPath = (shop: Shop): string => `/hook/${shop.namespace}`;

describe.concurrent('a receiver of messages', () => {
  const failures: [what: string, reply: StubReply][] = [
    ['is down', 503],
    ['hangs', 'hang'],
    ['asks to come later', 429],
  ];
  it.each(failures)('that %s holds up nothing, and gets the message when it is back', async (_what, reply) => {
    const shop = await world.shop();
    world.stub.reply(`/${shop.namespace}`, reply);
    shop.put(alertProvider(`${world.stub.url}/${shop.namespace}`, { timeout: '5s' }));
    await shop.adopted();
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    await shop.see('an attempt to tell', () => shop.messages.some(({ body }) => body['event'] === 'Succeeded'));
    expect(shop.told('Succeeded')).toEqual([]);
    world.stub.reply(`/${shop.namespace}`, 200);
    await shop.see('the message', () => shop.told('Succeeded').length === 1);
    await shop.see('an empty outbox', () => (shop.status.messages ?? []).length === 0);
    expect(shop.told('Succeeded').map(({ body }) => body)).toHaveLength(1);
  });

  it('that refuses a message for good is not asked again, and an Event says so', async () => {
    const shop = await world.shop();
    world.stub.reply(`/${shop.namespace}`, 404);
    await shop.adopted();
    const event = await shop.see('an Event', () => world.audit.find((entry) => entry.namespace === shop.namespace && (entry.requestBody as { reason?: string } | undefined)?.reason === 'NotificationFailed'));
    expect((event.requestBody as { message: string }).message).toMatch(/AlertProvider "team": the receiver answered 404; there is no such receiver any more/);
    await shop.see('an empty outbox', () => (shop.status.messages ?? []).length === 0);
    world.stub.reply(`/${shop.namespace}`, 200);
    shop.release('v2');
    await shop.ended(1);
    await shop.see('the next message', () => shop.told('Succeeded').length === 1);
    expect(shop.told('Initialized')).toEqual([]);
  });
});

describe.concurrent('a webhook', () => {
  it('that hangs before a rollout holds only its own release, which goes on when it answers', async () => {
    const [held, free] = [await world.shop(), await world.shop()];
    world.stub.reply(hookPath(held), 'hang');
    await Promise.all([held.adopted(canaryWith({ webhooks: [hook(held, 'confirm-rollout', { timeout: '3s' })] })), free.adopted()]);
    held.release('v2');
    free.release('v2');
    expect(await free.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect((await held.reason('Progressing', 'WaitingForWebhook')).message).toMatch(/webhook gate \(confirm-rollout\) has not agreed/);
    expect(held.weights).toEqual({ 'reviews-blue': 100, 'reviews-green': 0 });
    world.stub.reply(hookPath(held), 200);
    expect(await held.ended(1)).toMatchObject({ result: 'Succeeded' });
  });

  it('that hangs does not hold up an abort', async () => {
    const shop = await world.shop();
    world.stub.reply(hookPath(shop), 'hang');
    await shop.adopted(canaryWith({ webhooks: [hook(shop, 'rollout', { timeout: '1h' })] }));
    shop.release('v2');
    await shop.see('the call', () => world.stub.at(hookPath(shop)).length === 1);
    shop.act('abort');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'Aborted' });
    expect(shop.weights).toEqual({ 'reviews-blue': 100, 'reviews-green': 0 });
    expect(world.stub.at(hookPath(shop))).toHaveLength(1);
  });

  it('that refuses during the rollout takes it back, in its own words', async () => {
    const shop = await world.shop();
    world.stub.reply(hookPath(shop), [500, 'smoke test failed']);
    await shop.adopted(canaryWith({ webhooks: [hook(shop, 'rollout')] }));
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', message: expect.stringMatching(/smoke test failed/) });
  });

  it('that confirms traffic is asked once before each increase, the first and the last included', async () => {
    const shop = await world.shop();
    world.stub.look(hookPath(shop), () => shop.weights['reviews-green']);
    await shop.adopted(canaryWith({ webhooks: [hook(shop, 'confirm-traffic-increase')] }));
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    expect(world.stub.at(hookPath(shop)).map(({ seen }) => seen)).toEqual([0, 20, 60]);
  });
});

// By itself: it makes more work at once than any timeout in the tests above has room for.
describe('webhooks', () => {
  it('that hang, more than are worked on at once, do not keep other releases from starting', async () => {
    const hanging = await Promise.all(Array.from({ length: 34 }, () => world.shop()));
    const free = await world.shop();
    for (const shop of hanging) world.stub.reply(hookPath(shop), 'hang');
    await Promise.all([...hanging.map((shop) => shop.adopted(canaryWith({ webhooks: [hook(shop, 'confirm-rollout', { timeout: '1h' })] }))), free.adopted()]);
    for (const shop of hanging) shop.release('v2');
    await Promise.all(hanging.map((shop) => shop.see('the call', () => world.stub.at(hookPath(shop)).length === 1)));
    free.release('v2');
    expect(await free.ended(1)).toMatchObject({ result: 'Succeeded' });
  });
});
