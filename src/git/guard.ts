import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, isIP, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { checkHost, EgressDenied, isLinkLocal, lookupUnder, type EgressPolicy } from '../net/egress.js';
import { bareHost } from '../net/host.js';
import { staysHere, usesProxy } from './environment.js';
import type { RemoteUrl } from './url.js';

/** Watches over one conversation of Git with a remote. */
export interface Guard {
  /** For Git's `http.proxy`; undefined when Git connects by itself. */
  proxy?: string;
  /** What was refused on the way: a redirect, or a name, that leads to a denied address. */
  denied: () => EgressDenied | undefined;
  close(): void;
}

const OPEN: Guard = { denied: () => undefined, close: () => {} };
/** Headers that are for the proxy and not for who is behind it. */
const FOR_PROXY = new Set(['proxy-connection', 'proxy-authorization', 'connection', 'keep-alive']);

/**
 * Refuses remotes at addresses that the policy denies. Git resolves names and follows redirects by itself, so what it does over http
 * goes through a proxy of our own that judges every address when it connects. Where the environment names a proxy, that one
 * connects, and only what can be resolved here is judged; so it is with ssh.
 * @throws EgressDenied
 */
export async function guardRemote(url: RemoteUrl, policy: EgressPolicy): Promise<Guard> {
  if (url.protocol === 'file' || policy.allowLinkLocal) return OPEN;
  if (url.protocol !== 'ssh' && (staysHere(url.host) || !usesProxy())) {
    checkHost(new URL(url.text), policy);
    return startProxy(policy);
  }
  await judge(url.host, policy);
  return OPEN;
}

function judge(hostname: string, policy: EgressPolicy): Promise<void> {
  const host = bareHost(hostname);
  return new Promise((resolve, reject) => {
    if (isIP(host)) return isLinkLocal(host) ? reject(new EgressDenied(host, host)) : resolve();
    // A name that is not known here is known to a proxy, or Git says that it is not.
    lookupUnder(policy)(host, { all: true }, (error) => (error instanceof EgressDenied ? reject(error) : resolve()));
  });
}

async function startProxy(policy: EgressPolicy): Promise<Guard> {
  let denied: EgressDenied | undefined;
  const sockets = new Set<Duplex>();
  const note = (error: unknown): void => {
    if (error instanceof EgressDenied) denied ??= error;
  };
  const server = createServer((request, response) => forward(policy, request, response, note));
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('connect', (request, socket: Duplex, head: Buffer) => {
    const upstream = tunnel(policy, request, socket, head, note);
    if (!upstream) return;
    sockets.add(upstream);
    upstream.on('close', () => sockets.delete(upstream));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    proxy: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    denied: () => denied,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** https: bytes go through as they are. */
function tunnel(policy: EgressPolicy, { url = '' }: IncomingMessage, socket: Duplex, head: Buffer, note: (error: unknown) => void): Socket | undefined {
  const target = URL.canParse(`https://${url}`) ? new URL(`https://${url}`) : undefined;
  const refuse = (error: unknown): void => {
    note(error);
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  };
  socket.on('error', () => socket.destroy());
  if (!target) {
    refuse(undefined);
    return undefined;
  }
  try {
    checkHost(target, policy);
  } catch (error) {
    refuse(error);
    return undefined;
  }
  const upstream = connect({ host: bareHost(target.hostname), port: Number(target.port || 443), lookup: lookupUnder(policy) });
  upstream.once('error', refuse);
  upstream.once('connect', () => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
  });
  socket.on('close', () => upstream.destroy());
  upstream.on('close', () => socket.end());
  return upstream;
}

function forward(policy: EgressPolicy, request: IncomingMessage, response: ServerResponse, note: (error: unknown) => void): void {
  const refuse = (error: unknown): void => {
    note(error);
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  };
  const url = request.url && URL.canParse(request.url) ? new URL(request.url) : undefined;
  if (url?.protocol !== 'http:') return refuse(undefined);
  try {
    checkHost(url, policy);
  } catch (error) {
    return refuse(error);
  }
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !FOR_PROXY.has(name)));
  const { hostname, port, pathname, search } = url;
  const upstream = ask({ host: bareHost(hostname), port: port || 80, path: `${pathname}${search}`, method: request.method, headers, lookup: lookupUnder(policy), agent: false });
  upstream.on('error', refuse);
  upstream.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  });
  response.on('close', () => upstream.destroy());
  request.pipe(upstream);
}
