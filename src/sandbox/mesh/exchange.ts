import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Balancer } from './balancer.js';
import { findCluster } from './clusters.js';
import type { ProgrammedHost } from './domains.js';
import { applyOperations, forwardable, hostOverride } from './headers.js';
import { findRoute, redirectLocation, rewritePath, type RequestView } from './match.js';
import { sendMirrors } from './mirror.js';
import { pickWeighted, type Random } from './random.js';
import type { Attempt, Cluster, Endpoint, MeshConfig, RequestRecord, Route, Source, WeightedCluster } from './types.js';
import { attempt, retriable, type Answer, type UpstreamPools } from './upstream.js';

/** Envoy keeps at most this much of a body for retries and mirrors. */
const BUFFER_BYTES = 1_048_576;
const BACKOFF_MS = 25;
const BACKOFF_MAX_MS = 250;

export interface ExchangeContext {
  config: MeshConfig;
  source: Source;
  find: (authority: string) => ProgrammedHost | undefined;
  pools: UpstreamPools;
  balancer: Balancer;
  random: Random;
  onRequest: (record: RequestRecord) => void;
  requestId: string;
}

interface Body {
  /** What was read; all of it when `complete`. */
  head: Buffer;
  complete: boolean;
}

const failureFlag = (answer: Answer & { kind: 'failure' }): string =>
  answer.reason === 'per-try-timeout' ? 'UT' : answer.reason === 'reset' ? 'UC' : 'UF';

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });

const readBody = (request: IncomingMessage): Promise<Body> => {
  if (request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined) {
    return Promise.resolve({ head: Buffer.alloc(0), complete: true });
  }
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let size = 0;
    const finish = (complete: boolean): void => {
      request.off('data', onData).off('end', onEnd).off('close', onEnd);
      resolve({ head: Buffer.concat(parts), complete });
    };
    const onEnd = (): void => finish(true);
    const onData = (part: Buffer): void => {
      parts.push(part);
      size += part.length;
      if (size <= BUFFER_BYTES) return;
      request.pause();
      finish(false);
    };
    request.on('data', onData).once('end', onEnd).once('close', onEnd);
  });
};

const viewOf = (request: IncomingMessage): RequestView => {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  return {
    method: request.method ?? 'GET',
    authority: String(request.headers['x-sluice-host'] ?? request.headers.host ?? ''),
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? '' : url.slice(mark),
    headers: request.headers,
  };
};

/** One request on its way through the proxy, from its route to its record. */
export class Exchange {
  private readonly started = performance.now();
  private readonly cancel = new AbortController();
  /** In the order of their setting, as access logs have them. */
  private readonly flags = new Set<string>();
  private readonly attempts: Attempt[] = [];
  private readonly time = Date.now();
  private timer: NodeJS.Timeout | undefined;
  private timedOut = false;
  private route: Route | undefined;
  private cluster: Cluster | undefined;
  private endpoint: Endpoint | undefined;
  private grpcStatus: string | undefined;
  private routeName = '';
  private view!: RequestView;
  private response!: ServerResponse;
  private recorded = false;

  constructor(private readonly context: ExchangeContext) {}

