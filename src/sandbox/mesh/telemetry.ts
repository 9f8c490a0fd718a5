import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Histogram, Registry } from 'prom-client';
import type { Attempt, RequestRecord, Workload } from './types.js';
import { UNKNOWN_WORKLOAD } from './workload.js';

const LABELS = [
  'reporter',
  'source_workload',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'source_canonical_service',
  'source_canonical_revision',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
  'destination_canonical_service',
  'destination_canonical_revision',
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
  // What a scrape of the sidecar would add: the pod that reports.
  'pod',
] as const;

type Label = (typeof LABELS)[number];
export type IstioLabels = Record<Label, string>;

/** Upper bounds in milliseconds, as Istio's proxies have them. */
export const DURATION_BUCKETS_MS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
];

const CLUSTER = 'Kubernetes';

const sourceLabels = (source: Workload) => ({
  source_workload: source.workload,
  source_workload_namespace: source.namespace,
  source_principal: 'unknown',
  source_app: source.app,
  source_version: source.version,
  source_cluster: CLUSTER,
  source_canonical_service: source.canonicalService,
  source_canonical_revision: source.canonicalRevision,
});

const destinationLabels = (workload: Workload | undefined) => {
  const known = workload ?? UNKNOWN_WORKLOAD;
  return {
    destination_workload: known.workload,
    destination_workload_namespace: known.namespace,
    destination_principal: 'unknown',
    destination_app: known.app,
    destination_version: known.version,
    destination_cluster: workload === undefined ? 'unknown' : CLUSTER,
    destination_canonical_service: known.canonicalService,
    destination_canonical_revision: known.canonicalRevision,
  };
};

/** Without a cluster, Istio falls back to the caller's Host; requests that no host matched are the black hole's. */
const serviceLabels = (record: RequestRecord) => {
  const service = record.destinationService;
  const fallback = record.routeName === 'block_all' ? 'BlackHoleCluster' : record.authority;
  return {
    destination_service: service?.host ?? record.authority,
    destination_service_name: service?.name ?? fallback,
    destination_service_namespace: service?.namespace ?? 'unknown',
  };
};

const common = (record: RequestRecord) => ({
  ...sourceLabels(record.source),
  ...serviceLabels(record),
  request_protocol: record.protocol,
});

const grpcStatus = (record: RequestRecord, status: string | undefined): string =>
  record.protocol === 'grpc' ? (status ?? '') : '';

const sourceSeries = (record: RequestRecord): IstioLabels => ({
  reporter: 'source',
  ...common(record),
  ...destinationLabels(record.endpoint?.workload),
  response_code: String(record.responseCode),
  grpc_response_status: grpcStatus(record, record.grpcStatus),
  response_flags: record.responseFlags,
  connection_security_policy: 'unknown',
  pod: record.source.workload,
});

/** An application that drops the connection is a 503 to its own sidecar; a caller that gives up leaves no code. */
const destinationCode = (attempt: Attempt): number => (attempt.status === 0 && attempt.flags === 'UC' ? 503 : attempt.status);
const destinationFlags = (attempt: Attempt): string => (attempt.flags === 'UT' ? 'DC' : attempt.flags);

const destinationSeries = (record: RequestRecord, attempt: Attempt): IstioLabels => ({
  reporter: 'destination',
  ...common(record),
  ...destinationLabels(attempt.endpoint?.workload),
  response_code: String(destinationCode(attempt)),
  grpc_response_status: grpcStatus(record, attempt.grpcStatus),
  response_flags: destinationFlags(attempt),
  connection_security_policy: 'none',
  pod: attempt.endpoint?.pod ?? 'unknown',
});

/**
 * What the two sidecars of a request report: the source once, with the final answer, and not at all for mirrored copies; the
 * destination once for each attempt that reached it.
 */
export const observations = (record: RequestRecord): { labels: IstioLabels; durationMs: number }[] => {
  const atSource = record.mirrored ? [] : [{ labels: sourceSeries(record), durationMs: record.durationMs }];
  const reached = record.attempts.filter((attempt) => attempt.reached);
  return [
    ...atSource,
    ...reached.map((attempt) => ({ labels: destinationSeries(record, attempt), durationMs: attempt.durationMs })),
  ];
};

export interface Telemetry {
  /** Give this to the mesh. */
  onRequest(record: RequestRecord): void;
  registry: Registry;
}

/** Istio's standard metrics in a registry of their own. */
export const createTelemetry = (): Telemetry => {
  const registry = new Registry();
  const requests = new Counter<Label>({
    name: 'istio_requests_total',
    help: 'Requests that the proxies handled.',
    labelNames: LABELS,
    registers: [registry],
  });
  const durations = new Histogram<Label>({
    name: 'istio_request_duration_milliseconds',
    help: 'How long requests took, in milliseconds.',
    labelNames: LABELS,
    buckets: DURATION_BUCKETS_MS,
    registers: [registry],
  });
  const children = new Map<string, { count: Counter.Internal; time: Histogram.Internal<Label> }>();
  const childFor = (labels: IstioLabels): { count: Counter.Internal; time: Histogram.Internal<Label> } => {
    const key = Object.values(labels).join('\u0000');
    let child = children.get(key);
    if (child === undefined) {
      child = { count: requests.labels(labels), time: durations.labels(labels) };
      children.set(key, child);
    }
    return child;
  };
  return {
    registry,
    onRequest: (record) => {
      for (const { labels, durationMs } of observations(record)) {
        const child = childFor(labels);
        child.count.inc();
        child.time.observe(durationMs);
      }
    },
  };
};

export interface TelemetryServer extends Telemetry {
  /** `http://127.0.0.1:PORT/metrics`. */
  url: string;
  stop(): Promise<void>;
}

/**
 * Serves all proxies' series at one place. Istio has one target per pod; here the `pod` label, which relabelling would have
 * added to each target, keeps their series apart, so that PromQL gives the same results. Rejects when no port can be bound.
 */
export const startTelemetry = async (): Promise<TelemetryServer> => {
  const telemetry = createTelemetry();
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end('only /metrics is served here\n');
      return;
    }
    telemetry.registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': telemetry.registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    ...telemetry,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
