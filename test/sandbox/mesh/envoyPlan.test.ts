import { describe, expect, it } from 'vitest';
import { compileMesh } from '../../../src/sandbox/mesh/config.js';
import { LogReader } from '../../../src/sandbox/mesh/envoy/accessLog.js';
import { planEnvoy } from '../../../src/sandbox/mesh/envoy/plan.js';
import type { RequestRecord } from '../../../src/sandbox/mesh/types.js';
import { describeSource } from '../../../src/sandbox/mesh/workload.js';
import { destinationRule, emptyInput, pod, service, slice, virtualService, type PodSpec } from './world.js';

const source = describeSource({ workload: 'productpage-v1', namespace: 'default', labels: { app: 'productpage' } });
const paths = { files: '/config', sockets: '/sockets' };

const canary = () => {
  const blue: PodSpec = { name: 'blue-1', real: 1001, workload: 'reviews-blue', labels: { app: 'reviews', version: 'v1' } };
  return compileMesh({
    ...emptyInput(),
    services: [service('reviews-blue'), service('reviews-green')],
    endpointSlices: [slice('reviews-blue', [blue]), slice('reviews-green', [])],
    pods: [pod(blue)],
    virtualServices: [
      virtualService('reviews', {
        hosts: ['reviews.example'],
        http: [
          {
            name: 'testers',
            match: [
              {
                uri: { prefix: '/beta' },
                headers: { cookie: { regex: '.*canary.*' } },
                withoutHeaders: { 'x-no': {} },
                queryParams: { a: { exact: '1' } },
              },
            ],
            rewrite: { uri: '/' },
            timeout: '2s',
            retries: { attempts: 1, perTryTimeout: '1s', retryOn: '5xx' },
            fault: { delay: { percentage: { value: 0.5 }, fixedDelay: '1s' } },
            mirror: { host: 'reviews-blue' },
            mirrorPercentage: { value: 10 },
            headers: { request: { set: { 'x-share': '50%' } } },
            route: [{ destination: { host: 'reviews-green' } }],
          },
          {
            name: 'primary',
            route: [
              { destination: { host: 'reviews-blue' }, weight: 90 },
              { destination: { host: 'reviews-green' }, weight: 10 },
            ],
          },
        ],
      }),
    ],
  });
};

describe('the configuration for Envoy', () => {
  it('is this, for a canary at 10 %', async () => {
    const plan = planEnvoy(canary(), [{ id: 'outbound-0-productpage-v1', source }], paths);
    const text = JSON.stringify(
      {
        endpoints: plan.endpoints,
        clusters: [...plan.clusters.values()],
        listeners: [...plan.listeners.values()],
        routes: plan.routes,
      },
      undefined,
      2,
    );
    await expect(`${text}\n`).toMatchFileSnapshot('golden/envoy-canary.json.golden');
  });

  it('changes only routes when a weight changes, and only endpoints when a pod goes', () => {
    const sources = [{ id: 's', source }];
    const before = planEnvoy(canary(), sources, paths);
    const heavier = structuredClone(canary());
    for (const host of heavier.virtualHosts)
      for (const { action } of host.routes) if (action.kind === 'forward') for (const one of action.destinations) one.weight = 50;
    const weights = planEnvoy(heavier, sources, paths);
    expect([weights.clusters, weights.endpoints, weights.listeners]).toEqual([
      before.clusters,
      before.endpoints,
      before.listeners,
    ]);
    expect(weights.routes).not.toEqual(before.routes);
    const emptied = structuredClone(canary());
    for (const cluster of Object.values(emptied.clusters)) cluster.endpoints = [];
    const gone = planEnvoy(emptied, sources, paths);
    expect([gone.clusters, gone.routes]).toEqual([before.clusters, before.routes]);
    expect(gone.endpoints).not.toEqual(before.endpoints);
  });

  it('gives a namespace with its own DestinationRule clusters of its own', () => {
    const config = compileMesh({
      ...emptyInput(),
      services: [service('reviews')],
      destinationRules: [
        destinationRule(
          'client',
          { host: 'reviews.default.svc.cluster.local', subsets: [{ name: 'mine', labels: {} }] },
          { namespace: 'far' },
        ),
      ],
    });
    const far = describeSource({ workload: 'w', namespace: 'far' });
    const plan = planEnvoy(config, [{ id: 's', source: far }], paths);
    expect(JSON.stringify(plan.routes)).toContain('"far@outbound|9080||reviews.default.svc.cluster.local"');
    expect([...plan.clusters.keys()]).toContain('far@outbound|9080|mine|reviews.default.svc.cluster.local');
  });
});

describe("Envoy's access log", () => {
  const read = (chunks: string[]): { records: RequestRecord[]; problems: string[]; reader: LogReader } => {
    const records: RequestRecord[] = [];
    const problems: string[] = [];
    const config = canary();
    const reader = new LogReader({
      sources: (id) => (id === 's' ? source : undefined),
      clusters: (name) => config.clusters[name],
      endpoints: (address) =>
        Object.values(config.clusters)
          .flatMap((cluster) => cluster.endpoints)
          .find((endpoint) => endpoint.address === address),
      onRequest: (record) => records.push(record),
      onProblem: (message) => problems.push(message),
    });
    for (const chunk of chunks) reader.push(chunk);
    return { records, problems, reader };
  };
  const request = (parts: Record<string, unknown> = {}): string =>
    `${JSON.stringify({ kind: 'request', source: 's', start: '1700000000.250', id: 'r1', method: 'GET', path: '/', authority: 'reviews', code: 200, flags: '-', duration: 7, route: 'primary', cluster: 'outbound|9080||reviews-blue.default.svc.cluster.local', host: '127.0.0.1:1001', tries: 1, ...parts })}\n`;
  const attempt = (parts: Record<string, unknown> = {}): string =>
    `${JSON.stringify({ kind: 'attempt', id: 'r1', host: '127.0.0.1:1001', code: 200, flags: '-', duration: 5, ...parts })}\n`;

  it('becomes a record, whatever the order and the cuts', () => {
    const text = request() + attempt();
    for (const chunks of [[text], [text.slice(0, 30), text.slice(30)], [attempt(), request()]]) {
      const { records, problems } = read(chunks);
      expect(problems).toEqual([]);
      expect(records).toMatchObject([
        {
          time: 1_700_000_000_250,
          requestId: 'r1',
          responseCode: 200,
          durationMs: 7,
          endpoint: { pod: 'blue-1' },
          attempts: [{ status: 200, durationMs: 5, reached: true }],
        },
      ]);
    }
  });

  it('waits for all tries of a request, and gives two requests with one id their own', () => {
    const { records } = read([
      request({ tries: 2 }),
      attempt({ code: 503 }),
      attempt(),
      attempt({ code: 204 }),
      request({ code: 204 }),
    ]);
    expect(records.map(({ attempts }) => attempts.map(({ status }) => status))).toEqual([[503, 200], [204]]);
  });

  it('is not lost when a try never shows', () => {
    const { records, reader } = read([request()]);
    expect(records).toHaveLength(0);
    reader.flush();
    expect(records).toMatchObject([{ responseCode: 200, attempts: [] }]);
  });

  it('is reported where it is something else', () => {
    const { records, problems } = read(['hello\n', '{"kind":"other"}\n']);
    expect([records.length, problems.length]).toEqual([0, 2]);
  });
});
