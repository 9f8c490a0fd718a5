import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface HttpServerOptions {
  /** `HOST:PORT`; an empty host listens everywhere, port 0 takes a free one. */
  listen: string;
  registry: Registry;
  /** The process can do its work: caches are in. */
  ready: () => boolean;
  /** Answers what is posted; undefined for paths that are not known. */
  post?: (path: string, request: IncomingMessage) => Promise<{ code: number; text: string } | undefined>;
}

/**
 * Host and port of `HOST:PORT`.
 * @throws Error that says what was expected.
 */
function parseListen(listen: string): { host: string; port: number } {
  const match = /^(.*):([0-9]{1,5})$/.exec(listen);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) throw new Error(`--listen "${listen}" is not HOST:PORT; expected something like :8080 or 127.0.0.1:8080`);
  return { host: (match[1] ?? '').replace(/^\[(.*)\]$/, '$1'), port };
}

/** `/healthz`, `/readyz` and `/metrics`. */
export async function startHttpServer(options: HttpServerOptions): Promise<{ url: string; close(): Promise<void> }> {
  const { host, port } = parseListen(options.listen);
  const server = createServer((request, response) => void answer(options, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host === '' ? undefined : host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host === '' || host === '0.0.0.0' ? '127.0.0.1' : host}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(options: HttpServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const say = (code: number, text: string, type = 'text/plain; charset=utf-8') => response.writeHead(code, { 'content-type': type }).end(text);
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const posted = request.method === 'POST' ? await options.post?.(path, request).catch(() => ({ code: 500, text: 'internal error\n' })) : undefined;
  if (posted) return void say(posted.code, posted.text);
  if (request.method !== 'GET' && request.method !== 'HEAD') return void say(405, 'only GET\n');
  if (path === '/healthz' || path === '/livez') return void say(200, 'ok\n');
  if (path === '/readyz') return void (options.ready() ? say(200, 'ok\n') : say(503, 'caches are not in yet\n'));
  if (path !== '/metrics') return void say(404, 'expected /healthz, /readyz or /metrics\n');
  try {
    say(200, await options.registry.metrics(), options.registry.contentType);
  } catch {
    say(500, 'metrics could not be collected\n');
  }
}
