import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { bareHost } from '../../net/host.js';

/** One request of a caller, as the caller saw it. */
export interface CallRecord {
  /** When it was sent, ISO 8601. */
  time: string;
  /** Counts from 0. */
  n: number;
  /** HTTP status; 0 when no answer came. */
  status: number;
  /** Milliseconds from sending to the end of the answer. */
  latencyMs: number;
  /** The same from when the request was due: a caller that falls behind cannot hide it. */
  scheduledLatencyMs: number;
  version?: string;
  pod?: string;
  revision?: string;
  slot?: string;
  error?: string;
}

export interface CallerOptions {
  /** Loopback only: the mesh's outbound proxy. */
  url: string;
  /** `Host` to send: the service that is called. */
  host: string;
  path?: string;
  method?: string;
  /** Requests per second; 0 pauses. */
  rps: number;
  headers?: (n: number) => Record<string, string>;
  /** Hears the headers of the answer to request `n`. */
  onHeaders?: (n: number, headers: IncomingHttpHeaders) => void;
  /** Default 10,000. */
  timeoutMs?: number;
  log: (line: CallRecord) => void;
  /** Milliseconds since 1970; default `Date.now`. */
  now?: () => number;
  /** Requests under way at most; what is due beyond it is recorded as failed. Default 1000. */
  concurrencyLimit?: number;
}

export interface VersionStats {
  ok: number;
  failed: number;
}

export interface CallerStats {
  sent: number;
  /** Status 200 to 399. */
  ok: number;
  failed: number;
  inFlight: number;
  /** By `x-bookinfo-version`; `-` where the answer had none. */
  byVersion: Record<string, VersionStats>;
}

export interface Callers {
  stats(): CallerStats;
  /** @throws RangeError for a rate below 0 or not finite. */
  setRate(rps: number): void;
  /** Sends no more, and resolves when every answer is in (or timed out). */
  stop(): Promise<void>;
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_CONCURRENCY = 1000;
const LONGEST_SLEEP_MS = 250;

const checkedUrl = (text: string): URL => {
  const url = new URL(text);
  if (url.protocol === 'http:' && LOOPBACK.has(url.hostname)) return url;
  throw new Error(
    `callers: url ${url.protocol}//${url.host} is not on this machine; expected http://127.0.0.1:PORT, the address of a mesh proxy`,
  );
};

const checkedRate = (rps: number): number => {
  if (Number.isFinite(rps) && rps >= 0) return rps;
  throw new RangeError(`callers: rps is ${rps}; expected a number of requests per second, 0 or more`);
};

const served = (headers: IncomingHttpHeaders): Partial<CallRecord> => {
  const result: Partial<CallRecord> = {};
  const names = {
    version: 'x-bookinfo-version',
    pod: 'x-pod-name',
    revision: 'x-sluice-revision',
    slot: 'x-sluice-slot',
  } as const;
  for (const [field, name] of Object.entries(names) as [keyof typeof names, string][]) {
    const value = headers[name];
    if (typeof value === 'string') result[field] = value;
  }
  return result;
};

interface Outcome extends Partial<CallRecord> {
  status: number;
}

/**
 * Callers that send at a fixed rate whether or not answers come (an open loop), as a crowd of independent users does.
 * @throws Error when `url` is not on the loopback interface, RangeError for an impossible rate.
 */
export const startCallers = (options: CallerOptions): Callers => {
  const url = checkedUrl(options.url);
  const now = options.now ?? Date.now;
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const limit = options.concurrencyLimit ?? DEFAULT_CONCURRENCY;
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });
  const stats: CallerStats = { sent: 0, ok: 0, failed: 0, inFlight: 0, byVersion: {} };
  const idle: (() => void)[] = [];
  let rps = checkedRate(options.rps);
  let due = performance.now();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const finish = (n: number, time: number, sentAt: number, dueAt: number, outcome: Outcome): void => {
    const ended = performance.now();
    const ok = outcome.status >= 200 && outcome.status < 400;
    const version = (stats.byVersion[outcome.version ?? '-'] ??= { ok: 0, failed: 0 });
    stats[ok ? 'ok' : 'failed'] += 1;
    version[ok ? 'ok' : 'failed'] += 1;
    options.log({
      time: new Date(time).toISOString(),
      n,
      latencyMs: ended - sentAt,
      scheduledLatencyMs: ended - dueAt,
      ...outcome,
    });
    if (stats.inFlight === 0) for (const resolve of idle.splice(0)) resolve();
  };

  const send = (dueAt: number): void => {
    const n = stats.sent;
    const sentAt = performance.now();
    const time = now();
    stats.sent += 1;
    if (stats.inFlight >= limit) {
      finish(n, time, sentAt, dueAt, {
        status: 0,
        error: `not sent: ${limit} requests are already under way (concurrencyLimit)`,
      });
      return;
    }
    stats.inFlight += 1;
    void call(agent, url, options, n, timeoutMs).then((outcome) => {
      stats.inFlight -= 1;
      finish(n, time, sentAt, dueAt, outcome);
    });
  };

  const tick = (): void => {
    if (stopped) return;
    const at = performance.now();
    while (rps > 0 && due <= at) {
      send(due);
      due += 1000 / rps;
    }
    const wait = rps > 0 ? Math.min(LONGEST_SLEEP_MS, Math.max(0, due - performance.now())) : LONGEST_SLEEP_MS;
    timer = setTimeout(tick, wait);
  };
  tick();

  return {
    stats: () => structuredClone(stats),
    setRate: (next) => {
      rps = checkedRate(next);
      due = performance.now() + (rps > 0 ? 1000 / rps : 0);
      clearTimeout(timer);
      tick();
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      if (stats.inFlight > 0) await new Promise<void>((resolve) => idle.push(resolve));
      agent.destroy();
    },
  };
};

/** Never rejects: what goes wrong is the outcome. */
const call = (agent: Agent, url: URL, options: CallerOptions, n: number, timeoutMs: number): Promise<Outcome> =>
  new Promise((resolve) => {
    const request = httpRequest({
      host: bareHost(url.hostname),
      port: url.port,
      path: options.path ?? '/',
      method: options.method ?? 'GET',
      headers: { ...options.headers?.(n), host: options.host },
      agent,
    });
    const timer = setTimeout(() => request.destroy(new Error(`no complete answer within ${timeoutMs} ms`)), timeoutMs);
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
    };
    request.on('error', (error) => settle({ status: 0, error: error.message }));
    request.on('response', (response) => {
      options.onHeaders?.(n, response.headers);
      response.on('error', (error) => settle({ status: 0, error: error.message, ...served(response.headers) }));
      response.on('end', () => settle({ status: response.statusCode ?? 0, ...served(response.headers) }));
      response.on('close', () => settle({ status: 0, error: 'the answer broke off', ...served(response.headers) }));
      response.resume();
    });
    request.end();
  });
