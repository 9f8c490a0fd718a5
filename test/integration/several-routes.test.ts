import { describe, expect, it, vi } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import type { KubeObject, Resource } from '../../src/kube/types.js';
import { startWorld } from './harness.js';
import { canary } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 4, testTimeout: 240_000, hookTimeout: 120_000 });

/** As an Istio before 1.22 serves its kinds: there is no v1. */
const VERSION = 'v1beta1';
const world = await startWorld({ controller: true, istio: [VERSION, 'v1alpha3'] });

const apiVersion = `networking.istio.io/${VERSION}`;
const older = (resource: Resource): Resource => ({ ...resource, version: VERSION });
const virtualService = (name: string, spec: Record<string, unknown>): KubeObject => ({ apiVersion, kind: 'VirtualService', metadata: { name, annotations: { team: name } }, spec: { ...spec, ofANewerIstio: { deep: [null, 1] } } });
const MESH = virtualService('reviews', { hosts: ['reviews'], http: [{ timeout: '3s', route: [{ destination: { host: 'reviews' } }] }] });
const EDGE = virtualService('edge', {
  hosts: ['bookinfo.example.com'],
  gateways: ['istio-system/public'],
  http: [
    { name: 'api', match: [{ uri: { prefix: '/reviews' } }], route: [{ destination: { host: 'reviews', port: { number: 9080 } } }] },
    { name: 'pages', route: [{ destination: { host: 'productpage' } }] },
  ],
});

const put = (shop: Shop, object: KubeObject): KubeObject => world.server.store.create(older(Resources[object.kind as 'VirtualService']), { ...object, metadata: { ...object.metadata, namespace: shop.namespace } });
const live = (shop: Shop, kind: 'VirtualService' | 'DestinationRule', name: string): KubeObject | undefined => world.server.store.get(older(Resources[kind]), shop.namespace, name);
/** What a user would see of an object of theirs. */
const written = (object: KubeObject | undefined): string => JSON.stringify([object?.apiVersion, object?.metadata.labels, object?.metadata.annotations, object?.['spec']]);

interface Routes {
  http: { route: { destination: { host: string }; weight?: number }[] }[];
}
/** Weights of the first route, blue and green. */
const split = (shop: Shop, name: string): (number | undefined)[] => (live(shop, 'VirtualService', name)?.['spec'] as Routes | undefined)?.http[0]?.route.map(({ weight }) => weight) ?? [];

/** All of an object but what a Canary divides: the destinations of the routes to reviews, and what is remembered of them. */
function untouched(object: KubeObject | undefined): string {
  const { spec, metadata } = structuredClone(object) as KubeObject & { spec: Routes };
  for (const route of spec.http) if (route.route.some(({ destination }) => destination.host.startsWith('reviews'))) route.route = [];
  const { 'sluice.dev/overlay': _memo, ...annotations } = metadata.annotations ?? {};
  return JSON.stringify([metadata.labels, annotations, spec]);
}

describe.concurrent('where Istio serves no v1', () => {
  it('a release goes through objects of the version that is served', async () => {
    const shop = await world.shop();
    await shop.adopted(canary({ service: { trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } } }));
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    expect(live(shop, 'VirtualService', 'reviews')?.apiVersion).toBe(apiVersion);
    expect(split(shop, 'reviews')).toEqual([0, 100]);
    expect(live(shop, 'DestinationRule', 'reviews-green')?.apiVersion).toBe(apiVersion);
    shop.remove(SluiceResources.Canary as Resource);
    await shop.see('nothing is left', () => live(shop, 'VirtualService', 'reviews') === undefined && live(shop, 'DestinationRule', 'reviews-green') === undefined);
  });

  it('several VirtualServices of the user have the same weights at every step, and are given back to the letter', async () => {
    const shop = await world.shop();
    const before = [MESH, EDGE].map((object) => written(put(shop, object)));
    await shop.adopted(canary({ service: { virtualServices: [{ name: 'reviews' }, { name: 'edge', routes: ['api'] }] } }));
    expect([split(shop, 'reviews'), split(shop, 'edge')]).toEqual([[100, 0], [100, 0]]);
    shop.release('v2');
    await shop.see('20 % by both', () => split(shop, 'reviews')[1] === 20 && split(shop, 'edge')[1] === 20);
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    expect([split(shop, 'reviews'), split(shop, 'edge')]).toEqual([[0, 100], [0, 100]]);
    expect(['reviews', 'edge'].map((name) => untouched(live(shop, 'VirtualService', name)))).toEqual([MESH, EDGE].map(untouched));
    shop.remove(SluiceResources.Canary as Resource);
    await shop.see('the Canary is gone', () => shop.canary === undefined);
    expect([live(shop, 'VirtualService', 'reviews'), live(shop, 'VirtualService', 'edge')].map(written)).toEqual(before);
  });

  it('a version that fails is taken back by all of them', async () => {
    const shop = await world.shop();
    for (const object of [MESH, EDGE]) put(shop, object);
    await shop.adopted(canary({ service: { virtualServices: [{ name: 'reviews' }, { name: 'edge', routes: ['api'] }] } }));
    shop.health({ errorRate: 0.2 }, ['green']);
    shop.release('bad');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', weights: [20] });
    expect([split(shop, 'reviews'), split(shop, 'edge')]).toEqual([[100, 0], [100, 0]]);
    expect(['reviews', 'edge'].map((name) => untouched(live(shop, 'VirtualService', name)))).toEqual([MESH, EDGE].map(untouched));
  });

  it('one of several that is reset, or is missing, is put right or named', async () => {
    const shop = await world.shop();
    put(shop, MESH);
    await shop.running();
    shop.put(canary({ service: { virtualServices: [{ name: 'reviews' }, { name: 'edge', routes: ['api'] }] } }));
    await shop.see('what is missing is named', () => shop.condition('Stalled')?.message.includes(`VirtualService ${shop.namespace}/edge does not exist`) === true);
    expect(split(shop, 'reviews')).toEqual([undefined]);
    put(shop, EDGE);
    await shop.phase('Initialized');
    const now = live(shop, 'VirtualService', 'edge') as KubeObject;
    world.server.store.update(older(Resources.VirtualService), { ...now, spec: EDGE['spec'] }, { fieldManager: 'helm' });
    await shop.see('the weights are back', () => split(shop, 'edge')[0] === 100);
    expect(shop.condition('Contested')?.message).toContain('helm resets spec.http of VirtualService edge');
  });
});
