import { describe, expect, it, vi } from 'vitest';
import type { Canary } from '../../src/api/index.js';
import { argoHealth, fluxHealth } from '../tools/health.js';
import { startWorld } from './harness.js';
import { canary, canaryWith, configMap, deployment } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 120_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });
function live(shop: Shop): Canary {
  if (!shop.canary) throw new Error('there is no Canary');
  return shop.canary;
}
const healthy = async (shop: Shop): Promise<void> => {
  await shop.see('health', () => fluxHealth(live(shop)) === 'Current');
  expect((await argoHealth(live(shop))).status).toBe('Healthy');
};

describe.concurrent('the health checks that are shipped for Flux and Argo CD', () => {
  it('follow a release: in progress, waiting for a person, ended well, ended badly', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith({ stepWeights: undefined, steps: [{ weight: 30, approve: true }] }));
    await healthy(shop);
    shop.release('v2');
    await shop.reason('Progressing', 'WaitingForApproval');
    expect(fluxHealth(live(shop))).toBe('InProgress');
    expect(await argoHealth(live(shop))).toMatchObject({ status: 'Suspended', message: expect.stringContaining('sluice approve reviews') });
    shop.act('approve');
    await shop.ended(1);
    await healthy(shop);
    shop.release('v3');
    await shop.reason('Progressing', 'WaitingForApproval');
    shop.act('abort');
    await shop.ended(2);
    await shop.see('the end', () => fluxHealth(live(shop)) === 'Failed');
    expect(await argoHealth(live(shop))).toMatchObject({ status: 'Degraded', message: expect.stringContaining('was taken back') });
    // The next commit is a new chance, from its first moment on.
    shop.release('v4');
    await shop.see('a new run', () => shop.status.run !== undefined);
    expect(fluxHealth(live(shop))).toBe('InProgress');
  });

  it('are in progress for pods that are started', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('broken');
    await shop.reason('Progressing', 'StartingPods');
    expect([fluxHealth(live(shop)), (await argoHealth(live(shop))).status]).toEqual(['InProgress', 'Progressing']);
  });

  it('fail fast for what a person must fix, from the adoption on, and recover', async () => {
    const shop = await world.shop();
    shop.put(configMap({ flavour: 'plain' }));
    await shop.running(deployment('v1', { envFrom: [{ configMapRef: { name: 'reviews-config' } }] }));
    shop.remove({ group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true }, 'reviews-config');
    shop.put(canary());
    await shop.reason('Stalled', 'ConfigUnreadable');
    expect(fluxHealth(live(shop))).toBe('Failed');
    expect(await argoHealth(live(shop))).toMatchObject({ status: 'Degraded', message: expect.stringContaining('ConfigMap reviews-config') });
    shop.put(configMap({ flavour: 'plain' }));
    await shop.phase('Initialized');
    await healthy(shop);
  });

  it('wait for what no controller has looked at', async () => {
    const fresh = { apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { name: 'reviews', generation: 1 }, spec: {} } as unknown as Canary;
    expect([fluxHealth(fresh), (await argoHealth(fresh)).status]).toEqual(['Waiting', 'Progressing']);
    const older = { ...fresh, metadata: { name: 'reviews', generation: 2 }, status: { observedGeneration: 1, conditions: [] } } as unknown as Canary;
    expect([fluxHealth(older), (await argoHealth(older)).status]).toEqual(['InProgress', 'Progressing']);
  });
});
