import { describe, expect, it } from 'vitest';
import { createIstioRouter } from '../../../src/mesh/istio/index.js';
import { apportion, splitShare } from '../../../src/mesh/istio/shares.js';
import type { KubeObject } from '../../../src/kube/types.js';
import { canary, Cluster } from './cluster.js';

const router = createIstioRouter();

describe('weights that are no partition', () => {
  it.each([
    [50, 51],
    [-1, 101],
    [0.5, 99.5],
    [Number.NaN, 100],
  ])('%d/%d are a programmer error', (blue, green) => {
    expect(() => router.plan(new Cluster([]).input(canary()), { blue, green })).toThrow(RangeError);
  });
});

describe('what Sluice creates', () => {
  it('has the version that the cluster is said to serve', () => {
    const older = createIstioRouter({ apiVersion: 'networking.istio.io/v1beta1' });
    const { writes } = older.plan(new Cluster([]).input(canary({ trafficPolicy: { tls: { mode: 'DISABLE' } } })), {
      blue: 100,
      green: 0,
    });
    expect(writes.map(({ object, resource }) => `${object.apiVersion} ${resource.version}`)).toEqual(
      Array(3).fill('networking.istio.io/v1beta1 v1beta1'),
    );
  });

  it('bears the mark of whoever leads, and is as it should be', () => {
    const weights = { blue: 90, green: 10 };
    const [created] = router.plan(new Cluster([]).input(canary()), weights).writes;
    const marked: KubeObject = structuredClone(created!.object);
    marked.metadata.annotations = { ...marked.metadata.annotations, 'sluice.dev/epoch': '3.a.1' };
    const input = new Cluster([marked]).input(canary());
    expect(router.observe(input)).toMatchObject({ weights, consistent: true });
    expect(router.plan(input, weights).writes).toEqual([]);
    const [moved] = router.plan(input, { blue: 50, green: 50 }).writes;
    expect(moved?.object.metadata.annotations).toMatchObject({ 'sluice.dev/epoch': '3.a.1' });
  });

  it('has no owner: garbage collection must not take what serves traffic', () => {
    const { writes } = router.plan(new Cluster([]).input(canary({ trafficPolicy: {} })), { blue: 100, green: 0 });
    expect(writes).toHaveLength(3);
    for (const { object } of writes) expect(object.metadata.ownerReferences).toBeUndefined();
  });
});

describe('a VirtualService that is too large to remember', () => {
  it('is a problem before the server refuses it', () => {
    const http = Array.from({ length: 6000 }, (_, i) => ({
      name: `route-number-${i}`,
      route: [{ destination: { host: 'reviews' } }],
    }));
    const live: KubeObject = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'reviews', namespace: 'shop', resourceVersion: '1' },
      spec: { hosts: ['reviews'], http },
    };
    const { writes, problems } = router.plan(new Cluster([live]).input(canary({ virtualService: { name: 'reviews' } })), {
      blue: 90,
      green: 10,
    });
    expect(writes).toEqual([]);
    expect(problems.map(({ message }) => message).join()).toContain('VirtualService shop/reviews');
    expect(problems.map(({ reason }) => reason)).toEqual(['InvalidRoute']);
  });
});

describe('splitShare', () => {
  it('loses nothing, for every share and weight', () => {
    for (let share = 0; share <= 100; share++) {
      for (let weight = 0; weight <= 100; weight++) {
        const { blue, green } = splitShare(share, { blue: weight, green: 100 - weight });
        expect(blue + green).toBe(share);
        expect(Math.min(blue, green)).toBeGreaterThanOrEqual(weight > 0 && weight < 100 && share >= 2 ? 1 : 0);
        expect(Math.abs(blue - (share * weight) / 100)).toBeLessThan(1);
      }
    }
  });
});

describe('apportion', () => {
  it.each([
    [100, [1, 1, 1], [34, 33, 33]],
    [70, [0, 0], [35, 35]],
    [10, [1, 99], [0, 10]],
    [0, [5, 5], [0, 0]],
  ])('divides %d in proportion to %j', (total, parts, expected) => {
    expect(apportion(total, parts)).toEqual(expected);
  });
});
