import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stringify } from 'yaml';
import { auditEntry } from '../audit.js';
import { aggregated, coreVersions, group, groupList, resourceList, REVIEW_GROUP, VERSION } from '../discovery.js';
import { ApiError, badRequest, methodNotAllowed, routeNotFound } from '../errors.js';
import { asObject, asString, isObject } from '../json.js';
import type { Objects } from '../objects.js';
import type { OpenApi } from '../openapi.js';
import type { AuditEntry } from '../types.js';
import { builtinSchema } from '../schema/builtin.js';
import { parseRoute, mediaType, negotiate, parseBody, readBody, type Route } from './request.js';
import { requireKind, type Answer, type Resources } from './resources.js';
import { serveWatch } from './watch.js';

export interface HttpOptions {
  objects: Objects;
  resources: Resources;
  openApi: OpenApi;
  now: () => Date;
  audit?: (entry: AuditEntry) => void;
  onError: (error: unknown, path: string) => void;
}

/** One request on its way through the server. */
interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  method: string;
  url: URL;
  route?: Route;
  body?: unknown;
  watch: boolean;
  started: number;
}

/** Kinds that are sent but not stored, with their type in the client library. */
const UNSTORED: Record<string, string> = {
  DeleteOptions: 'V1DeleteOptions',
  Eviction: 'V1Eviction',
  Scale: 'V1Scale',
  SelfSubjectAccessReview: 'V1SelfSubjectAccessReview',
  SelfSubjectRulesReview: 'V1SelfSubjectRulesReview',
};

const isWatch = (url: URL): boolean => ['true', '1'].includes(url.searchParams.get('watch') ?? '');

/** The HTTP side: routes, bodies, answers, audit. */
export class HttpServer {
  private readonly server: Server;
  private readonly watches = new Set<() => void>();

  constructor(private readonly options: HttpOptions) {
    this.server = createServer((request, response) => {
      this.serve(request, response).catch((error: unknown) => {
        options.onError(error, request.url ?? '');
        response.destroy();
      });
    });
    this.server.keepAliveTimeout = 65_000;
    this.server.requestTimeout = 0;
  }

  /** @returns the port, on the loopback address only */
  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', () => resolve());
    });
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const stop of this.watches) stop();
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    let exchange: Exchange | undefined;
    let answer: Answer;
    try {
      const url = parseUrl(request.url ?? '/');
      exchange = { request, response, method: request.method ?? 'GET', url, watch: false, started };
      exchange.route = parseRoute(url.pathname);
      const watched = await this.handle(exchange);
      if (watched === undefined) return;
      answer = watched;
    } catch (error) {
      answer = this.refusal(error, request.url ?? '');
    }
    send(request, response, answer);
    if (exchange !== undefined) this.audit(exchange, answer);
  }

  private refusal(error: unknown, path: string): Answer {
    if (error instanceof ApiError) return { code: error.code, value: error.toStatus() };
    this.options.onError(error, path);
    const message = `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`;
    return { code: 500, value: new ApiError(500, 'InternalError', message).toStatus() };
  }

  /** @returns undefined when the exchange became a watch, which answers itself */
  private async handle(exchange: Exchange): Promise<Answer | undefined> {
    const { route, method, url, request } = exchange;
    const reading = method === 'GET' || method === 'HEAD';
    if (!reading) exchange.body = await this.body(request);
    if (route === undefined) return this.document(exchange);
    if (route.group === REVIEW_GROUP) return review(exchange, route);
    const { objects, resources } = this.options;
    const info = requireKind(objects, route);
    if (reading && isWatch(url)) {
      this.watch(exchange, route);
      return undefined;
    }
    return resources.answer({
      method,
      route,
      info,
      query: url.searchParams,
      accept: request.headers.accept,
      contentType: mediaType(request.headers['content-type']),
      body: exchange.body,
      userAgent: request.headers['user-agent'] ?? '',
    });
  }

  private async body(request: IncomingMessage): Promise<unknown> {
    const { registry } = this.options.objects;
    return parseBody(await readBody(request), mediaType(request.headers['content-type']), (apiVersion, kind) => {
      if (Object.hasOwn(UNSTORED, kind)) return builtinSchema(UNSTORED[kind] ?? '');
      const info = registry.byKind(apiVersion, kind);
      return info?.custom === true ? undefined : info?.schema;
    });
  }

  private watch(exchange: Exchange, route: Route): void {
    const { url, request, response } = exchange;
    const { objects, now } = this.options;
    const info = requireKind(objects, route);
    if (route.subresource !== undefined) throw methodNotAllowed();
    const query = url.searchParams;
    if (route.name !== undefined) {
      const others = query.get('fieldSelector');
      query.set('fieldSelector', [`metadata.name=${route.name}`, ...(others === null ? [] : [others])].join(','));
    }
    exchange.watch = true;
    const include = query.get('includeObject');
    const stop = serveWatch(
      objects.storage,
      {
        info,
        namespace: route.namespace,
        query,
        representation: negotiate(request.headers.accept),
        include: include === 'None' || include === 'Object' ? include : 'Metadata',
        now,
      },
      response,
    );
    this.watches.add(stop);
    response.on('close', () => this.watches.delete(stop));
    this.audit(exchange, { code: 200 });
  }

  private document({ url, method, request }: Exchange): Answer {
    if (method !== 'GET' && method !== 'HEAD') throw routeNotFound();
    const { registry } = this.options.objects;
    const path = url.pathname.replace(/\/+$/, '') || '/';
    const parts = path.split('/').slice(1);
    if (path === '/api' || path === '/apis') return discovery(this.options, path === '/api', request.headers);
    const found =
      parts[0] === 'api' && parts.length === 2
        ? resourceList(registry, '', parts[1] ?? '')
        : parts[0] === 'apis' && parts.length === 3
          ? resourceList(registry, parts[1] ?? '', parts[2] ?? '')
          : parts[0] === 'apis' && parts.length === 2
            ? group(registry, parts[1] ?? '')
            : undefined;
    return found === undefined ? this.plainDocument(path, parts) : { code: 200, value: found };
  }

  private plainDocument(path: string, parts: string[]): Answer {
    const { openApi } = this.options;
    switch (path) {
      case '/version':
        return { code: 200, value: VERSION };
      case '/healthz':
      case '/readyz':
      case '/livez':
        return { code: 200, text: 'ok', contentType: 'text/plain; charset=utf-8' };
      case '/openapi/v2':
        return { code: 200, text: openApi.v2() };
      case '/openapi/v3':
        return { code: 200, text: openApi.index() };
      case '/':
        return {
          code: 200,
          value: {
            paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'],
          },
        };
      default:
    }
    if (parts[0] === 'openapi' && parts[1] === 'v3') {
      const text =
        parts[2] === 'api' ? openApi.groupVersion('', parts[3] ?? '') : openApi.groupVersion(parts[3] ?? '', parts[4] ?? '');
      if (text !== undefined) return { code: 200, text };
    }
    throw routeNotFound();
  }

  private audit(exchange: Exchange, answer: Answer): void {
    const { audit, now } = this.options;
    if (audit === undefined) return;
    const { request, route, url, started, method, watch, body } = exchange;
    audit(
      auditEntry({
        time: now().toISOString(),
        method,
        path: url.pathname + url.search,
        route,
        watch,
        userAgent: request.headers['user-agent'],
        fieldManager: url.searchParams.get('fieldManager') ?? undefined,
        code: answer.code,
        latencyMs: performance.now() - started,
        body,
        stored: answer.stored,
      }),
    );
  }
}

