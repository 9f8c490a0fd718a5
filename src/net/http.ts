import { X509Certificate } from 'node:crypto';
import type { Readable } from 'node:stream';
import axios, { isAxiosError, type AxiosInstance } from 'axios';
import { checkHost, EgressDenied, guardedAgents, type Agents, type EgressPolicy } from './egress.js';
import { isLoopback } from './host.js';

export interface HttpRequest {
  method: 'GET' | 'POST';
  url: URL;
  headers?: Record<string, string>;
  body?: string;
  /** For the whole exchange, the last byte of the body included. */
  timeoutMs: number;
  /**
   * `whole`: all of the body, a longer one than `maxBytes` is a failure. `start`: at most `maxBytes` of a refusal (status 300 and
   * above), whatever of it came in time; the body of a success is not waited for.
   */
  read: 'whole' | 'start';
  maxBytes: number;
  /** Accept any certificate. */
  insecureSkipVerify?: boolean;
  /** Certificates (PEM) of the authorities that the server's must come from, in place of the system's. */
  ca?: string | undefined;
}

export interface HttpResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** No usable answer came. The message never holds a path, a query string, credentials or a header. */
export class TransportError extends Error {
  constructor(
    message: string,
    readonly kind: 'timeout' | 'transport' | 'denied' | 'oversize' | 'invalid',
  ) {
    super(message);
    this.name = 'TransportError';
  }
}

/** Sends requests to the addresses that users write. Redirects are never followed: they are answers like any other. */
export interface Http {
  /** @throws TransportError and nothing else. */
  send(request: HttpRequest): Promise<HttpResponse>;
  close(): void;
}

/** So many authorities have connections that are kept; the one that was not used for the longest time goes first. */
const KEPT_AUTHORITIES = 64;

/** @param instance an axios instance to send with; the agents and limits set here win over its own. */
export function createHttp(policy: EgressPolicy = {}, instance: AxiosInstance = axios.create()): Http {
  const strict = guardedAgents(policy);
  const lax = guardedAgents(policy, { rejectUnauthorized: false });
  const own = new Map<string, Agents>();
  function trusting(ca: string): Agents {
    const agents = own.get(ca) ?? guardedAgents(policy, { ca: readable(ca) });
    own.delete(ca);
    own.set(ca, agents);
    const [oldest] = own.keys();
    if (own.size > KEPT_AUTHORITIES && oldest !== undefined) {
      own.get(oldest)?.closeIdle();
      own.delete(oldest);
    }
    return agents;
  }
  return {
    send: async (request) => await exchange(instance, () => (request.insecureSkipVerify ? lax : request.ca === undefined ? strict : trusting(request.ca)), policy, request),
    close() {
      for (const agents of [strict, lax, ...own.values()]) agents.close();
      own.clear();
    },
  };
}

/** TLS would pass over what it cannot read, and then trust nobody. @throws NotACertificate */
function readable(ca: string): string {
  try {
    new X509Certificate(ca);
    return ca;
  } catch {
    throw new NotACertificate();
  }
}
class NotACertificate extends Error {}

async function exchange(
  instance: AxiosInstance,
  choose: () => Agents,
  policy: EgressPolicy,
  request: HttpRequest,
): Promise<HttpResponse> {
  const deadline = AbortSignal.timeout(Math.max(1, request.timeoutMs));
  try {
    checkHost(request.url, policy);
    const agents = choose();
    const response = await instance.request<Readable>({
      method: request.method,
      url: request.url.href,
      headers: request.headers,
      data: request.body,
      // Proxies of the environment have no way to this machine's own addresses.
      ...(isLoopback(request.url.hostname) ? { proxy: false as const } : {}),
      httpAgent: agents.httpAgent,
      httpsAgent: agents.httpsAgent,
      maxRedirects: 0,
      responseType: 'stream',
      signal: deadline,
      validateStatus: () => true,
    });
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(response.headers)) headers[name.toLowerCase()] = String(value);
    return { status: response.status, headers, body: await readBody(response.data, response.status, request, deadline) };
  } catch (error) {
    throw explain(error, request, deadline);
  }
}

async function readBody(stream: Readable, status: number, request: HttpRequest, deadline: AbortSignal): Promise<string> {
  if (request.read === 'start' && status < 300) {
    discard(stream);
    return '';
  }
  const chunks: Buffer[] = [];
  let size = 0;
  const stop = () => stream.destroy(new TransportError('', 'timeout'));
  deadline.addEventListener('abort', stop);
  try {
    if (deadline.aborted) stop();
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= request.maxBytes) continue;
      if (request.read === 'start') break;
      throw new TransportError(`${place(request)} answered more than ${request.maxBytes} bytes`, 'oversize');
    }
  } catch (error) {
    // A refusal is a refusal, however much of its text came.
    if (request.read === 'whole') throw error;
  } finally {
    deadline.removeEventListener('abort', stop);
    discard(stream);
  }
  return Buffer.concat(chunks).subarray(0, request.maxBytes).toString('utf8');
}

function discard(stream: Readable): void {
  // Whatever the broken rest of the body does concerns nobody any more.
  stream.on('error', () => undefined);
  stream.destroy();
}

const FAILURES: Record<string, string> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'closed the connection before it answered',
  EPIPE: 'closed the connection before it answered',
  ENOTFOUND: 'is not a name that DNS knows',
  EAI_AGAIN: 'could not be resolved: DNS did not answer',
  EHOSTUNREACH: 'cannot be reached: no route to the host',
  ENETUNREACH: 'cannot be reached: no route to its network',
  ETIMEDOUT: 'could not be reached in time',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'has a self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'has a certificate of an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'has a certificate of an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'has a certificate of an unknown authority',
  CERT_HAS_EXPIRED: 'has an expired certificate',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate for another name',
  EPROTO: 'does not speak TLS as expected',
};

function explain(error: unknown, request: HttpRequest, deadline: AbortSignal): TransportError {
  const denied = deniedBy(error);
  if (denied) return new TransportError(denied.message, 'denied');
  if (error instanceof TransportError && error.message !== '') return error;
  if (error instanceof NotACertificate) return new TransportError(`${place(request)} was not asked: ca.crt in the Secret holds no certificate in PEM`, 'invalid');
  if (deadline.aborted)
    return new TransportError(`${place(request)} did not answer within ${seconds(request.timeoutMs)}`, 'timeout');
  const code = errorCode(error);
  if (code === 'ERR_INVALID_CHAR' || code === 'ERR_INVALID_HTTP_TOKEN') {
    return new TransportError(
      `${place(request)} was not asked: a header has a name or value that HTTP does not allow`,
      'invalid',
    );
  }
  // Nothing of the error's own text: it may hold the address with its secrets.
  return new TransportError(`${place(request)} ${FAILURES[code] ?? `could not be asked (${code})`}`, 'transport');
}

function deniedBy(error: unknown): EgressDenied | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) if (cause instanceof EgressDenied) return cause;
  return undefined;
}

function errorCode(error: unknown): string {
  const code: unknown = isAxiosError(error) ? error.code : (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && /^[A-Z0-9_]+$/.test(code) ? code : 'unknown error';
}

const place = (request: HttpRequest): string => request.url.host;
const seconds = (ms: number): string => `${Number((ms / 1000).toFixed(3))} s`;
