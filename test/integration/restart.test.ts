import { expect, it, vi } from 'vitest';
import { Annotations, SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import { startWorld } from './harness.js';
import type { Shop } from './shop.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

const pods = (shop: Shop, slot: string): string[] =>
  world.server.store.list(Resources.Pod, { namespace: shop.namespace, labelSelector: `sluice.dev/slot=${slot}` }).flatMap(({ metadata }) => (metadata.deletionTimestamp ? [] : (metadata.uid ?? [])));
/** As `kubectl rollout restart deployment/reviews` does. */
const restart = (shop: Shop, at: string): void => shop.merge(Resources.Deployment, 'reviews', { spec: { template: { metadata: { annotations: { [Annotations.restartedAt]: at } } } } });

it('kubectl rollout restart replaces the pods of the stable slot, once, without a release and with somebody serving', async () => {
  const shop = await world.shop();
  await shop.adopted();
  shop.guard();
  const before = pods(shop, 'blue');
  const later = new Date(Date.now() + 60_000).toISOString();
  restart(shop, later);
  await shop.see('all pods are new', () => pods(shop, 'blue').length === 2 && pods(shop, 'blue').every((uid) => !before.includes(uid)));
  const events = (): string[] => world.server.store.list(Resources.Event, { namespace: shop.namespace }).flatMap((event) => (event['reason'] === 'Restarted' ? [String(event['message'])] : []));
  await shop.see('an event says so', () => events().length > 0);
  const restarted = pods(shop, 'blue');
  // Another look at the same wish does nothing, nor does a tool that takes the annotation away again.
  restart(shop, later);
  shop.merge(Resources.Deployment, 'reviews', { spec: { template: { metadata: { annotations: { [Annotations.restartedAt]: null } } } } });
  // A release that follows shows that the controller has seen both.
  shop.release('v2');
  await shop.see('the run of the next version', () => shop.status.run !== undefined);
  expect(pods(shop, 'blue')).toEqual(restarted);
  expect(shop.history).toEqual([]);
  expect(shop.get(SluiceResources.Canary)).toBeDefined();
  expect(world.truths.broken).toEqual([]);
});
