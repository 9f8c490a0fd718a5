/** Trap I1: who counts what a version does. Callers' proxies do not count copies, and see one answer where there were several tries. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import type { Cache } from '../../../src/engine/cache.js';
import { gather, type EvidenceOptions } from '../../../src/engine/evidence.js';
import type { MeasureRequest } from '../../../src/engine/ports.js';
import { createMetricsSource } from '../../../src/metrics/index.js';
import { createTelemetry } from '../../../src/sandbox/mesh/telemetry.js';
import type { RequestRecord } from '../../../src/sandbox/mesh/types.js';
import { asRange, timesOf } from '../../metrics/as-range.js';
import { canary } from '../istio/cluster.js';

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

/** A Prometheus that answers each query by what it is about. */
async function prometheus(answer: (query: string) => { labels: Record<string, string>; value: number }[]): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const form = new URLSearchParams(body);
      const result = answer(form.get('query') ?? '').map(({ labels, value }) => ({ metric: labels, value: [1, String(value)] as [number, string] }));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(asRange(timesOf(form), () => result)));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const NOW = 1_000_000_000;
const ask = (server: string, more: Partial<MeasureRequest> = {}): MeasureRequest => ({
  metric: 'request-success-rate',
  server,
  namespace: 'shop',
  name: 'reviews',
  target: 'reviews',
  revision: 'a1',
  service: 'reviews-green',
  stableService: 'reviews-blue',
  from: NOW - 20_000,
  to: NOW,
  ...more,
});

const source = () => createMetricsSource({ clock: { now: () => NOW }, gridMs: 5_000 });

it('copies are judged by the proxies of the pods that got them, known by their Deployment', async () => {
  const server = await prometheus((query) =>
    query.includes('reporter="destination",destination_workload_namespace="shop"')
      ? [
          { labels: { destination_workload_namespace: 'shop', destination_workload: 'reviews-green', response_code: '200' }, value: 6 },
          { labels: { destination_workload_namespace: 'shop', destination_workload: 'reviews-green', response_code: '500' }, value: 2 },
        ]
      : [],
  );
  const metrics = source();
  expect(await metrics.measure(ask(server, { reporter: 'destination' }))).toMatchObject({ kind: 'Value', value: 75 });
  expect(await metrics.measure(ask(server))).toMatchObject({ kind: 'NoData' });
  metrics.close();
});

it('in ambient mode the waypoint counts, by the Service that was asked, and there are no tries', async () => {
  const queries: string[] = [];
  const server = await prometheus((query) => {
    queries.push(query);
    return query.includes('reporter="waypoint",destination_service_namespace="shop"')
      ? [
          { labels: { destination_service_namespace: 'shop', destination_service_name: 'reviews-green', response_code: '200' }, value: 3 },
          { labels: { destination_service_namespace: 'shop', destination_service_name: 'reviews-green', response_code: '503' }, value: 1 },
        ]
      : [];
  });
  const metrics = source();
  const measured = await metrics.measure(ask(server, { reporter: 'waypoint' }));
  expect(measured).toMatchObject({ kind: 'Value', value: 75 });
  expect(measured).not.toHaveProperty('tries');
  expect(queries.join()).not.toContain('reporter="source"');
  metrics.close();
});

it.each([
  ['a sidecar', {}, {}, {}],
  ['a waypoint', { 'istio.io/use-waypoint': 'shop' }, {}, { reporter: 'waypoint' }],
  ['a waypoint that it does without', { 'istio.io/use-waypoint': 'none' }, {}, {}],
  ['a waypoint, for copies', { 'istio.io/use-waypoint': 'shop' }, { asked: 'destination' as const }, { reporter: 'destination' }],
  ['subsets', {}, { routing: 'subsets' }, { reporter: 'workload' }],
])('who is asked about a Service with %s', async (_, labels, { asked, routing }: { asked?: 'destination'; routing?: string }, expected) => {
  const requests: MeasureRequest[] = [];
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'reviews', namespace: 'shop', labels } };
  const cache = { services: { get: (_namespace: string, name: string) => (name === 'reviews' ? service : undefined) } } as unknown as Cache;
  const options = { cache, metricsServer: 'http://prometheus', metrics: { measure: (request: MeasureRequest) => Promise.resolve((requests.push(request), { kind: 'NoData', query: '', message: '' } as const)) } } as unknown as EvidenceOptions;
  await gather(options, canary(routing ? { routing } : {}), { metrics: [{ metric: 'request-success-rate', from: 0, to: 1, ...(asked ? { reporter: asked } : {}) }], hooks: [] });
  expect(requests.map(({ reporter }) => (reporter ? { reporter } : {}))).toEqual([expected]);
});

