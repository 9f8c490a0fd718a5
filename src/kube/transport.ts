import http from 'node:http';
import https from 'node:https';
import type { ClusterAccess } from './kubeconfig.js';
import type { Credentials } from './credentials.js';
import { KubeError } from './types.js';
import { bareHost } from '../net/host.js';

export interface TransportRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

export interface TransportResponse {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/** Plain HTTP/1.1 with keep-alive to one API server: it authenticates and knows nothing of Kubernetes' objects. */
export interface Transport {
  /** The whole answer, or KubeError with code 0 and reason `NoAnswer`. */
  send(request: TransportRequest, timeoutMs: number): Promise<TransportResponse>;
  /** Resolves when the headers are in; the caller reads (and must destroy) the body. */
  open(request: TransportRequest, timeoutMs: number): Promise<http.IncomingMessage>;
  close(): void;
}

export function createTransport(access: ClusterAccess): Transport {
  const base = new URL(access.server);

  const start = async (request: TransportRequest): Promise<http.ClientRequest> => {
    const credentials = await loadCredentials(access);
    const headers: http.OutgoingHttpHeaders = { ...request.headers, ...credentials.headers };
    if (request.body !== undefined) headers['content-length'] = Buffer.byteLength(request.body);
    const options = {
      agent: credentials.agent,
      host: bareHost(base.hostname),
      port: base.port,
      path: `${base.pathname.replace(/\/$/, '')}${request.path}`,
      method: request.method,
      headers,
      signal: request.signal,
    };
    return base.protocol === 'http:' ? http.request(options) : https.request(options);
  };

  const open = async (request: TransportRequest, timeoutMs: number): Promise<http.IncomingMessage> => {
    const outgoing = await start(request);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
      outgoing.on('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        reject(noAnswer(request, access.server, error));
      });
      outgoing.end(request.body);
    });
  };

  const once = async (request: TransportRequest, timeoutMs: number): Promise<TransportResponse> => {
    const started = performance.now();
    const response = await open(request, timeoutMs);
    const left = Math.max(1, timeoutMs - (performance.now() - started));
    const timer = setTimeout(() => response.destroy(new Error(`answer not complete within ${timeoutMs / 1000} s`)), left);
    try {
      return { status: response.statusCode ?? 0, headers: response.headers, body: await readBody(response) };
    } catch (error) {
      throw noAnswer(request, access.server, error);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    async send(request, timeoutMs) {
      const answer = await retryStaleSocket(request, () => once(request, timeoutMs));
      if (answer.status !== 401) return answer;
      // The token may have been rotated since it was read; a 401 means that nothing was done, so asking again is safe.
      access.credentials.invalidate();
      return once(request, timeoutMs);
    },
    async open(request, timeoutMs) {
      const response = await retryStaleSocket(request, () => open(request, timeoutMs));
      if (response.statusCode === 401) access.credentials.invalidate();
      return response;
    },
    close: () => access.credentials.close(),
  };
}

/** By events: iterating costs a tenth of a whole request more. */
function readBody(response: http.IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    response.once('error', reject);
    // After `end` this changes nothing any more.
    response.once('close', () => reject(new Error('the connection was closed in the middle of the answer')));
  });
}

async function loadCredentials(access: ClusterAccess): Promise<Credentials> {
  try {
    return await access.credentials.get();
  } catch (error) {
    // Nothing was sent, so this is a refusal and not a missing answer.
    throw new KubeError(401, 'Unauthorized', error instanceof Error ? error.message : 'credentials cannot be loaded');
  }
}

/** A server may close an idle connection just as we use it. Reads are sent once more; writes report it, for they may have happened. */
async function retryStaleSocket<T>(request: TransportRequest, attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    const code = error instanceof KubeError ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined;
    if (request.method !== 'GET' || request.signal?.aborted || (code !== 'ECONNRESET' && code !== 'EPIPE')) throw error;
    return attempt();
  }
}

function noAnswer(request: TransportRequest, server: string, cause: unknown): KubeError {
  if (cause instanceof KubeError) return cause;
  const { message, code } = cause as NodeJS.ErrnoException;
  const where = `${request.method} ${server}${request.path.split('?')[0]}`;
  const error = new KubeError(0, 'NoAnswer', `${where}: ${message || code || 'the connection failed'}`);
  error.cause = cause;
  return error;
}
