import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RoutePlan } from '../../../src/engine/ports.js';
import type { KubeObject } from '../../../src/kube/types.js';
import { createIstioRouter } from '../../../src/mesh/istio/index.js';
import { canary, Cluster } from './cluster.js';

const router = createIstioRouter();
const RUNS = { numRuns: 150 };
const subject = canary({ routing: 'subsets', virtualService: { name: 'reviews' } });
const USERS = ['v1', 'v2', 'blue-ish', 'greenhouse'];

interface Destination {
  host: string;
  subset?: string;
}
interface Item {
  destination: Destination;
  weight?: number;
}

const unknownFields = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 6 }).map((key) => `x-${key}`),
  fc.jsonValue({ maxDepth: 2 }),
  { maxKeys: 2 },
);
const destination: fc.Arbitrary<Destination> = fc
  .tuple(fc.constantFrom('reviews', 'reviews.shop.svc.cluster.local', 'ratings'), fc.option(fc.constantFrom(...USERS), { nil: undefined }), unknownFields, fc.boolean())
  .map(([host, subset, more, first]) => ({ ...(first && subset ? { subset } : {}), host, ...more, ...(!first && subset ? { subset } : {}) }));
const route: fc.Arbitrary<Item[]> = fc.oneof(
  destination.map((only) => [{ destination: only }]),
  fc.tuple(destination, destination, fc.integer({ min: 0, max: 100 })).map(([one, other, weight]) => [
    { destination: one, weight },
    { destination: other, weight: 100 - weight },
  ]),
);
const virtualService: fc.Arbitrary<KubeObject> = fc
  .array(fc.tuple(unknownFields, route), { minLength: 1, maxLength: 4 })
  .filter((routes) => routes.some(([, items]) => items.some((item) => item.destination.host.startsWith('reviews'))))
  .map((routes) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'reviews', namespace: 'shop', resourceVersion: '7' },
    spec: { hosts: ['reviews'], http: routes.map(([fields, items]) => ({ ...fields, route: items })) },
  }));
const policy = fc.option(fc.record({ loadBalancer: fc.constant({ simple: 'RANDOM' }) }), { nil: undefined });
const destinationRule: fc.Arbitrary<KubeObject> = fc
  .tuple(unknownFields, policy, fc.array(fc.tuple(policy, unknownFields), { minLength: USERS.length, maxLength: USERS.length }), fc.boolean())
  .map(([fields, trafficPolicy, subsets, annotated]) => ({
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'DestinationRule',
    metadata: { name: 'policy', namespace: 'shop', resourceVersion: '8', ...(annotated ? { annotations: { team: 'books' } } : {}) },
    spec: {
      host: 'reviews',
      subsets: USERS.map((name, index) => ({ name, labels: { version: name }, ...(subsets[index]?.[0] ? { trafficPolicy: subsets[index][0] } : {}), ...subsets[index]?.[1] })),
      ...(trafficPolicy ? { trafficPolicy } : {}),
      ...fields,
    },
  }));
const weights = fc.integer({ min: 0, max: 100 }).map((blue) => ({ blue, green: 100 - blue }));

const text = (object: KubeObject | undefined): string => JSON.stringify(object, (key, value: unknown) => (key === 'resourceVersion' ? undefined : value));
function carryOut(cluster: Cluster, plan: RoutePlan): void {
  expect(plan.problems).toEqual([]);
  cluster.apply(plan.writes);
}
interface Http {
  route: Item[];
}
const itemsOf = (object: KubeObject | undefined): Item[] => ((object?.['spec'] as { http?: Http[] } | undefined)?.http ?? []).flatMap((one) => one.route);
interface Subset {
  name: string;
  labels: Record<string, string>;
  trafficPolicy?: unknown;
}
const subsetsOf = (object: KubeObject | undefined): Subset[] => (object?.['spec'] as { subsets?: Subset[] } | undefined)?.subsets ?? [];

describe('with routing: subsets, any VirtualService and DestinationRule of a user', () => {
  it('are byte-identical after any number of weights and a release in two parts', () => {
    fc.assert(
      fc.property(virtualService, destinationRule, fc.array(weights, { minLength: 1, maxLength: 4 }), (routes, rule, series) => {
        const cluster = new Cluster([routes, rule]);
        carryOut(cluster, router.prepare(cluster.input(subject)));
        for (const step of series) carryOut(cluster, router.plan(cluster.input(subject), step));
        carryOut(cluster, router.release(cluster.input(subject), true));
        expect(text(cluster.get('VirtualService', 'reviews'))).toBe(text(routes));
        expect(subsetsOf(cluster.get('DestinationRule', 'policy')).length).toBeGreaterThan(USERS.length);
        carryOut(cluster, router.release(cluster.input(subject)));
        expect(text(cluster.get('DestinationRule', 'policy'))).toBe(text(rule));
      }),
      RUNS,
    );
  });

  it('send the Service\'s requests to subsets that are there, each with the settings of the one that the user named', () => {
    fc.assert(
      fc.property(virtualService, destinationRule, weights, (routes, rule, step) => {
        const cluster = new Cluster([routes, rule]);
        carryOut(cluster, router.plan(cluster.input(subject), step));
        const subsets = new Map(subsetsOf(cluster.get('DestinationRule', 'policy')).map((subset) => [subset.name, subset]));
        const users = itemsOf(routes).filter(({ destination: { host } }) => host.startsWith('reviews'));
        const led = itemsOf(cluster.get('VirtualService', 'reviews')).filter(({ destination: { host } }) => host.startsWith('reviews'));
        expect(led).toHaveLength(2 * users.length);
        users.forEach((item, index) => {
          (['blue', 'green'] as const).forEach((slot, offset) => {
            const subset = subsets.get(led[2 * index + offset]?.destination.subset ?? '');
            expect(subset?.labels).toEqual({ 'sluice.dev/slot': slot });
            expect(subset?.trafficPolicy).toEqual(subsets.get(item.destination.subset ?? '')?.trafficPolicy);
          });
        });
      }),
      RUNS,
    );
  });

  it('need no further write, are as they were asked to be, and get the same from a sync', () => {
    fc.assert(
      fc.property(virtualService, destinationRule, virtualService, weights, (routes, rule, after, step) => {
        const cluster = new Cluster([routes, rule]);
        carryOut(cluster, router.plan(cluster.input(subject), step));
        expect(router.plan(cluster.input(subject), step)).toEqual({ writes: [], problems: [] });
        expect(router.observe(cluster.input(subject))).toMatchObject({ weights: step, consistent: true, prepared: true });
        const live = cluster.get('DestinationRule', 'policy') as KubeObject;
        cluster.put({ ...router.overlay(rule, live), metadata: { ...live.metadata } });
        expect(text(cluster.get('DestinationRule', 'policy'))).toBe(text(live));
        cluster.put(router.overlay(after, cluster.get('VirtualService', 'reviews') as KubeObject));
        carryOut(cluster, router.release(cluster.input(subject)));
        expect(text(cluster.get('VirtualService', 'reviews'))).toBe(text(after));
      }),
      RUNS,
    );
  });

  it('are never changed in place', () => {
    fc.assert(
      fc.property(virtualService, destinationRule, weights, (routes, rule, step) => {
        const cluster = new Cluster([routes, rule]);
        const input = cluster.input(subject);
        const before = structuredClone(input);
        router.plan(input, step);
        router.prepare(input);
        router.release(input);
        router.observe(input);
        expect(input).toEqual(before);
      }),
      { numRuns: 50 },
    );
  });
});
