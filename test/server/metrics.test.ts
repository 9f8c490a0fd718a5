import { expect, it } from 'vitest';
import { canarySpec, canaryStatus, type Canary } from '../../src/api/index.js';
import { ControllerMetrics } from '../../src/server/metrics.js';

const spec = canarySpec.parse({ targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' }, service: { port: 80 }, analysis: { stepWeights: [10] } });
const withStatus = (status: Record<string, unknown>): Canary => ({ apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { namespace: 'shop', name: 'reviews' }, spec, status: canaryStatus.parse(status) });

it('every revision is shown with its commit, and those of older releases go', async () => {
  let canary = withStatus({ stable: { revision: 'a1', slot: 'blue' }, canary: { revision: 'b2', slot: 'green', commit: 'c'.repeat(40) } });
  const metrics = new ControllerMetrics(() => [canary]);
  const series = async (): Promise<string[]> => (await metrics.registry.getSingleMetricAsString('sluice_revision_info')).split('\n').filter((line) => line.startsWith('sluice'));
  expect(await series()).toEqual([
    'sluice_revision_info{namespace="shop",name="reviews",role="stable",revision="a1",commit="unknown"} 1',
    `sluice_revision_info{namespace="shop",name="reviews",role="canary",revision="b2",commit="${'c'.repeat(40)}"} 1`,
  ]);
  canary = withStatus({ stable: { revision: 'b2', slot: 'green', commit: 'c'.repeat(40) } });
  expect(await series()).toEqual([`sluice_revision_info{namespace="shop",name="reviews",role="stable",revision="b2",commit="${'c'.repeat(40)}"} 1`]);
});
