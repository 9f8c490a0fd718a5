import { expect, it, vi } from 'vitest';
import { KubeError } from '../../src/kube/index.js';
import { Resources } from '../../src/kube/resources.js';
import { faulty } from './faulty-client.js';
import { startWorld } from './harness.js';
import { service } from './manifests.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: false });

it('a Service that may not be changed is named, and no pod of another version starts before it leads to the stable one', async () => {
  let guarded = true;
  await world.runController({
    wrap: (client) =>
      faulty(client, {
        before: ({ verb, resource, name }) => {
          if (guarded && verb === 'patch' && resource.kind === 'Service' && name === 'reviews-grpc') throw new KubeError(403, 'Forbidden', 'services "reviews-grpc" is forbidden: a policy says so');
        },
      }),
  });
  const shop = await world.shop();
  await shop.adopted();
  shop.put(service('reviews-grpc'));
  const { message } = await shop.reason('Stalled', 'OverlayRefused');
  expect(message).toContain('Service reviews-grpc selects the pods of the target and may not be changed: services "reviews-grpc" is forbidden: a policy says so');
  shop.release('v2');
  await shop.reason('Progressing', 'Settling');
  await shop.see('the wait', () => shop.condition('Progressing')?.message.includes('led to the stable version first'));
  expect(shop.get(Resources.Deployment, 'reviews-green')).toBeUndefined();
  expect(shop.condition('Ready')).toMatchObject({ status: 'True' });
  guarded = false;
  expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
  await shop.see('the new slot', () => shop.selector('reviews-grpc')['sluice.dev/slot'] === 'green');
});
