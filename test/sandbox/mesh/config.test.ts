import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../../src/kube/types.js';
import { PORTS_ANNOTATION } from '../../../src/sandbox/cluster/annotations.js';
import { compileMesh, type MeshInput } from '../../../src/sandbox/mesh/config.js';
import { programHosts } from '../../../src/sandbox/mesh/domains.js';
import type { MeshConfig, Route, VirtualHost } from '../../../src/sandbox/mesh/types.js';
import { describeSource } from '../../../src/sandbox/mesh/workload.js';
import { destinationRule, emptyInput, pod, service, slice, virtualService } from './world.js';

const FQDN = 'reviews.default.svc.cluster.local';

const compile = (parts: Partial<MeshInput>): MeshConfig =>
  compileMesh({ ...emptyInput(), services: [service('reviews'), service('reviews-blue'), service('reviews-green')], ...parts });

/** The route table that a VirtualService with these entries gives its host. */
const routes = (http: unknown[], parts: Partial<MeshInput> = {}): Route[] =>
  tableOf(compile({ virtualServices: [virtualService('reviews', { hosts: ['reviews'], http })], ...parts })).routes;

const tableOf = (config: MeshConfig, host = FQDN): VirtualHost => {
  const found = config.virtualHosts.find((candidate) => candidate.host === host);
  if (found === undefined) throw new Error(`no table for ${host}`);
  return found;
};

const to = (host: string, weight?: number): Record<string, unknown> => ({
  destination: { host },
  ...(weight !== undefined && { weight }),
});

const clustersOf = (route: Route | undefined): [string, number][] =>
  route?.action.kind === 'forward' ? route.action.destinations.map(({ cluster, weight }) => [cluster, weight]) : [];

