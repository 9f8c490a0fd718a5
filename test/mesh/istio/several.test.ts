/** Several VirtualServices of the user's carry the weights, and a controller may die between the writes of any two. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RouteExtras, Weights } from '../../../src/engine/ports.js';
import type { KubeObject } from '../../../src/kube/types.js';
import { createIstioRouter } from '../../../src/mesh/istio/index.js';
import { canary, Cluster } from './cluster.js';

const router = createIstioRouter();
const NAMES = ['mesh', 'edge', 'partners'];
const subject = canary({ virtualServices: NAMES.map((name) => ({ name })) });

const virtualService = (name: string, share: number): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'shop', resourceVersion: '1' },
  spec: {
    hosts: [`${name}.example.com`],
    newer: { field: [name] },
    http: [
      { timeout: '3s', route: share === 100 ? [{ destination: { host: 'reviews' } }] : [{ destination: { host: 'reviews' }, weight: share }, { destination: { host: 'old' }, weight: 100 - share }] },
      { name: 'other', route: [{ destination: { host: 'ratings' } }] },
    ],
  },
});
const objects = fc.tuple(...NAMES.map(() => fc.constantFrom(100, 50, 70))).map((shares) => NAMES.map((name, index) => virtualService(name, shares[index] ?? 100)));
const weights = fc.integer({ min: 0, max: 100 }).map((green): Weights => ({ blue: 100 - green, green }));
const extras: fc.Arbitrary<RouteExtras | undefined> = fc.option(
  fc.constantFrom<RouteExtras>({ slot: 'green', mirror: 40 }, { slot: 'green', match: { weight: 100, when: [{ headers: { 'end-user': { exact: 'jason' } } }] } }, { slot: 'green', fault: { host: 'ratings', abort: { httpStatus: 500 } } }),
  { nil: undefined },
);
const text = (cluster: Cluster): string => JSON.stringify(NAMES.map((name) => cluster.get('VirtualService', name)), (key, value: unknown) => (key === 'resourceVersion' ? undefined : value));

describe('several VirtualServices', () => {
  it('come to the weights from wherever a crash left them, and are given back to the letter', () => {
    fc.assert(
      fc.property(objects, weights, weights, extras, extras, fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 }), (given, first, second, before, after, crash, leave) => {
        const cluster = new Cluster(given);
        cluster.apply(router.plan(cluster.input(subject), first, before).writes);
        expect(router.observe(cluster.input(subject))).toMatchObject({ weights: first, consistent: true });
        const { writes } = router.plan(cluster.input(subject), second, after);
        cluster.apply(writes.slice(0, crash));
        const halfway = router.observe(cluster.input(subject));
        expect(halfway.consistent).toBe(crash === 0 || crash >= writes.length || writes.length === 0);
        // Nobody takes a slot for free that any of them still leads to.
        for (const slot of ['blue', 'green'] as const) expect(halfway.weights?.[slot] ?? 0).toBeGreaterThanOrEqual(crash < writes.length ? Math.min(first[slot], second[slot]) : second[slot]);
        cluster.apply(router.plan(cluster.input(subject), second, after).writes);
        expect(router.observe(cluster.input(subject))).toMatchObject({ weights: second, consistent: true });
        cluster.apply(router.release(cluster.input(subject)).writes.slice(0, leave));
        cluster.apply(router.release(cluster.input(subject)).writes);
        expect(text(cluster)).toBe(text(new Cluster(given)));
      }),
      { numRuns: 120 },
    );
  });

  it('that still carry a copy or a fault say so, however few they are', () => {
    fc.assert(
      fc.property(objects, weights, fc.integer({ min: 1, max: 2 }), (given, to, written) => {
        const cluster = new Cluster(given);
        cluster.apply(router.plan(cluster.input(subject), to, { slot: 'green', mirror: 40 }).writes);
        const { writes } = router.plan(cluster.input(subject), to);
        expect(writes).toHaveLength(3);
        cluster.apply(writes.slice(0, written));
        expect(router.observe(cluster.input(subject))).toMatchObject({ extras: { mirror: 40 }, consistent: false });
      }),
      { numRuns: 40 },
    );
  });
});
