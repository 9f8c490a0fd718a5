import { describe, expect, it, vi } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import type { KubeObject } from '../../src/kube/types.js';
import { startWorld } from './harness.js';
import { canary, service } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

const ON_BLUE = { 'reviews-blue': 100, 'reviews-green': 0 };
const ON_GREEN = { 'reviews-blue': 0, 'reviews-green': 100 };

const generated = (): KubeObject => canary({ service: { routing: 'subsets' } });
const own = (): KubeObject => canary({ service: { routing: 'subsets', virtualService: { name: 'bookinfo' } } });

/** Bookinfo's own: a route to v1 with a timeout, and a rule with one subset for each version. */
const route: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'bookinfo', annotations: { team: 'books' } },
  spec: { hosts: ['reviews'], http: [{ timeout: '3s', route: [{ destination: { host: 'reviews', subset: 'v1' } }] }] },
};
const rule: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'bookinfo' },
  spec: {
    host: 'reviews',
    trafficPolicy: { portLevelSettings: [{ port: { number: 9080 }, tls: { mode: 'DISABLE' } }] },
    subsets: ['v1', 'v2', 'v3'].map((version) => ({ name: version, labels: { version }, ...(version === 'v1' ? { trafficPolicy: { loadBalancer: { simple: 'LEAST_REQUEST' } } } : {}) })),
  },
};

/** What a user would see of an object of theirs. */
const written = (object: KubeObject | undefined): string => JSON.stringify([object?.metadata.labels, object?.metadata.annotations, object?.['spec']]);
const subsets = (shop: Shop, name: string): string[] => (shop.spec<{ subsets: { name: string }[] }>(Resources.DestinationRule, name)?.subsets ?? []).map((subset) => subset.name);
/** Hosts that any route of the namespace names. */
const hosts = (shop: Shop): string[] =>
  world.server.store
    .list(Resources.VirtualService, { namespace: shop.namespace })
    .flatMap((object) => (object['spec'] as { http: { route: { destination: { host: string } }[] }[] }).http.flatMap((item) => item.route.map(({ destination }) => destination.host)));
/** Requests that changed an object of this kind, in the order in which they were carried out. */
const order = (shop: Shop, ...resources: string[]): string[] => {
  const all = world.writes(shop.namespace).filter(({ code, resource }) => code < 300 && resources.includes(resource?.split('.')[0] ?? ''));
  return all.map(({ verb, resource }) => `${verb} ${resource?.split('.')[0]}`);
};
const weightsOf = (shop: Shop, name: string): Record<string, number> => {
  const items = shop.spec<{ http: { route: { destination: { subset?: string }; weight?: number }[] }[] }>(Resources.VirtualService, name)?.http[0]?.route ?? [];
  return Object.fromEntries(items.map(({ destination, weight }) => [destination.subset ?? 'all', weight ?? 100]));
};