describe('routes of a VirtualService', () => {
  it('replace the default route of the Service', () => {
    expect(clustersOf(tableOf(compile({})).routes[0])).toEqual([[`outbound|9080||${FQDN}`, 100]]);
    expect(clustersOf(routes([{ route: [to('reviews-green')] }])[0])).toEqual([
      ['outbound|9080||reviews-green.default.svc.cluster.local', 100],
    ]);
  });

  it.each(['v1', 'v1beta1', 'v1alpha3'])('are read from networking.istio.io/%s', (version) => {
    const object = {
      ...virtualService('reviews', { hosts: ['reviews'], http: [{ route: [to('reviews-green')] }] }),
      apiVersion: `networking.istio.io/${version}`,
    };
    expect(tableOf(compile({ virtualServices: [object] })).virtualService).toBe('reviews/default');
  });

  it('ignore other groups', () => {
    const object = {
      ...virtualService('reviews', { hosts: ['reviews'], http: [{ route: [to('reviews-green')] }] }),
      apiVersion: 'example.com/v1',
    };
    expect(tableOf(compile({ virtualServices: [object] })).virtualService).toBeUndefined();
  });

  it('leave out destinations of weight 0', () => {
    expect(clustersOf(routes([{ route: [to('reviews-blue', 100), to('reviews-green', 0)] }])[0])).toEqual([
      ['outbound|9080||reviews-blue.default.svc.cluster.local', 100],
    ]);
  });

  it('give an only destination everything, whatever its weight', () => {
    expect(clustersOf(routes([{ route: [to('reviews-blue', 0)] }])[0])).toEqual([
      ['outbound|9080||reviews-blue.default.svc.cluster.local', 100],
    ]);
  });

  it('are skipped with a problem when weights sum to 0', () => {
    const config = compile({
      virtualServices: [
        virtualService('reviews', { hosts: ['reviews'], http: [{ route: [to('reviews-blue', 0), to('reviews-green', 0)] }] }),
      ],
    });
    expect(config.problems).toMatchObject([
      { object: 'VirtualService default/reviews', field: 'spec.http.0.route', message: expect.stringContaining('sum to 0') },
    ]);
  });

  it('make one entry per match and stop at the first that takes all', () => {
    const table = routes([
      { name: 'a', match: [{ name: 'x', uri: { exact: '/1' } }, { uri: { prefix: '/2' } }], route: [to('reviews-blue')] },
      { name: 'all', route: [to('reviews-green')] },
      { name: 'dead', route: [to('reviews-blue')] },
    ]);
    expect(table.map(({ name }) => name)).toEqual(['a.x', 'a', 'all']);
  });

  it('do not count an entry for some sources as one that takes all', () => {
    const table = routes([
      { match: [{ sourceLabels: { app: 'x' } }], route: [to('reviews-blue')] },
      { route: [to('reviews-green')] },
    ]);
    expect(table).toHaveLength(2);
  });

  it('keep only entries for the port', () => {
    const table = routes([
      { match: [{ port: 1234 }], route: [to('reviews-blue')] },
      { match: [{ port: 9080 }], route: [to('reviews-green')] },
    ]);
    expect(table).toHaveLength(1);
    expect(clustersOf(table[0])[0]?.[0]).toContain('green');
  });

  it("use the destination's port, else the only port of its Service, else the listener's", () => {
    const services = [
      service('reviews'),
      service('one', 'default', [{ port: 81 }]),
      service('two', 'default', [
        { name: 'a', port: 1 },
        { name: 'b', port: 2 },
      ]),
    ];
    const table = routes(
      [
        {
          route: [
            { ...to('one', 1) },
            { ...to('two', 1) },
            { destination: { host: 'two', port: { number: 2 } }, weight: 1 },
            to('gone', 1),
          ],
        },
      ],
      { services },
    );
    expect(clustersOf(table[0]).map(([cluster]) => cluster.split('|')[1])).toEqual(['81', '9080', '2', '9080']);
  });

  it("complete names only with the VirtualService's namespace and only when they have no dot", () => {
    const config = compile({
      services: [service('reviews', 'other')],
      virtualServices: [
        virtualService('reviews', { hosts: ['reviews'], http: [{ route: [to('reviews.other')] }] }, { namespace: 'other' }),
      ],
    });
    expect(clustersOf(tableOf(config, 'reviews.other.svc.cluster.local').routes[0])[0]?.[0]).toBe('outbound|9080||reviews.other');
    expect(config.problems[0]?.message).toContain('write "reviews.other.svc.cluster.local"');
  });

  it('carry timeout, faults, mirrors, rewrites and headers', () => {
    const [route] = routes([
      {
        timeout: '1m30.5s',
        fault: { delay: { percentage: { value: 0.1 }, fixedDelay: '2s' }, abort: { percentage: { value: 50 }, httpStatus: 503 } },
        mirror: { host: 'reviews-green' },
        mirrorPercentage: { value: 12.5 },
        mirrors: [{ destination: { host: 'reviews-blue', subset: 'x' } }],
        rewrite: { uri: '/x', authority: 'y' },
        headers: { request: { set: { a: '1' }, remove: ['b'] } },
        corsPolicy: { allowOrigins: [] },
        route: [to('reviews-blue')],
      },
    ]);
    expect(route).toMatchObject({
      timeoutMs: 90_500,
      fault: { delay: { percent: 0.1, ms: 2000 }, abort: { percent: 50, status: 503 } },
      mirrors: [
        { cluster: 'outbound|9080||reviews-green.default.svc.cluster.local', percent: 12.5 },
        { cluster: 'outbound|9080|x|reviews-blue.default.svc.cluster.local', percent: 100 },
      ],
      rewrite: { uri: '/x', authority: 'y' },
      headers: { request: { set: { a: '1' }, add: {}, remove: ['b'] } },
    });
  });

  it("have Istio's default retries unless they set their own", () => {
    const [standard, own, none] = [
      {},
      { retries: { attempts: 4, perTryTimeout: '250ms', retryOn: 'gateway-error, 429' } },
      { retries: { attempts: 0 } },
    ].map((extra) => routes([{ route: [to('reviews-blue')], ...extra }])[0]?.retries);
    expect(standard).toEqual({
      attempts: 2,
      on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
      statusCodes: [503],
    });
    expect(own).toEqual({
      attempts: 4,
      perTryTimeoutMs: 250,
      on: ['gateway-error', 'retriable-status-codes'],
      statusCodes: [429],
    });
    expect(none).toBeUndefined();
  });

  it('can be compiled as Istio does since 1.24: no status is retried by default', () => {
    const config = compileMesh({ ...emptyInput(), services: [service('reviews')] }, 1, { defaultRetryStatusCodes: [] });
    expect(tableOf(config).routes[0]?.retries?.statusCodes).toEqual([]);
  });

  it('take in the entries of a delegate, inside the root entry match', () => {
    const config = compile({
      virtualServices: [
        virtualService('root', {
          hosts: ['reviews'],
          http: [{ name: 'r', match: [{ uri: { prefix: '/api' } }], delegate: { name: 'team', namespace: 'team' } }],
        }),
        virtualService(
          'team',
          {
            http: [
              { match: [{ uri: { prefix: '/api/v2' } }], route: [to('svc')] },
              { match: [{ uri: { prefix: '/other' } }], route: [to('svc')] },
              { name: 'rest', route: [to('svc')] },
            ],
          },
          { namespace: 'team' },
        ),
      ],
    });
    const table = tableOf(config).routes;
    expect(table.map(({ name, match }) => [name, match?.uri])).toEqual([
      ['r', { kind: 'prefix', value: '/api/v2' }],
      ['r-rest', { kind: 'prefix', value: '/api' }],
    ]);
    expect(clustersOf(table[0])[0]?.[0]).toBe('outbound|9080||svc.team.svc.cluster.local');
    expect(config.problems).toHaveLength(1);
  });

  it('name a delegate that does not exist', () => {
    const config = compile({
      virtualServices: [virtualService('root', { hosts: ['reviews'], http: [{ delegate: { name: 'gone' } }] })],
    });
    expect(config.problems[0]).toMatchObject({
      field: 'spec.http.0.delegate',
      message: expect.stringContaining('default/gone does not exist'),
    });
  });
});