function parseUrl(path: string): URL {
  try {
    return new URL(path, 'http://localhost');
  } catch {
    throw badRequest('the request path is not a valid URL');
  }
}

function discovery({ objects }: HttpOptions, coreOnly: boolean, headers: IncomingMessage['headers']): Answer {
  const wanted = /g=apidiscovery\.k8s\.io;v=(v2(?:beta1)?);as=APIGroupDiscoveryList/.exec(
    (headers.accept ?? '').replaceAll(' ', ''),
  );
  if (wanted?.[1] === undefined)
    return { code: 200, value: coreOnly ? coreVersions(headers.host ?? '') : groupList(objects.registry) };
  return {
    code: 200,
    value: aggregated(objects.registry, coreOnly, wanted[1]),
    contentType: `application/json;g=apidiscovery.k8s.io;v=${wanted[1]};as=APIGroupDiscoveryList`,
  };
}

/** Everything is allowed: the sandbox has one user. */
function review({ method, body }: Exchange, route: Route): Answer {
  if (method !== 'POST') throw methodNotAllowed();
  const kinds: Record<string, unknown> = {
    selfsubjectaccessreviews: { allowed: true, reason: 'the sandbox allows everything' },
    selfsubjectrulesreviews: {
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    },
  };
  if (!Object.hasOwn(kinds, route.plural)) throw routeNotFound();
  if (!isObject(body)) throw badRequest(`the body of a ${route.plural} request must be an object`);
  return { code: 201, value: { ...body, metadata: asObject(body['metadata']), status: kinds[route.plural] } };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const yaml = answer.contentType === undefined && negotiate(request.headers.accept).yaml;
  let text = answer.text ?? JSON.stringify(answer.value);
  if (yaml) text = stringify(JSON.parse(text) as unknown);
  const contentType = answer.contentType ?? (yaml ? 'application/yaml' : 'application/json');
  const headers: Record<string, string | string[]> = { 'Content-Type': contentType, 'Cache-Control': 'no-cache, private' };
  if (answer.warnings !== undefined && answer.warnings.length > 0) {
    headers['Warning'] = answer.warnings.map((warning) => `299 - ${JSON.stringify(asString(warning))}`);
  }
  // The rest of a body that was refused half-read must not be taken for the next request.
  if (!request.complete) headers['Connection'] = 'close';
  response.writeHead(answer.code, { ...headers, 'Content-Length': Buffer.byteLength(text) });
  response.end(request.method === 'HEAD' ? undefined : text);
}