it('the stable side of a step with a control arm is the arm, of checks and of comparisons', async () => {
  const requests: MeasureRequest[] = [];
  const keep = (request: MeasureRequest) => Promise.resolve((requests.push(request), { kind: 'NoData', query: '', message: '' } as const));
  const options = { cache: { services: { get: () => undefined } }, metricsServer: 'http://prometheus', metrics: { measure: keep, windows: keep } } as unknown as EvidenceOptions;
  const subject = canary({}, 'reviews', { iterations: 1, control: true, match: [{ headers: { 'x-tester': { exact: 'yes' } } }] });
  const need = { metric: 'request-success-rate', from: 0, to: 1 };
  await gather(options, subject, { metrics: [need, { ...need, control: true }], windows: [{ ...need, of: 'run' }, { ...need, of: 'run', control: true }], hooks: [] });
  expect(requests.map(({ service, stableService }) => `${service} ${stableService}`)).toEqual(['reviews-green reviews-blue', 'reviews-green reviews-blue-control', 'reviews-green reviews-blue', 'reviews-green reviews-blue-control']);
});

it('without sidecars there is nothing to judge copies by, and the answer says so', async () => {
  const metrics = source();
  const measured = await metrics.measure(ask(await prometheus(() => []), { reporter: 'destination' }));
  expect(measured).toMatchObject({ kind: 'NoData', message: expect.stringContaining('without sidecars, use a MetricTemplate') as string });
  metrics.close();
});

it('the share is what the two slots got of the requests to both', async () => {
  const labels = (service: string) => ({ destination_service_namespace: 'shop', destination_service_name: service, response_code: '200' });
  const metrics = source();
  const server = await prometheus(() => [{ labels: labels('reviews-green'), value: 5 }, { labels: labels('reviews-blue'), value: 15 }]);
  expect(await metrics.measure(ask(server, { metric: 'request-share' }))).toMatchObject({ kind: 'Value', value: 25 });
  metrics.close();
});

it('a copy has no source metrics; a request has both', async () => {
  const workload = { workload: 'productpage', namespace: 'shop', app: 'productpage', version: 'v1', canonicalService: 'productpage', canonicalRevision: 'v1' };
  const endpoint = { address: '127.0.0.1:1', podAddress: '10.0.0.1:9080', pod: 'p', workload: { ...workload, workload: 'reviews-green', app: 'reviews' } };
  const record = (mirrored: boolean): RequestRecord => ({
    time: 0,
    requestId: 'r',
    source: { ...workload, labels: {} },
    method: 'GET',
    path: '/',
    authority: 'reviews',
    protocol: 'http',
    responseCode: 200,
    responseFlags: '-',
    durationMs: 1,
    routeName: 'default',
    upstreamCluster: 'c',
    endpoint,
    destinationService: { host: 'reviews-green.shop.svc.cluster.local', name: 'reviews-green', namespace: 'shop' },
    attempts: [{ endpoint, status: 200, flags: '-', durationMs: 1, reached: true }],
    mirrored,
  });
  const telemetry = createTelemetry();
  telemetry.onRequest(record(true));
  expect(await telemetry.registry.getSingleMetricAsString('istio_requests_total')).not.toContain('reporter="source"');
  telemetry.onRequest(record(false));
  const text = await telemetry.registry.getSingleMetricAsString('istio_requests_total');
  expect(text).toContain('reporter="source"');
  expect(text).toMatch(/reporter="destination".* 2/);
});
