import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { RetryPolicy } from './types.js';

/** Below the 5 s after which Node's servers close idle connections: a request must not meet a connection that is being closed. */
const IDLE_SOCKET_MS = 4000;

interface Pool {
  agent: Agent;
  inFlight: number;
}

/** Keep-alive connections to endpoints. Those of vanished endpoints are closed once nothing runs over them any more. */
export class UpstreamPools {
  private readonly pools = new Map<string, Pool>();
  private wanted: ReadonlySet<string> = new Set();

  acquire(address: string): { agent: Agent; release: () => void } {
    let pool = this.pools.get(address);
    if (pool === undefined) {
      pool = { agent: new Agent({ keepAlive: true, maxFreeSockets: 256, timeout: IDLE_SOCKET_MS }), inFlight: 0 };
      this.pools.set(address, pool);
    }
    const held = pool;
    held.inFlight += 1;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      held.inFlight -= 1;
      this.closeIfUnused(address, held);
    };
    return { agent: held.agent, release };
  }

  /** Tell which endpoints exist now. */
  retain(addresses: ReadonlySet<string>): void {
    this.wanted = addresses;
    for (const [address, pool] of this.pools) this.closeIfUnused(address, pool);
  }

  destroy(): void {
    for (const { agent } of this.pools.values()) agent.destroy();
    this.pools.clear();
  }

  private closeIfUnused(address: string, pool: Pool): void {
    if (pool.inFlight > 0 || this.wanted.has(address)) return;
    pool.agent.destroy();
    if (this.pools.get(address) === pool) this.pools.delete(address);
  }
}

export type FailureReason = 'connect' | 'connect-timeout' | 'reset' | 'per-try-timeout' | 'cancelled';

export type Answer =
  | { kind: 'response'; response: IncomingMessage; release: () => void }
  /** `reached`: the connection stood, so the endpoint may have seen the request. */
  | { kind: 'failure'; reason: FailureReason; detail: string; reached: boolean };

export interface AttemptOptions {
  address: string;
  method: string;
  path: string;
  headers: OutgoingHttpHeaders;
  /** Whole body, or what writes it piece by piece. */
  body: Buffer | ((request: ClientRequest) => void) | undefined;
  connectTimeoutMs: number;
  perTryTimeoutMs?: number;
  signal: AbortSignal;
}

const watchConnection = (socket: Socket, timeoutMs: number, onConnected: () => void, onTimeout: () => void): void => {
  if (!socket.connecting) {
    onConnected();
    return;
  }
  const timer = setTimeout(onTimeout, timeoutMs);
  socket.once('connect', () => {
    clearTimeout(timer);
    onConnected();
  });
  socket.once('close', () => clearTimeout(timer));
};

/** Send one request to one endpoint; resolves with the response's head or with why there is none. Never rejects. */
export const attempt = (pools: UpstreamPools, options: AttemptOptions): Promise<Answer> => {
  const { agent, release } = pools.acquire(options.address);
  const [host, port] = options.address.split(':');
  return new Promise((resolve) => {
    let reached = false;
    let settled = false;
    let tryTimer: NodeJS.Timeout | undefined;
    const { method, path, headers, signal } = options;
    const request = httpRequest({ host, port: Number(port), method, path, headers, agent, setHost: false });
    const onAbort = (): void => fail('cancelled', 'cancelled');
    const settle = (answer: Answer): void => {
      if (settled) return;
      settled = true;
      clearTimeout(tryTimer);
      signal.removeEventListener('abort', onAbort);
      resolve(answer);
    };
    const fail = (reason: FailureReason, detail: string): void => {
      if (settled) return;
      settle({ kind: 'failure', reason, detail, reached });
      request.destroy();
      release();
    };
    if (options.perTryTimeoutMs !== undefined && options.perTryTimeoutMs > 0) {
      tryTimer = setTimeout(() => fail('per-try-timeout', 'per try timeout'), options.perTryTimeoutMs);
    }
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    request.on('socket', (socket) => {
      watchConnection(
        socket,
        options.connectTimeoutMs,
        () => (reached = true),
        () => fail('connect-timeout', 'connection timeout'),
      );
    });
    request.on('error', (error) => fail(reached ? 'reset' : 'connect', error.message));
    request.on('response', (response) => {
      response.on('error', () => undefined);
      response.once('close', release);
      if (settled) response.resume();
      else settle({ kind: 'response', response, release });
    });
    if (typeof options.body === 'function') options.body(request);
    else request.end(options.body);
  });
};

const GRPC_STATUS: Record<string, string> = {
  cancelled: '1',
  'deadline-exceeded': '4',
  'resource-exhausted': '8',
  internal: '13',
  unavailable: '14',
};

/** Envoy's decision whether an answer is tried again. */
export const retriable = (policy: RetryPolicy, answer: Answer): boolean => {
  const on = new Set(policy.on);
  if (answer.kind === 'failure') {
    if (answer.reason === 'cancelled') return false;
    if (on.has('reset') || on.has('5xx') || on.has('gateway-error')) return true;
    return on.has('connect-failure') && (answer.reason === 'connect' || answer.reason === 'connect-timeout');
  }
  const status = answer.response.statusCode ?? 0;
  if (on.has('5xx') && status >= 500) return true;
  if (on.has('gateway-error') && status >= 502 && status <= 504) return true;
  if (on.has('retriable-4xx') && status === 409) return true;
  if (on.has('retriable-status-codes') && policy.statusCodes.includes(status)) return true;
  const grpc = answer.response.headers['grpc-status'];
  return typeof grpc === 'string' && policy.on.some((word) => GRPC_STATUS[word] === grpc);
};
