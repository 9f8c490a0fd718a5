import { afterEach, describe, expect, it } from 'vitest';
import {
  createTelemetry,
  DURATION_BUCKETS_MS,
  observations,
  startTelemetry,
  type TelemetryServer,
} from '../../../src/sandbox/mesh/telemetry.js';
import type { Attempt, Endpoint, RequestRecord } from '../../../src/sandbox/mesh/types.js';
import { describeSource, describeWorkload } from '../../../src/sandbox/mesh/workload.js';
import { call } from './world.js';

const endpoint: Endpoint = {
  address: '127.0.0.1:1',
  podAddress: '10.244.0.9:9080',
  pod: 'reviews-green-5d8f-x',
  workload: describeWorkload('reviews-green', 'default', { app: 'reviews', version: 'v2' }),
};

const attempt = (parts: Partial<Attempt> = {}): Attempt => ({
  endpoint,
  status: 200,
  flags: '-',
  durationMs: 4,
  reached: true,
  ...parts,
});

const record = (parts: Partial<RequestRecord> = {}): RequestRecord => ({
  time: 0,
  requestId: 'r',
  source: describeSource({ workload: 'productpage-v1', namespace: 'shop', labels: { app: 'productpage', version: 'v1' } }),
  method: 'GET',
  path: '/',
  authority: 'reviews',
  protocol: 'http',
  responseCode: 200,
  responseFlags: '-',
  durationMs: 7,
  routeName: 'default',
  upstreamCluster: 'outbound|9080||reviews-green.default.svc.cluster.local',
  endpoint,
  destinationService: { host: 'reviews-green.default.svc.cluster.local', name: 'reviews-green', namespace: 'default' },
  attempts: [attempt()],
  mirrored: false,
  ...parts,
});

const byReporter = (reporter: string, parts: Partial<RequestRecord> = {}) =>
  observations(record(parts)).filter(({ labels }) => labels.reporter === reporter);

describe('labels', () => {
  it('at the source name the Service of the route and the workload that answered', () => {
    expect(byReporter('source')).toEqual([
      {
        durationMs: 7,
        labels: {
          reporter: 'source',
          source_workload: 'productpage-v1',
          source_workload_namespace: 'shop',
          source_principal: 'unknown',
          source_app: 'productpage',
          source_version: 'v1',
          source_cluster: 'Kubernetes',
          source_canonical_service: 'productpage',
          source_canonical_revision: 'v1',
          destination_workload: 'reviews-green',
          destination_workload_namespace: 'default',
          destination_principal: 'unknown',
          destination_app: 'reviews',
          destination_version: 'v2',
          destination_service: 'reviews-green.default.svc.cluster.local',
          destination_service_name: 'reviews-green',
          destination_service_namespace: 'default',
          destination_cluster: 'Kubernetes',
          destination_canonical_service: 'reviews',
          destination_canonical_revision: 'v2',
          request_protocol: 'http',
          response_code: '200',
          grpc_response_status: '',
          response_flags: '-',
          connection_security_policy: 'unknown',
          pod: 'productpage-v1',
        },
      },
    ]);
  });

  it('at the destination say so, and that the connection was plain', () => {
    expect(byReporter('destination')).toMatchObject([
      { durationMs: 4, labels: { connection_security_policy: 'none', pod: 'reviews-green-5d8f-x', response_code: '200' } },
    ]);
  });

  it('of a request without a destination are unknown, except the Service', () => {
    const { endpoint: _none, ...rest } = record();
    const [only, ...others] = observations({ ...rest, responseCode: 503, responseFlags: 'UH', attempts: [] });
    expect(others).toEqual([]);
    expect(only?.labels).toMatchObject({
      destination_workload: 'unknown',
      destination_version: 'unknown',
      destination_service_name: 'reviews-green',
      response_flags: 'UH',
    });
  });

  it('fall back to the host when there is no cluster', () => {
    const { endpoint: _none, destinationService: _service, ...rest } = record();
    const [only] = observations({ ...rest, responseCode: 503, responseFlags: 'NC', attempts: [], upstreamCluster: '' });
    expect(only?.labels).toMatchObject({
      destination_service: 'reviews',
      destination_service_name: 'reviews',
      destination_service_namespace: 'unknown',
    });
  });

  it('carry the gRPC status of gRPC requests only', () => {
    expect(byReporter('source', { protocol: 'grpc', grpcStatus: '14' })[0]?.labels.grpc_response_status).toBe('14');
    expect(byReporter('source', { grpcStatus: '14' })[0]?.labels.grpc_response_status).toBe('');
  });
});

describe('counting', () => {
  it('a mirrored request has no source series', () => {
    expect(byReporter('source', { mirrored: true })).toEqual([]);
    expect(byReporter('destination', { mirrored: true })).toHaveLength(1);
  });

  it('a retried request is one at the source and one per try that arrived at the destination', () => {
    const attempts = [attempt({ status: 0, flags: 'UF', reached: false }), attempt({ status: 503 }), attempt()];
    expect(byReporter('source', { attempts })).toHaveLength(1);
    expect(byReporter('destination', { attempts }).map(({ labels }) => labels.response_code)).toEqual(['503', '200']);
  });

  it('a dropped connection is a 503 to its own sidecar, a caller that left a 0', () => {
    const attempts = [attempt({ status: 0, flags: 'UC' }), attempt({ status: 0, flags: 'UT' })];
    expect(byReporter('destination', { attempts }).map(({ labels }) => [labels.response_code, labels.response_flags])).toEqual([
      ['503', 'UC'],
      ['0', 'DC'],
    ]);
  });

  it('adds up in one series, with its duration in a bucket of Istio', async () => {
    const telemetry = createTelemetry();
    telemetry.onRequest(record({ durationMs: 30 }));
    telemetry.onRequest(record({ durationMs: 3 }));
    const text = await telemetry.registry.metrics();
    const line = (start: RegExp): string | undefined =>
      text.split('\n').find((candidate) => start.test(candidate) && candidate.includes('reporter="source"'));
    expect(line(/^istio_requests_total\{/)).toMatch(/ 2$/);
    expect(
      line(/^istio_request_duration_milliseconds_bucket\{.*le="25"|^istio_request_duration_milliseconds_bucket\{le="25"/),
    ).toMatch(/ 1$/);
    expect(
      line(/^istio_request_duration_milliseconds_bucket\{.*le="50"|^istio_request_duration_milliseconds_bucket\{le="50"/),
    ).toMatch(/ 2$/);
    expect(line(/^istio_request_duration_milliseconds_sum/)).toMatch(/ 33$/);
    expect(DURATION_BUCKETS_MS).toHaveLength(19);
  });
});

describe('the server', () => {
  let server: TelemetryServer | undefined;
  afterEach(() => server?.stop());

  it('serves Prometheus text on a free loopback port', async () => {
    server = await startTelemetry();
    server.onRequest(record());
    const reply = await call(server.url, 'x', '/metrics');
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toContain('text/plain');
    expect(reply.body).toContain('istio_requests_total{reporter="source",source_workload="productpage-v1"');
    expect((await call(server.url, 'x', '/other')).status).toBe(404);
  });
});