describe.concurrent('with routing: subsets', () => {
  it('a generated rule comes before the route, and the Service selects both slots; no slot has a Service', async () => {
    const shop = await world.shop();
    await shop.running();
    shop.guard();
    shop.put(generated());
    await shop.phase('Initialized');
    expect(shop.weights).toEqual(ON_BLUE);
    expect(new Set(hosts(shop))).toEqual(new Set(['reviews']));
    expect(subsets(shop, 'reviews')).toEqual(['blue', 'green']);
    expect(order(shop, 'destinationrules', 'virtualservices').slice(0, 2)).toEqual(['create destinationrules', 'create virtualservices']);
    expect(shop.selector()).toEqual({ app: 'reviews', 'sluice.dev/canary': 'reviews' });
    expect(world.server.store.list(Resources.Service, { namespace: shop.namespace }).map(({ metadata }) => metadata.name)).toEqual(['reviews']);
    expect((await shop.reason('Ready', 'Serving')).message).toContain('callers without a proxy reach both versions');
  });

  it('a good version is promoted, a bad one taken back, told apart by their workloads', async () => {
    const shop = await world.shop();
    await shop.adopted(generated());
    shop.guard();
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    expect(shop.weights).toEqual(ON_GREEN);
    await shop.see('the old version is scaled away', () => shop.replicas('reviews-blue') === 0);
    shop.health({ errorRate: 0.1 }, ['blue']);
    shop.release('bad');
    expect(await shop.ended(2)).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [20], message: expect.stringContaining('success rate 90 %') });
    expect(shop.weights).toEqual(ON_GREEN);
    await shop.see('the failed version is scaled away', () => shop.replicas('reviews-blue') === 0);
    expect(shop.selector()).toEqual({ app: 'reviews', 'sluice.dev/canary': 'reviews' });
    expect(world.metrics.queries.some((query) => query.startsWith('sum by (destination_workload_namespace,destination_workload,response_code,reporter)') && query.includes(shop.namespace))).toBe(true);
  });

  it('Bookinfo\'s own route and rule carry a release, and are given back to the letter', async () => {
    const shop = await world.shop();
    shop.put(route);
    shop.put(rule);
    const before = [written(shop.get(Resources.VirtualService, 'bookinfo')), written(shop.get(Resources.DestinationRule, 'bookinfo'))];
    await shop.running();
    shop.guard();
    shop.put(own());
    await shop.phase('Initialized');
    expect(weightsOf(shop, 'bookinfo')).toEqual({ 'v1-blue': 100, 'v1-green': 0 });
    expect(subsets(shop, 'bookinfo')).toEqual(['v1', 'v2', 'v3', 'blue', 'green', 'v1-blue', 'v1-green']);
    expect(shop.get(Resources.DestinationRule, 'reviews')).toBeUndefined();
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    expect(weightsOf(shop, 'bookinfo')).toEqual({ 'v1-blue': 0, 'v1-green': 100 });
    shop.health({ errorRate: 1 }, ['blue']);
    shop.release('bad');
    expect(await shop.ended(2)).toMatchObject({ result: 'Failed' });
    expect(weightsOf(shop, 'bookinfo')).toEqual({ 'v1-blue': 0, 'v1-green': 100 });
    shop.release('v2');
    await shop.see('v2 is wanted again', () => shop.condition('Progressing')?.reason === 'Idle');
    shop.remove(SluiceResources.Canary);
    await shop.see('the Canary is gone', () => shop.canary === undefined);
    expect([written(shop.get(Resources.VirtualService, 'bookinfo')), written(shop.get(Resources.DestinationRule, 'bookinfo'))]).toEqual(before);
    expect(shop.selector()).toEqual({ app: 'reviews' });
    expect(shop.endpoints('reviews')).toBe(2);
    expect(shop.replicas('reviews')).toBe(2);
  });

  it('deletion takes the route away before the subsets, and leaves nothing', async () => {
    const shop = await world.shop();
    await shop.adopted(generated());
    shop.guard();
    shop.remove(SluiceResources.Canary);
    await shop.see('the Canary is gone', () => shop.canary === undefined);
    const removals = world.writes(shop.namespace).filter(({ verb, resource }) => verb === 'delete' && resource?.includes('.networking.istio.io'));
    expect(removals.map(({ resource }) => resource?.split('.')[0])).toEqual(['virtualservices', 'destinationrules']);
    const [routes, rules] = removals.map(({ time }) => Date.parse(time));
    // drainFor is 200 ms.
    expect((rules ?? 0) - (routes ?? 0)).toBeGreaterThanOrEqual(190);
    expect(world.server.store.list(Resources.Deployment, { namespace: shop.namespace }).map(({ metadata }) => metadata.name)).toEqual(['reviews']);
    expect(shop.endpoints('reviews')).toBe(2);
  });

  it('deletion in the middle of a run brings callers back first', async () => {
    const shop = await world.shop();
    await shop.adopted(generated());
    shop.guard();
    shop.release('v2');
    await shop.weight(20);
    shop.remove(SluiceResources.Canary);
    await shop.see('the Canary is gone', () => shop.canary === undefined);
    expect(shop.get(Resources.VirtualService)).toBeUndefined();
    expect(shop.endpoints('reviews')).toBe(2);
  });

  it('a tool that applies the user\'s rule again takes the subsets away for no longer than a look', async () => {
    const shop = await world.shop();
    shop.put(route);
    shop.put(rule);
    await shop.adopted(own());
    shop.put(rule);
    await shop.see('the subsets are back', () => subsets(shop, 'bookinfo').length === 7);
  });

  it('another Service of the same pods follows the stable slot alone', async () => {
    const shop = await world.shop();
    shop.put(service('reviews-grpc'));
    await shop.adopted(generated());
    expect(shop.selector('reviews-grpc')).toMatchObject({ 'sluice.dev/slot': 'blue' });
    shop.release('v2');
    await shop.weight(20);
    expect(shop.selector('reviews-grpc')).toMatchObject({ 'sluice.dev/slot': 'blue' });
    await shop.ended(1);
    expect(shop.selector('reviews-grpc')).toMatchObject({ 'sluice.dev/slot': 'green' });
    expect(shop.selector()).toEqual({ app: 'reviews', 'sluice.dev/canary': 'reviews' });
  });

  it('a rule of a caller\'s namespace that hides the subsets is named, and nothing is touched until it goes', async () => {
    const [shop, web] = [await world.shop(), await world.shop()];
    await shop.running();
    web.put({ ...rule, metadata: { name: 'to-reviews' }, spec: { host: `reviews.${shop.namespace}.svc.cluster.local`, trafficPolicy: { tls: { mode: 'DISABLE' } } } });
    shop.put(generated());
    const stalled = await shop.reason('Stalled', 'SubsetsHidden');
    expect(stalled.message).toContain(`DestinationRule ${web.namespace}/to-reviews on host reviews.${shop.namespace}.svc.cluster.local hides the subsets`);
    expect(stalled.message).toContain('delete it');
    expect(shop.replicas('reviews')).toBe(2);
    expect(shop.get(Resources.DestinationRule)).toBeUndefined();
    web.remove(Resources.DestinationRule, 'to-reviews');
    await shop.phase('Initialized');
    expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
  });

  it('a route of another namespace that passes the slots by holds the next release until it goes', async () => {
    const [shop, edge] = [await world.shop(), await world.shop()];
    await shop.adopted(generated());
    edge.put({ ...route, metadata: { name: 'public' }, spec: { hosts: ['shop.example.com'], gateways: ['public'], http: [{ route: [{ destination: { host: `reviews.${shop.namespace}.svc.cluster.local` } }] }] } });
    const stalled = await shop.reason('Stalled', 'InvalidRoute');
    expect(stalled.message).toContain(`VirtualService ${edge.namespace}/public: spec.http[0] sends to reviews, and not by a slot`);
    shop.release('v2');
    await shop.reason('Progressing', 'InvalidRoute');
    edge.remove(Resources.VirtualService, 'public');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });

  it('the choice cannot change while the Canary is there; the error says what to do', async () => {
    const shop = await world.shop();
    await shop.adopted(generated());
    expect(() => shop.merge(SluiceResources.Canary, 'reviews', { spec: { service: { routing: 'services' } } })).toThrow(/delete the Canary .* and create it again/);
    expect(() => shop.put(canary())).toThrow(/routing cannot change/);
    // The next step that it names loses nobody.
    shop.guard();
    shop.remove(SluiceResources.Canary);
    await shop.see('the Canary is gone', () => shop.canary === undefined);
    shop.put(canary());
    await shop.phase('Initialized');
    expect(new Set(hosts(shop))).toEqual(new Set(['reviews-blue', 'reviews-green']));
  });
});
