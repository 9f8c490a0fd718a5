import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../../../src/kube/types.js';
import { PORTS_ANNOTATION } from '../../../src/sandbox/cluster/annotations.js';
import { compileMesh, type MeshInput } from '../../../src/sandbox/mesh/config.js';
import { EMPTY_CONFIG, type ConfigFeed, type MeshConfig } from '../../../src/sandbox/mesh/types.js';
import { until as poll } from '../../until.js';

export const virtualService = (name: string, spec: Record<string, unknown>, meta: Record<string, unknown> = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'default', ...meta },
  spec,
});

export const destinationRule = (name: string, spec: Record<string, unknown>, meta: Record<string, unknown> = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name, namespace: 'default', ...meta },
  spec,
});

export const service = (name: string, namespace = 'default', ports: unknown[] = [{ name: 'http', port: 9080 }]): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { selector: { app: name }, ports },
});

export interface PodSpec {
  name: string;
  /** Loopback port that it really listens on; without one the annotation is missing. */
  real?: number | undefined;
  labels?: Record<string, string>;
  workload?: string;
  namespace?: string;
  ready?: boolean;
}

const ipOf = (name: string): string => {
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.charCodeAt(0)) % 64_000;
  return `10.244.${Math.floor(sum / 250)}.${(sum % 250) + 1}`;
};

export const pod = (spec: PodSpec): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: spec.name,
    namespace: spec.namespace ?? 'default',
    labels: { 'pod-template-hash': '5d8f', ...spec.labels },
    ...(spec.real !== undefined && { annotations: { [PORTS_ANNOTATION]: JSON.stringify({ '9080': `127.0.0.1:${spec.real}` }) } }),
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${spec.workload ?? 'reviews'}-5d8f`, uid: 'u', controller: true },
    ],
  },
  status: { podIP: ipOf(spec.name) },
});

export const slice = (serviceName: string, pods: PodSpec[], namespace = 'default'): KubeObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${serviceName}-abc12`, namespace, labels: { 'kubernetes.io/service-name': serviceName } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 9080 }],
  endpoints: pods.map((one) => ({
    addresses: [ipOf(one.name)],
    conditions: { ready: one.ready ?? true },
    targetRef: { kind: 'Pod', name: one.name, namespace: one.namespace ?? namespace },
  })),
});

export const emptyInput = (): { [K in keyof MeshInput]: KubeObject[] } => ({
  virtualServices: [],
  destinationRules: [],
  services: [],
  endpointSlices: [],
  pods: [],
});

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A real process-local application behind a fake pod. */
export interface App {
  port: number;
  seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[];
  connections(): Promise<number>;
  stop(): Promise<void>;
}

export const startApp = async (version: string, handler?: Handler): Promise<App> => {
  const seen: App['seen'] = [];
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      response.setHeader('x-bookinfo-version', version);
      if (handler) handler(request, response, body);
      else response.end(version);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    connections: () =>
      new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count)))),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

/** A feed that a test pushes to. */
export class TestFeed implements ConfigFeed {
  private config: MeshConfig = EMPTY_CONFIG;
  private readonly listeners = new Set<(config: MeshConfig) => void>();
  current = (): MeshConfig => this.config;
  subscribe = (listener: (config: MeshConfig) => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  push(input: MeshInput): MeshConfig {
    this.config = compileMesh(input, this.config.version + 1);
    for (const listener of this.listeners) listener(this.config);
    return this.config;
  }
}

/** Polls until `check` holds. */
export const until = async (check: () => boolean | Promise<boolean>, what: string, deadlineMs = 10_000): Promise<void> => {
  await poll(() => what, check, deadlineMs);
};

export interface Reply {
  status: number;
  body: string;
  headers: IncomingMessage['headers'];
}

export const call = (
  url: string,
  host: string,
  path = '/',
  options: { method?: string; headers?: Record<string, string>; body?: string; giveUpMs?: number } = {},
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const target = new URL(url);
    const request = httpRequest(
      { host: target.hostname, port: target.port, path, method: options.method ?? 'GET', headers: { ...options.headers, host } },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString(), headers: response.headers }),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    if (options.giveUpMs !== undefined) setTimeout(() => request.destroy(new Error('gave up')), options.giveUpMs);
    request.end(options.body);
  });
