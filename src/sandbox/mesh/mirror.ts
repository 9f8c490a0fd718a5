import type { OutgoingHttpHeaders } from 'node:http';
import { findCluster } from './clusters.js';
import type { Balancer } from './balancer.js';
import type { Random } from './random.js';
import type { MeshConfig, RequestRecord, Route, Source } from './types.js';
import { attempt, type UpstreamPools } from './upstream.js';

export interface MirrorContext {
  config: MeshConfig;
  source: Source;
  pools: UpstreamPools;
  balancer: Balancer;
  random: Random;
  onRequest: (record: RequestRecord) => void;
  requestId: string;
  method: string;
  path: string;
  headers: OutgoingHttpHeaders;
  body: Buffer;
}

/** Nobody waits for a mirrored request, so something else must end one that hangs. */
const MIRROR_TIMEOUT_MS = 15_000;

/** Send copies aside, as the route asks. Their answers are read, counted and forgotten. */
export const sendMirrors = (route: Route, context: MirrorContext): void => {
  for (const { cluster, percent } of route.mirrors) {
    if (percent >= 100 || context.random() * 100 < percent) void sendMirror(route.name, cluster, context);
  }
};

/** Envoy marks copies by their authority, so that logs can tell them apart. */
const shadowAuthority = (authority: string): string => authority.replace(/^[^:]+/, (host) => `${host}-shadow`);

const sendMirror = async (routeName: string, clusterName: string, context: MirrorContext): Promise<void> => {
  const cluster = findCluster(context.config, context.source.namespace, clusterName);
  const endpoint = cluster && context.balancer.pick(cluster, new Set());
  if (cluster === undefined || endpoint === undefined) return;
  const time = Date.now();
  const began = performance.now();
  const authority = shadowAuthority(String(context.headers['host'] ?? ''));
  const answer = await attempt(context.pools, {
    address: endpoint.address,
    method: context.method,
    path: context.path,
    headers: { ...context.headers, host: authority },
    body: context.body.length > 0 ? context.body : undefined,
    connectTimeoutMs: cluster.connectTimeoutMs,
    signal: AbortSignal.timeout(MIRROR_TIMEOUT_MS),
  });
  if (answer.kind === 'response') {
    answer.response.resume();
    await new Promise<void>((resolve) => answer.response.once('close', resolve));
  }
  const durationMs = performance.now() - began;
  const status = answer.kind === 'response' ? (answer.response.statusCode ?? 0) : 0;
  const reached = answer.kind === 'response' || answer.reached;
  const flags = answer.kind === 'response' ? '-' : answer.reason === 'reset' ? 'UC' : answer.reached ? 'DC' : 'UF';
  context.onRequest({
    time,
    requestId: context.requestId,
    source: context.source,
    method: context.method,
    path: context.path,
    authority,
    protocol: String(context.headers['content-type'] ?? '').startsWith('application/grpc') ? 'grpc' : 'http',
    responseCode: status,
    responseFlags: flags,
    durationMs,
    routeName,
    upstreamCluster: cluster.name,
    endpoint,
    destinationService: { host: cluster.host, ...cluster.service },
    attempts: [{ endpoint, status, flags, durationMs, reached }],
    mirrored: true,
  });
};