describe('who sees a VirtualService', () => {
  const source = (namespace: string, gateway?: string) =>
    describeSource({ workload: 'w', namespace, ...(gateway !== undefined && { gateway }) });
  const seen = (spec: Record<string, unknown>, who = source('default'), meta: Record<string, unknown> = {}): boolean => {
    const config = compile({
      virtualServices: [virtualService('vs', { hosts: [FQDN], http: [{ route: [to('reviews-green')] }], ...spec }, meta)],
    });
    return programHosts(config, who).find(({ host }) => host === FQDN)?.virtualService !== undefined;
  };

  it('is everyone by default', () => expect([seen({}), seen({}, source('far'))]).toEqual([true, true]));
  it('is its namespace with exportTo "."', () => {
    expect([
      seen({ exportTo: ['.'] }),
      seen({ exportTo: ['.'] }, source('far')),
      seen({ exportTo: ['far'] }, source('far')),
    ]).toEqual([true, false, true]);
  });
  it('is no sidecar when only gateways are named', () => {
    expect([
      seen({ gateways: ['public'] }),
      seen({ gateways: ['public', 'mesh'] }),
      seen({ gateways: ['public'] }, source('default', 'default/public')),
    ]).toEqual([false, true, true]);
  });
  it('is decided by age between two for one host, with a problem for the loser', () => {
    const make = (name: string, at: string, host: string): KubeObject =>
      virtualService(name, { hosts: ['reviews'], http: [{ route: [to(host)] }] }, { creationTimestamp: at });
    const config = compile({
      virtualServices: [make('a-young', '2026-02-01T00:00:00Z', 'young'), make('z-old', '2026-01-01T00:00:00Z', 'old')],
    });
    expect(programHosts(config, source('default')).find(({ host }) => host === FQDN)?.virtualService).toBe('z-old/default');
    expect(config.problems).toMatchObject([{ object: 'VirtualService default/a-young', field: 'spec.hosts' }]);
  });
  it('prefers an exact host to a wildcard', () => {
    const config = compile({
      virtualServices: [
        virtualService('wild', { hosts: ['*.default.svc.cluster.local'], http: [{ route: [to('wild')] }] }),
        virtualService('exact', { hosts: ['reviews'], http: [{ route: [to('exact')] }] }),
      ],
    });
    expect(tableOf(config).virtualService).toBe('exact/default');
    expect(tableOf(config, 'reviews-blue.default.svc.cluster.local').virtualService).toBe('wild/default');
  });
  it('gives short names only inside the namespace', () => {
    const names = (namespace: string): string[] =>
      programHosts(compile({}), source(namespace)).find(({ host }) => host === FQDN)?.domains ?? [];
    expect(names('default')).toContain('reviews');
    expect(names('far')).not.toContain('reviews');
    expect(names('far')).toContain('reviews.default');
  });
});

