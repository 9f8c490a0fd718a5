import { describe, expect, it } from 'vitest';
import { findCluster } from '../../../src/sandbox/mesh/clusters.js';
import { compileMesh, type MeshInput } from '../../../src/sandbox/mesh/config.js';
import type { MeshConfig } from '../../../src/sandbox/mesh/types.js';
import { destinationRule, emptyInput, pod, service, slice, type PodSpec } from './world.js';

const FQDN = 'reviews.default.svc.cluster.local';

const compile = (parts: Partial<MeshInput>): MeshConfig =>
  compileMesh({ ...emptyInput(), services: [service('reviews')], ...parts });

describe('clusters', () => {
  const pods: PodSpec[] = [
    { name: 'a', real: 1001, workload: 'reviews-blue', labels: { app: 'reviews', version: 'v1' } },
    { name: 'b', real: 1002, workload: 'reviews-green', labels: { app: 'reviews', version: 'v2' } },
    { name: 'c', real: 1003, ready: false },
  ];
  const world = (parts: Partial<MeshInput> = {}): MeshConfig =>
    compile({ pods: pods.map(pod), endpointSlices: [slice('reviews', pods)], ...parts });
  const addresses = (config: MeshConfig, subset = '', namespace = 'default'): string[] | undefined =>
    findCluster(config, namespace, `outbound|9080|${subset}|${FQDN}`)?.endpoints.map(({ address }) => address);

  it('have the ready endpoints, with the pod behind each', () => {
    const config = world();
    expect(addresses(config)).toEqual(['127.0.0.1:1001', '127.0.0.1:1002']);
    expect(config.clusters[`outbound|9080||${FQDN}`]?.endpoints[0]).toMatchObject({
      pod: 'a',
      podAddress: expect.stringMatching(/^10\.244\..*:9080$/),
      workload: {
        workload: 'reviews-blue',
        namespace: 'default',
        app: 'reviews',
        version: 'v1',
        canonicalService: 'reviews',
        canonicalRevision: 'v1',
      },
    });
  });

  it('count an endpoint without a condition as ready', () => {
    const one = slice('reviews', [{ name: 'a' }]);
    (one['endpoints'] as Record<string, unknown>[])[0] = {
      ...(one['endpoints'] as Record<string, unknown>[])[0],
      conditions: {},
    };
    expect(addresses(world({ endpointSlices: [one] }))).toEqual(['127.0.0.1:1001']);
  });

  it('join slices and keep each endpoint once', () => {
    const second = slice('reviews', pods.slice(1, 2));
    expect(addresses(world({ endpointSlices: [slice('reviews', pods.slice(0, 2)), second] }))).toEqual([
      '127.0.0.1:1001',
      '127.0.0.1:1002',
    ]);
  });

  it('have subsets by label, merged over the rules of a namespace', () => {
    const config = world({
      destinationRules: [
        destinationRule('one', { host: 'reviews', subsets: [{ name: 'v1', labels: { version: 'v1' } }] }),
        destinationRule('two', {
          host: FQDN,
          subsets: [
            { name: 'v2', labels: { version: 'v2' } },
            { name: 'none', labels: { version: 'v9' } },
          ],
        }),
      ],
    });
    expect([addresses(config, 'v1'), addresses(config, 'v2'), addresses(config, 'none'), addresses(config, 'gone')]).toEqual([
      ['127.0.0.1:1001'],
      ['127.0.0.1:1002'],
      [],
      undefined,
    ]);
  });

  it("let a rule in the caller's namespace win, unmerged", () => {
    const config = world({
      destinationRules: [
        destinationRule('own', { host: 'reviews', subsets: [{ name: 'v1', labels: { version: 'v1' } }] }),
        destinationRule('client', { host: FQDN, subsets: [{ name: 'mine', labels: {} }] }, { namespace: 'client' }),
      ],
    });
    expect(addresses(config, 'v1', 'default')).toHaveLength(1);
    expect(addresses(config, 'v1', 'client')).toBeUndefined();
    expect(addresses(config, 'mine', 'client')).toHaveLength(2);
  });

  it('keep a rule that is not exported to its namespace', () => {
    const config = world({
      destinationRules: [
        destinationRule('own', { host: 'reviews', exportTo: ['.'], subsets: [{ name: 'v1', labels: { version: 'v1' } }] }),
      ],
    });
    expect([addresses(config, 'v1', 'default')?.length, addresses(config, 'v1', 'far')]).toEqual([1, undefined]);
  });

  it('follow the load balancer and the connect timeout of a rule', () => {
    const trafficPolicy = { loadBalancer: { simple: 'LEAST_REQUEST' }, connectionPool: { tcp: { connectTimeout: '3s' } } };
    const config = world({ destinationRules: [destinationRule('own', { host: 'reviews', trafficPolicy })] });
    expect(config.clusters[`outbound|9080||${FQDN}`]).toMatchObject({ loadBalancer: 'LEAST_REQUEST', connectTimeoutMs: 3000 });
  });

  it('leave out ports that are not HTTP', () => {
    const ports = [
      { name: 'http', port: 80 },
      { name: 'tcp-db', port: 81 },
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'web', port: 82, appProtocol: 'http' },
    ];
    expect(Object.keys(compile({ services: [service('reviews', 'default', ports)] }).clusters)).toEqual([
      `outbound|80||${FQDN}`,
      `outbound|82||${FQDN}`,
    ]);
  });
});
