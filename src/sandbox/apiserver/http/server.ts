import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stringify } from 'yaml';
import { auditEntry } from '../audit.js';
import { aggregated, coreVersions, group, groupList, resourceList, REVIEW_GROUP, VERSION } from '../discovery.js';
import { ApiError, badRequest, methodNotAllowed, PlainError, routeNotFound, unsupportedMediaType } from '../errors.js';
import { asObject, isObject } from '../json.js';
import type { Objects } from '../objects.js';
import type { OpenApi } from '../openapi.js';
import type { AuditEntry } from '../types.js';
import { builtinSchema } from '../schema/builtin.js';
import { warningHeader } from './encode.js';
import { duplicateMembers } from './duplicates.js';
import { BodyError, parseRoute, mediaType, negotiate, parseBody, readBody, type Route, type SchemaLookup } from './request.js';
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
  /** Paths of members that the body has twice. */
  duplicates: string[];
  /** What to tell the caller beside the answer. */
  warnings: string[];
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

const BODY_MEDIA_TYPES = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
/** Without a type, a body is JSON. */
const BODY_TYPES = new Set([...BODY_MEDIA_TYPES, '']);
const WITH_BODY = new Set(['POST', 'PUT']);
const SUBRESOURCE_KINDS: Record<string, string> = { scale: 'Scale', eviction: 'Eviction' };
const SUMMARY_LENGTH = 30;

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
      exchange = { request, response, method: request.method ?? 'GET', url, watch: false, started, duplicates: [], warnings: [] };
      exchange.route = parseRoute(withoutOldWatch(url));
      const watched = await this.handle(exchange);
      if (watched === undefined) return;
      answer = watched;
    } catch (error) {
      answer = this.refusal(error, request.url ?? '');
    }
    send(request, response, answer, exchange?.warnings ?? []);
    if (exchange !== undefined) this.audit(exchange, answer);
  }

  private refusal(error: unknown, path: string): Answer {
    if (error instanceof PlainError) return { code: error.code, text: error.text, contentType: 'text/plain; charset=utf-8' };
    if (error instanceof ApiError)
      return {
        code: error.code,
        value: error.toStatus(),
        ...(error.details?.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.details.retryAfterSeconds }),
      };
    this.options.onError(error, path);
    const message = `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`;
    return { code: 500, value: new ApiError(500, 'InternalError', message).toStatus() };
  }

  /** @returns undefined when the exchange became a watch, which answers itself */
  private async handle(exchange: Exchange): Promise<Answer | undefined> {
    const { route, method, url, request } = exchange;
    const reading = method === 'GET' || method === 'HEAD';
    if (!reading) await this.readBody(exchange);
    if (route === undefined) return this.document(exchange);
    if (route.group === REVIEW_GROUP) return review(exchange, route);
    const { objects, resources } = this.options;
    const info = requireKind(objects, route);
    if (info.deprecationWarning !== undefined) exchange.warnings.push(info.deprecationWarning);
    if (reading && route.name === undefined && isWatch(url)) {
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
      duplicates: exchange.duplicates,
      warnings: exchange.warnings,
      userAgent: request.headers['user-agent'] ?? '',
    });
  }

  private async readBody(exchange: Exchange): Promise<void> {
    const { registry } = this.options.objects;
    const { request, method } = exchange;
    const bytes = await readBody(request);
    const type = mediaType(request.headers['content-type']);
    if (method !== 'PATCH' && bytes.length > 0 && !BODY_TYPES.has(type)) throw unsupportedMediaType(BODY_MEDIA_TYPES);
    const schemaOf: SchemaLookup = (apiVersion, kind) => {
      if (Object.hasOwn(UNSTORED, kind)) return builtinSchema(UNSTORED[kind] ?? '');
      const info = registry.byKind(apiVersion, kind);
      return info?.custom === true ? undefined : info?.schema;
    };
    try {
      exchange.body = parseBody(bytes, type, schemaOf);
    } catch (error) {
      throw error instanceof BodyError ? badRequest(bodyProblem(error, exchange, bytes, this.bodyKind(exchange))) : error;
    }
    if (WITH_BODY.has(method) && !isObject(exchange.body)) {
      const problem = new BodyError(`couldn't get version/kind; json parse error: ${notAnObject(exchange.body)}`);
      throw badRequest(bodyProblem(problem, exchange, bytes, this.bodyKind(exchange)));
    }
    if (type === 'application/json' && method !== 'DELETE' && bytes.length > 0)
      exchange.duplicates = duplicateMembers(bytes.toString('utf8'));
  }

  /** The kind that a request's body is expected to be of. */
  private bodyKind({ route }: Exchange): string | undefined {
    if (route === undefined) return undefined;
    if (route.subresource !== undefined && Object.hasOwn(SUBRESOURCE_KINDS, route.subresource))
      return SUBRESOURCE_KINDS[route.subresource];
    return this.options.objects.registry.find(route.group, route.version, route.plural)?.kind;
  }

  private watch(exchange: Exchange, route: Route): void {
    const { url, request, response } = exchange;
    const { objects, now } = this.options;
    const info = requireKind(objects, route);
    const query = url.searchParams;
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
        ...(info.deprecationWarning === undefined ? {} : { deprecation: info.deprecationWarning }),
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
        return { code: 200, text: openApi.index(), contentType: 'text/plain; charset=utf-8' };
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
    // Built-in groups answer for themselves, everything else is nobody's.
    if (parts[0] === 'apis' && parts.length > 1 && this.options.objects.registry.isBuiltinGroup(parts[1] ?? ''))
      throw routeNotFound();
    throw new PlainError(404, '404 page not found\n');
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

/** `/api/v1/watch/…`, the old form of `?watch=true`. */
function withoutOldWatch(url: URL): string {
  const old = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/watch(\/.+)$/.exec(url.pathname);
  if (old?.[1] === undefined || old[2] === undefined) return url.pathname;
  url.searchParams.set('watch', 'true');
  return old[1] + old[2];
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
    cacheControl: 'public',
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

/** What stands where an object should be, in Go's words. */
function notAnObject(body: unknown): string {
  if (body === undefined) return 'unexpected end of JSON input';
  const found = Array.isArray(body) ? 'array' : typeof body === 'boolean' ? 'bool' : typeof body;
  const target = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
  return `json: cannot unmarshal ${found} into Go value of type ${target}`;
}

/** Why a body cannot be read, with its beginning. */
function bodyProblem({ message }: BodyError, { method }: Exchange, bytes: Buffer, kind: string | undefined): string {
  if (method === 'DELETE' || method === 'PATCH') return message;
  const text = bytes.toString('utf8');
  const begins = text.startsWith('{') ? text.slice(0, SUMMARY_LENGTH) : bytes.toString('hex', 0, SUMMARY_LENGTH);
  const cut = bytes.length > SUMMARY_LENGTH ? ' ...' : '';
  return `the object provided is unrecognized (must be of type ${kind ?? 'any'}): ${message} (${text === '' ? '<empty>' : begins + cut})`;
}

function wantsYaml(request: IncomingMessage): boolean {
  try {
    return negotiate(request.headers.accept).yaml;
  } catch {
    // What cannot be negotiated is told in JSON.
    return false;
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer, warnings: string[]): void {
  if (response.headersSent || response.destroyed) return;
  const yaml = answer.contentType === undefined && wantsYaml(request);
  let text = answer.text ?? JSON.stringify(answer.value);
  if (yaml) text = stringify(JSON.parse(text) as unknown, { sortMapEntries: true });
  const contentType = answer.contentType ?? (yaml ? 'application/yaml' : 'application/json');
  const headers: Record<string, string | string[]> = {
    'Content-Type': contentType,
    'Cache-Control': answer.cacheControl ?? 'no-cache, private',
  };
  if (warnings.length > 0) headers['Warning'] = warnings.map(warningHeader);
  if (answer.retryAfterSeconds !== undefined) headers['Retry-After'] = String(answer.retryAfterSeconds);
  // The rest of a body that was refused half-read must not be taken for the next request.
  if (!request.complete) headers['Connection'] = 'close';
  response.writeHead(answer.code, { ...headers, 'Content-Length': Buffer.byteLength(text) });
  response.end(request.method === 'HEAD' ? undefined : text);
}