describe('malformed objects', () => {
  it.each<[string, Partial<MeshInput>, string]>([
    [
      'a weight that is text',
      {
        virtualServices: [
          virtualService('x', { hosts: ['reviews'], http: [{ route: [{ destination: { host: 'a' }, weight: 'ten' }] }] }),
        ],
      },
      'spec.http.0.route.0.weight',
    ],
    [
      'a bad duration',
      { virtualServices: [virtualService('x', { hosts: ['reviews'], http: [{ timeout: '5', route: [to('a')] }] })] },
      'spec.http.0.timeout',
    ],
    [
      'a bad expression',
      {
        virtualServices: [
          virtualService('x', { hosts: ['reviews'], http: [{ match: [{ uri: { regex: '(' } }], route: [to('a')] }] }),
        ],
      },
      'spec.http.0.match.0.uri.regex',
    ],
    [
      'an expression that RE2 does not have',
      {
        virtualServices: [
          virtualService('x', { hosts: ['reviews'], http: [{ match: [{ uri: { regex: '/(?!a).*' } }], route: [to('a')] }] }),
        ],
      },
      'spec.http.0.match.0.uri.regex',
    ],
    [
      'no spec',
      {
        virtualServices: [
          { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'x', namespace: 'default' } },
        ],
      },
      'spec',
    ],
    ['a rule without a host', { destinationRules: [destinationRule('x', {})] }, 'spec.host'],
    ['a Service port out of range', { services: [service('x', 'default', [{ port: 70_000 }])] }, 'spec.ports.0.port'],
    [
      'an entry that does nothing',
      { virtualServices: [virtualService('x', { hosts: ['reviews'], http: [{ name: 'empty' }] })] },
      'spec.http.0',
    ],
    [
      'an abort without a status',
      { virtualServices: [virtualService('x', { hosts: ['reviews'], http: [{ fault: { abort: {} }, route: [to('a')] }] })] },
      'spec.http.0.fault.abort',
    ],
  ])('are reported by field and skipped: %s', (_what, parts, field) => {
    const config = compile(parts);
    expect(config.problems.map((problem) => problem.field)).toContain(field);
  });

  it('leave the host to its Service', () => {
    const config = compile({
      virtualServices: [virtualService('x', { hosts: ['reviews'], http: [{ timeout: 7, route: [to('a')] }] })],
    });
    expect(clustersOf(tableOf(config).routes[0])).toEqual([[`outbound|9080||${FQDN}`, 100]]);
  });

  it.each(['not json', '{"9080":"203.0.113.9:80"}', '[1]'])(
    'give a pod whose ports annotation is %s no traffic',
    (annotation) => {
      const broken = pod({ name: 'a' });
      broken.metadata.annotations = { [PORTS_ANNOTATION]: annotation };
      const config = compile({ pods: [broken], endpointSlices: [slice('reviews', [{ name: 'a' }])] });
      expect(config.clusters[`outbound|9080||${FQDN}`]?.endpoints).toEqual([]);
      expect(config.problems[0]).toMatchObject({ object: 'Pod default/a', message: expect.stringContaining('127.0.0.1:PORT') });
    },
  );

  it('survive anything that is no object of its kind', () => {
    const rubbish = [{ apiVersion: 'networking.istio.io/v1', kind: 'X', metadata: {}, spec: 3 } as unknown as KubeObject];
    const config = compileMesh({
      virtualServices: rubbish,
      destinationRules: rubbish,
      services: rubbish,
      endpointSlices: rubbish,
      pods: rubbish,
    });
    expect(config.problems).toHaveLength(5);
  });
});