  async run(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.view = viewOf(request);
    this.response = response;
    response.once('close', () => this.onClose());
    try {
      await this.serve(request);
    } catch (error) {
      this.local(500, `mesh proxy failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private async serve(request: IncomingMessage): Promise<void> {
    const host = this.context.find(this.view.authority);
    if (host === undefined) {
      this.routeName = 'block_all';
      return this.local(502, '');
    }
    const route = findRoute(host.routes, this.view);
    if (route === undefined) return this.local(404, '', 'NR');
    this.route = route;
    this.routeName = route.name;
    const chosen = route.action.kind === 'forward' ? pickWeighted(route.action.destinations, this.context.random) : undefined;
    if (chosen !== undefined) this.cluster = findCluster(this.context.config, this.context.source.namespace, chosen.cluster);
    if (await this.injectFault(route)) return;
    if (route.action.kind === 'direct') return this.local(route.action.status, route.action.body);
    if (route.action.kind === 'redirect') {
      const { redirect } = route.action;
      return this.local(redirect.status, '', undefined, { location: redirectLocation(this.view, redirect) });
    }
    if (chosen !== undefined) await this.forward(request, route, chosen);
  }

  /** True when the fault ended the request. */
  private async injectFault(route: Route): Promise<boolean> {
    const { delay, abort } = route.fault ?? {};
    if (delay && this.context.random() * 100 < delay.percent) {
      this.flags.add('DI');
      await pause(delay.ms, this.cancel.signal);
    }
    if (abort === undefined || this.context.random() * 100 >= abort.percent) return false;
    this.local(abort.status, 'fault filter abort', 'FI');
    return true;
  }

  private async forward(request: IncomingMessage, route: Route, chosen: WeightedCluster): Promise<void> {
    const { cluster } = this;
    if (cluster === undefined) return this.local(503, '', 'NC');
    const body = await readBody(request);
    const headers = this.requestHeaders(route, chosen);
    const path = rewritePath(this.view, route);
    if (body.complete) sendMirrors(route, { ...this.context, method: this.view.method, path, headers, body: body.head });
    if (route.timeoutMs > 0) {
      this.timer = setTimeout(() => {
        this.timedOut = true;
        this.cancel.abort();
        if (this.response.headersSent) this.response.destroy();
      }, route.timeoutMs);
    }
    await this.tryUntilAnswered(request, route, chosen, cluster, headers, path, body);
  }

  private requestHeaders(route: Route, chosen: WeightedCluster): OutgoingHttpHeaders {
    const headers = forwardable(this.view.headers);
    applyOperations(headers, chosen.headers?.request);
    applyOperations(headers, route.headers?.request);
    headers['host'] =
      route.rewrite?.authority ??
      hostOverride(route.headers?.request) ??
      hostOverride(chosen.headers?.request) ??
      this.view.authority;
    headers['x-request-id'] = this.context.requestId;
    headers['x-forwarded-proto'] ??= 'http';
    return headers;
  }

  private async tryUntilAnswered(
    request: IncomingMessage,
    route: Route,
    chosen: WeightedCluster,
    cluster: Cluster,
    headers: OutgoingHttpHeaders,
    path: string,
    body: Body,
  ): Promise<void> {
    const tried = new Set<string>();
    const policy = body.complete ? route.retries : undefined;
    for (let retry = 0; ; retry += 1) {
      const endpoint = this.context.balancer.pick(cluster, tried);
      if (endpoint === undefined) return this.local(503, 'no healthy upstream', 'UH');
      tried.add(endpoint.address);
      this.endpoint = endpoint;
      const began = performance.now();
      const done = this.context.balancer.begin(endpoint.address);
      const answer = await attempt(this.context.pools, {
        address: endpoint.address,
        method: this.view.method,
        path,
        headers: { ...headers, 'x-envoy-attempt-count': String(retry + 1) },
        body: body.complete ? (body.head.length > 0 ? body.head : undefined) : streamed(body.head, request),
        connectTimeoutMs: cluster.connectTimeoutMs,
        ...(policy?.perTryTimeoutMs !== undefined && { perTryTimeoutMs: policy.perTryTimeoutMs }),
        signal: this.cancel.signal,
      });
      const again = policy !== undefined && retriable(policy, answer);
      const record = this.recordAttempt(answer, endpoint, began);
      if (!again || retry >= policy.attempts || this.cancel.signal.aborted) {
        if (again && policy.attempts > 0) this.flags.add('URX');
        if (answer.kind === 'failure') {
          done();
          return this.answerFailure(answer, retry);
        }
        return this.relay(answer, route, chosen, record, began, done);
      }
      done();
      if (answer.kind === 'response') answer.response.resume();
      const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * (2 ** (retry + 1) - 1));
      await pause(this.context.random() * bound, this.cancel.signal);
      if (this.cancel.signal.aborted) return this.answerCancelled();
    }
  }

  private recordAttempt(answer: Answer, endpoint: Endpoint, began: number): Attempt {
    const durationMs = performance.now() - began;
    if (answer.kind === 'failure') {
      const flags = answer.reason === 'cancelled' ? 'DC' : failureFlag(answer);
      const record: Attempt = { endpoint, status: 0, flags, durationMs, reached: answer.reached };
      this.attempts.push(record);
      return record;
    }
    const grpc = answer.response.headers['grpc-status'];
    const record: Attempt = { endpoint, status: answer.response.statusCode ?? 0, flags: '-', durationMs, reached: true };
    if (typeof grpc === 'string') record.grpcStatus = grpc;
    this.attempts.push(record);
    return record;
  }

  private answerFailure(answer: Answer & { kind: 'failure' }, retries: number): void {
    if (answer.reason === 'cancelled') return this.answerCancelled();
    if (answer.reason === 'per-try-timeout') return this.local(504, 'upstream request timeout', 'UT');
    const prefix = retries > 0 ? 'retried and the latest reset reason: ' : 'reset reason: ';
    const reason =
      answer.reason === 'reset'
        ? 'connection termination'
        : answer.reason === 'connect-timeout'
          ? 'connection timeout'
          : 'remote connection failure, transport failure reason: delayed connect error: Connection refused';
    this.local(503, `upstream connect error or disconnect/reset before headers. ${prefix}${reason}`, failureFlag(answer));
  }

  private answerCancelled(): void {
    // Otherwise the caller has gone, and nobody is there to answer.
    if (this.timedOut) this.local(504, 'upstream request timeout', 'UT');
  }

  private relay(
    { response: upstream }: Answer & { kind: 'response' },
    route: Route,
    chosen: WeightedCluster,
    record: Attempt,
    began: number,
    done: () => void,
  ): void {
    const headers = forwardable(upstream.headers);
    applyOperations(headers, chosen.headers?.response);
    applyOperations(headers, route.headers?.response);
    headers['x-envoy-upstream-service-time'] = String(Math.round(performance.now() - began));
    headers['x-request-id'] ??= this.context.requestId;
    this.grpcStatus = record.grpcStatus;
    this.response.writeHead(upstream.statusCode ?? 502, headers);
    upstream.once('close', () => {
      done();
      record.durationMs = performance.now() - began;
      if (upstream.complete || this.timedOut) return;
      record.flags = 'UC';
      this.flags.add('UC');
      this.response.destroy();
    });
    this.response.once('close', () => upstream.destroy());
    upstream.pipe(this.response);
  }

  private local(status: number, body: string, flag?: string, headers: OutgoingHttpHeaders = {}): void {
    if (flag !== undefined) this.flags.add(flag);
    if (this.response.headersSent || this.response.destroyed) return;
    const type = body === '' ? {} : { 'content-type': 'text/plain' };
    const all: OutgoingHttpHeaders = {
      ...headers,
      ...type,
      'content-length': Buffer.byteLength(body),
      'x-request-id': this.context.requestId,
    };
    applyOperations(all, this.route?.headers?.response);
    this.response.writeHead(status, all);
    this.response.end(body);
  }

  private onClose(): void {
    clearTimeout(this.timer);
    const answered = this.response.writableFinished;
    this.cancel.abort();
    if (!answered) this.flags.add(this.timedOut ? 'UT' : 'DC');
    this.record(answered || this.timedOut || this.flags.has('UC'));
  }

  private record(answered: boolean): void {
    if (this.recorded) return;
    this.recorded = true;
    const { view, cluster, endpoint, grpcStatus } = this;
    this.context.onRequest({
      time: this.time,
      requestId: this.context.requestId,
      source: this.context.source,
      method: view.method,
      path: view.path + view.query,
      authority: view.authority,
      protocol: String(view.headers['content-type'] ?? '').startsWith('application/grpc') ? 'grpc' : 'http',
      responseCode: answered ? this.response.statusCode : 0,
      responseFlags: this.flags.size === 0 ? '-' : [...this.flags].join(','),
      durationMs: performance.now() - this.started,
      routeName: this.routeName,
      upstreamCluster: cluster?.name ?? '',
      ...(endpoint && { endpoint }),
      ...(grpcStatus !== undefined && { grpcStatus }),
      ...(cluster && { destinationService: { host: cluster.host, ...cluster.service } }),
      attempts: this.attempts,
      mirrored: false,
    });
  }
}

/** A body too long to keep: what was read, then the rest as it comes. It can be sent only once. */
const streamed =
  (head: Buffer, rest: IncomingMessage) =>
  (upstream: ClientRequest): void => {
    upstream.write(head);
    rest.pipe(upstream);
  };
