/** What a step adds to routes, for any user's routes and any extras: it settles, it is a partition, and it leaves no trace. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RouteExtras, Weights } from '../../../src/engine/ports.js';
import type { KubeObject } from '../../../src/kube/types.js';
import { createIstioRouter } from '../../../src/mesh/istio/index.js';
import { canary, Cluster } from './cluster.js';

const router = createIstioRouter();
const slot = fc.constantFrom('blue' as const, 'green' as const);
const text = fc.constantFrom('a', 'jason', 'x.y+z');
const stringMatch = fc.oneof(text.map((exact) => ({ exact })), text.map((prefix) => ({ prefix })), text.map((suffix) => ({ suffix })));
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });

const extras: fc.Arbitrary<RouteExtras> = fc
  .record(
    {
      // Fields in another order than they are read back in.
      affinity: fc.record({ canary: fc.constant({ value: 'c0', attributes: 'Max-Age=5', name: 'v' }) }),
      mirror: fc.integer({ min: 1, max: 100 }),
      fault: fc.record({ abort: fc.constant({ httpStatus: 500 }), host: fc.constantFrom('ratings', 'details') }),
      match: fc.record(
        { control: fc.constant(true as const), weight: fc.integer({ min: 1, max: 100 }), when: fc.array(fc.record({ headers: fc.dictionary(fc.constantFrom('end-user', 'x-beta'), stringMatch, { minKeys: 1 }) }), { minLength: 1, maxLength: 3 }) },
        { requiredKeys: ['weight', 'when'] },
      ),
      slot,
    },
    { requiredKeys: ['slot'] },
  );
const weights: fc.Arbitrary<Weights> = fc.integer({ min: 0, max: 100 }).map((green) => ({ green, blue: 100 - green }));

const userRoute = fc
  .record({
    name: maybe(fc.constantFrom('one', 'two')),
    match: maybe(fc.constantFrom([{ uri: { prefix: '/a' } }], [{ headers: { 'end-user': { exact: 'jason' } } }, { method: { exact: 'GET' } }])),
    timeout: maybe(fc.constant('3s')),
    mirror: maybe(fc.constant({ host: 'audit' })),
    route: fc.constantFrom([{ destination: { host: 'reviews' } }], [{ destination: { host: 'reviews' }, weight: 70 }, { destination: { host: 'old' }, weight: 30 }], [{ destination: { host: 'elsewhere' } }]),
  })
  .map((route) => JSON.parse(JSON.stringify(route)) as Record<string, unknown>);
const objects: fc.Arbitrary<KubeObject[]> = fc.tuple(fc.array(userRoute, { maxLength: 4 }), fc.array(userRoute, { minLength: 1, maxLength: 2 }), fc.boolean()).map(([http, ratings, given]) => [
  service('bookinfo', 'reviews', [...http, { route: [{ destination: { host: 'reviews' } }] }]),
  ...(given ? [service('ratings', 'ratings', ratings)] : []),
]);

const service = (name: string, host: string, http: unknown[]): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'shop', resourceVersion: '1' },
  spec: { hosts: [host], http },
});

const subject = canary({ virtualService: { name: 'bookinfo' } }, 'reviews', { iterations: 1, control: true, match: [{ headers: { a: { exact: 'b' } } }] });
const shown = (cluster: Cluster): unknown => cluster.input(subject).virtualServices.map(({ metadata: { resourceVersion: _, ...metadata }, ...rest }) => ({ ...rest, metadata }));

/** Carry out a plan; false when it names a problem. */
function carryOut(cluster: Cluster, to: Weights, more?: RouteExtras): boolean {
  const { writes, problems } = router.plan(cluster.input(subject), to, more);
  cluster.apply(writes);
  return problems.length === 0;
}

interface Destination {
  destination: { host: string };
  weight?: number;
}

describe('what a step adds', () => {
  it('needs no further write, and is seen to be in force', () => {
    fc.assert(
      fc.property(objects, weights, extras, (given, to, more) => {
        const cluster = new Cluster(given);
        fc.pre(carryOut(cluster, to, more));
        expect(router.plan(cluster.input(subject), to, more).writes).toEqual([]);
        expect(router.observe(cluster.input(subject))).toMatchObject({ weights: to, extras: more, consistent: true });
      }),
      { numRuns: 60 },
    );
  });

  it('leaves every route a partition that lists both slots (trap I4)', () => {
    fc.assert(
      fc.property(objects, weights, extras, (given, to, more) => {
        const cluster = new Cluster(given);
        fc.pre(carryOut(cluster, to, more));
        const http = cluster.get('VirtualService', 'bookinfo')?.['spec'] as { http: { route: Destination[] }[] };
        for (const { route } of http.http) {
          if (!route.some(({ destination }) => destination.host.startsWith('reviews'))) continue;
          expect(route.reduce((sum, { weight = 0 }) => sum + weight, 0)).toBe(100);
          expect(route.filter(({ destination }) => /^reviews-(blue|green)(-control)?$/.test(destination.host))).toHaveLength(2);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('leaves nothing behind: not in the next step, and not after the release', () => {
    fc.assert(
      fc.property(objects, weights, fc.array(extras, { minLength: 1, maxLength: 3 }), (given, to, steps) => {
        const plain = new Cluster(given);
        carryOut(plain, to);
        const cluster = new Cluster(given);
        for (const more of steps) carryOut(cluster, to, more);
        expect(carryOut(cluster, to)).toBe(true);
        expect(shown(cluster)).toEqual(shown(plain));
        for (const more of steps) carryOut(cluster, to, more);
        cluster.apply(router.release(cluster.input(subject)).writes);
        expect(JSON.stringify(shown(cluster))).toBe(JSON.stringify(shown(new Cluster(given))));
      }),
      { numRuns: 60 },
    );
  });

  it('leaves no list behind that was not there, whatever the routes are of', () => {
    const route = [{ destination: { host: 'reviews' } }];
    const lists = fc.subarray(['http', 'tls', 'tcp'], { minLength: 1 }).map((names) => Object.fromEntries(names.map((name) => [name, [{ route }]])));
    const fault = { slot: 'green' as const, fault: { host: 'ratings', abort: { httpStatus: 500 } } };
    fc.assert(
      fc.property(lists, fc.constantFrom(['reviews'], ['reviews', 'ratings']), weights, (spec, hosts, to) => {
        // A fault needs requests.
        fc.pre('http' in spec || hosts.length === 1);
        const given: KubeObject[] = [{ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'bookinfo', namespace: 'shop', resourceVersion: '1' }, spec: { hosts, ...spec } }];
        const cluster = new Cluster(given);
        expect(carryOut(cluster, to, fault)).toBe(true);
        expect(Object.keys(cluster.get('VirtualService', 'bookinfo')?.['spec'] as object)).toEqual(['hosts', ...Object.keys(spec)]);
        cluster.apply(router.release(cluster.input(subject)).writes);
        expect(JSON.stringify(shown(cluster))).toBe(JSON.stringify(shown(new Cluster(given))));
      }),
      { numRuns: 40 },
    );
  });

  it('comes back with a sync of the manifests as they are in Git', () => {
    fc.assert(
      fc.property(objects, weights, extras, (given, to, more) => {
        const cluster = new Cluster(given);
        fc.pre(carryOut(cluster, to, more));
        for (const manifest of given) {
          const live = cluster.get('VirtualService', manifest.metadata.name);
          const laid = live && router.overlay(manifest, live);
          expect(laid?.['spec']).toEqual(live?.['spec']);
        }
      }),
      { numRuns: 60 },
    );
  });
});
