import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceResources } from '../../../src/api/index.js';
import { Resources, type KubeObject } from '../../../src/kube/index.js';
import { TrapWorld, type App } from './world.js';

const NOWHERE = 'sluice.dev/nowhere';
const OS = { 'kubernetes.io/os': 'linux' };

let world: TrapWorld;
beforeAll(async () => {
  world = await TrapWorld.start();
  // Nobody here takes a new node's taint away when it is ready, and DaemonSets do not tolerate it.
  await world.client.patch(Resources.Node, undefined, 'hollow', { spec: { taints: null } }, 'merge');
});
afterAll(() => world?.stop());

const selectorOf = (set: KubeObject): Record<string, string> | undefined =>
  (set['spec'] as { template: { spec: { nodeSelector?: Record<string, string> } } }).template.spec.nodeSelector;

async function release(app: App, image: string): Promise<void> {
  const patch = { spec: { template: { spec: { containers: [{ name: 'shop', image }] } } } };
  await app.client.patch(Resources.DaemonSet, app.namespace, 'shop', patch, 'strategic');
}

describe('a DaemonSet, with the controller that Kubernetes has for it', () => {
  it('is adopted, promoted and given back, and its revisions are not mixed up with those that Kubernetes keeps', async () => {
    const app = await world.app('daemonset');
    await app.client.create(Resources.DaemonSet, {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'shop', namespace: app.namespace },
      spec: { selector: { matchLabels: { app: 'shop' } }, template: app.template('shop:1', { spec: { nodeSelector: OS } }) },
    });
    await app.service('shop', {});
    await world.until('the target’s pod', async () => (await app.endpoints('shop')).length === 1);
    await app.createCanary({ targetRef: { kind: 'DaemonSet' } });
    await app.adopted();
    const pods = async (slot: string): Promise<number> => (await app.pods(`sluice.dev/slot=${slot}`)).length;
    expect(await pods('blue')).toBe(1);
    await world.until('the target’s pods are gone', async () => (await app.pods('app=shop,!sluice.dev/slot')).length === 0);
    expect(selectorOf(await app.get(Resources.DaemonSet, 'shop'))).toEqual({ ...OS, [NOWHERE]: 'true' });

    await release(app, 'shop:2');
    await app.weight(50);
    const [tested] = await app.pods('sluice.dev/slot=green');
    expect(await app.ended(1)).toMatchObject({ result: 'Succeeded', weights: [50, 100] });
    expect((await app.pods('sluice.dev/slot=green')).map(({ metadata }) => metadata.uid)).toEqual([tested?.metadata.uid]);
    await world.until('the old version has no pods', async () => (await pods('blue')) === 0);

    // The slot that is filled again holds the third version alone.
    await release(app, 'shop:3');
    expect(await app.ended(2)).toMatchObject({ result: 'Succeeded' });
    expect((await app.pods('sluice.dev/slot=blue')).map(({ spec }) => spec.containers[0]?.image)).toEqual(['shop:3']);
    const { items } = await app.client.list(Resources.ControllerRevision, { namespace: app.namespace });
    const ours = items.filter(({ metadata }) => metadata.labels?.['controller-revision-hash'] === undefined);
    expect(ours).toHaveLength(3);
    expect(items.length, 'revisions of Kubernetes beside ours').toBeGreaterThan(ours.length);

    await app.client.delete(SluiceResources.Canary, app.namespace, 'shop');
    await world.until('the Canary is gone', async () => (await app.client.list(SluiceResources.Canary, { namespace: app.namespace })).items.length === 0);
    expect(selectorOf(await app.get(Resources.DaemonSet, 'shop'))).toEqual(OS);
    expect((await app.endpoints('shop')).length).toBeGreaterThan(0);
    expect((await app.client.list(Resources.DaemonSet, { namespace: app.namespace })).items.map(({ metadata }) => metadata.name)).toEqual(['shop']);
  });
});
