import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createKubeClientFor, type KubeClientOptions, type KubeObject, type OwnedKubeClient } from '../../src/kube/index.js';

export interface Seen {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: http.IncomingHttpHeaders;
  body: unknown;
}

export type Handler = (request: Seen, response: http.ServerResponse) => void | Promise<void>;

/** An API server whose answers the test writes. */
export interface ScriptedServer {
  url: string;
  seen: Seen[];
  handle(handler: Handler): void;
  client(options?: KubeClientOptions): OwnedKubeClient;
  close(): Promise<void>;
}

export async function startScriptedServer(): Promise<ScriptedServer> {
  let handler: Handler = (_request, response) => void response.writeHead(500).end();
  const seen: Seen[] = [];
  const clients: OwnedKubeClient[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      const text = Buffer.concat(chunks).toString();
      const entry: Seen = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body: text ? JSON.parse(text) : undefined,
      };
      seen.push(entry);
      void handler(entry, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    seen,
    handle: (next) => (handler = next),
    client: (options) => {
      const agent = new http.Agent({ keepAlive: true });
      const credentials = {
        get: async () => ({ headers: { authorization: 'Bearer test' }, agent }),
        invalidate: () => {},
        close: () => agent.destroy(),
      };
      const client = createKubeClientFor({ server: url, credentials }, options);
      clients.push(client);
      return client;
    },
    close: async () => {
      for (const client of clients) client.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function reply(response: http.ServerResponse, body: unknown, code = 200, headers: Record<string, string> = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export const status = (code: number, reason: string, message = reason) => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason,
  message,
});

export const configMap = (
  name: string,
  version: number,
  extra: Record<string, unknown> = {},
  metadata: Record<string, unknown> = {},
): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: String(version), ...metadata },
  ...extra,
});

/** Polls until the condition holds; fails after five seconds. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`it never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
