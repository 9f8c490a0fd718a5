import { expect, it, vi } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import type { KubeObject } from '../../src/kube/types.js';
import { startWorld } from './harness.js';
import { canary, canaryWith } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 120_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

const entry = (name: string, labels: Record<string, string>): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name },
  spec: { hosts: [`${name}.example`], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'STATIC', workloadSelector: { labels } },
});
const HALF = { stepWeights: undefined, steps: [{ weight: 50, approve: true }] };
const labelsOf = (shop: Shop, name: string): Record<string, string> => shop.spec<{ workloadSelector: { labels: Record<string, string> } }>(Resources.ServiceEntry, name)?.workloadSelector.labels ?? {};
const of = (slot: string): Record<string, string> => ({ app: 'reviews', 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': slot });

it('a ServiceEntry that selects the pods leads to the slot that serves, follows the promotion, and is given back', async () => {
  const shop = await world.shop();
  const before = shop.put(entry('early', { app: 'reviews' }));
  shop.put(entry('other', { app: 'ratings' }));
  await shop.adopted(canaryWith(HALF));
  await shop.see('the slot', () => labelsOf(shop, 'early')['sluice.dev/slot'] === 'blue');
  shop.release('v2');
  await shop.reason('Progressing', 'WaitingForApproval');
  // One that appears in the middle of a release, too.
  shop.put(entry('late', { app: 'reviews' }));
  await shop.see('the slot in the late one', () => labelsOf(shop, 'late')['sluice.dev/slot'] !== undefined);
  expect([labelsOf(shop, 'early'), labelsOf(shop, 'late')]).toEqual([of('blue'), of('blue')]);
  shop.act('approve');
  expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  await shop.see('the new slot', () => ['early', 'late'].every((name) => labelsOf(shop, name)['sluice.dev/slot'] === 'green'));
  expect(shop.get(Resources.ServiceEntry, 'other')?.metadata.annotations ?? {}).toEqual({});
  shop.remove(SluiceResources.Canary);
  await shop.see('the Canary to be gone', () => shop.canary === undefined);
  expect(shop.get(Resources.ServiceEntry, 'early')?.['spec']).toEqual(before['spec']);
  expect(shop.get(Resources.ServiceEntry, 'early')?.metadata.annotations ?? {}).toEqual({});
  expect(labelsOf(shop, 'late')).toEqual({ app: 'reviews' });
});

it('a ServiceEntry that somebody resets is put right', async () => {
  const shop = await world.shop();
  shop.put(entry('early', { app: 'reviews' }));
  await shop.adopted(canary());
  await shop.see('the slot', () => labelsOf(shop, 'early')['sluice.dev/slot'] === 'blue');
  shop.merge(Resources.ServiceEntry, 'early', { spec: { workloadSelector: { labels: { 'sluice.dev/slot': null, 'sluice.dev/canary': null, tier: 'web' } } } });
  await shop.see('the slot again', () => labelsOf(shop, 'early')['sluice.dev/slot'] === 'blue');
  // What they wrote beside it is theirs.
  expect(labelsOf(shop, 'early')).toEqual({ ...of('blue'), tier: 'web' });
});
