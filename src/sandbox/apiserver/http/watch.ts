import type { ServerResponse } from 'node:http';
import type { KubeObject } from '../../../kube/types.js';
import { ApiError, expired, forbiddenField, invalid, invalidValue, unsupportedValue } from '../errors.js';
import { toVersion } from '../objects.js';
import type { Predicate } from '../selectors.js';
import type { Storage, StoredEvent } from '../storage.js';
import { apiVersionOf, type ResourceInfo } from '../types.js';
import { encodeObject, partialObject, warningHeader } from './encode.js';
import { parseRevision, selection } from './list.js';
import type { Representation } from './request.js';
import { table, type IncludeObject } from './table.js';

const BOOKMARK_MS = 60_000;
/** A watcher that is this many bytes behind is closed: it lists again. */
const MAX_BEHIND_BYTES = 16 * 1024 * 1024;
const MIN_TIMEOUT_SECONDS = 1800;

export interface WatchRequest {
  info: ResourceInfo;
  namespace?: string;
  query: URLSearchParams;
  representation: Representation;
  include: IncludeObject;
  /** What to tell of a deprecated version. */
  deprecation?: string;
  now: () => Date;
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

/** One open watch: turns stored events into lines of its representation. */
class Watcher {
  private headers = true;
  private readonly matches: Predicate | undefined;
  private readonly prefix: string | undefined;
  private sent: number;
  private closed = false;

  constructor(
    private readonly request: WatchRequest,
    private readonly response: ServerResponse,
    revision: number,
  ) {
    this.matches = selection(request.query, request.info);
    this.prefix = request.namespace;
    this.sent = revision;
  }

  readonly onEvent = (event: StoredEvent): void => {
    if (event.revision <= this.sent) return;
    this.sent = event.revision;
    if (this.prefix !== undefined && event.object.metadata.namespace !== this.prefix) return;
    const type = this.typeFor(event);
    if (type !== undefined) this.write(this.encodeEvent(type, event));
  };

  /** Selector aware: an object that starts to match is ADDED, one that stops is DELETED. */
  private typeFor(event: StoredEvent): EventType | undefined {
    if (this.matches === undefined) return event.type;
    const was = event.previous !== undefined && this.matches(event.previous);
    const is = event.type !== 'DELETED' && this.matches(event.object);
    if (is) return was ? 'MODIFIED' : 'ADDED';
    return was ? 'DELETED' : undefined;
  }

  private encodeEvent(type: EventType, event: StoredEvent): string {
    const { info, representation, include } = this.request;
    const shared = representation.as !== 'table' || !this.headers;
    const form = `${type} ${representation.as} ${include} ${info.group}/${info.version}`;
    const known = shared && type === event.type ? event.encoded.get(form) : undefined;
    if (known !== undefined) return known;
    const line = this.line(type, leaving(type, event));
    if (shared && type === event.type) event.encoded.set(form, line);
    return line;
  }

  private line(type: EventType, stored: KubeObject): string {
    const { info, representation, include, now } = this.request;
    const object = toVersion(stored, info);
    if (representation.as === 'object') return `{"type":"${type}","object":${encodeObject(object)}}\n`;
    if (representation.as === 'partial') return `${JSON.stringify({ type, object: partialObject(object) })}\n`;
    const headers = this.headers;
    this.headers = false;
    const rows = table(
      [object],
      info,
      { resourceVersion: object.metadata.resourceVersion ?? '' },
      include,
      now().getTime(),
      headers,
    );
    return `${JSON.stringify({ type, object: rows })}\n`;
  }

  initial(objects: KubeObject[]): void {
    for (const object of objects) {
      if (this.matches !== undefined && !this.matches(object)) continue;
      this.write(this.line('ADDED', object));
    }
  }

  bookmark(revision: number, initialEventsEnd: boolean): void {
    const { info, representation, include, now } = this.request;
    const annotations = initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
    const metadata = { resourceVersion: String(revision), ...annotations };
    let object: unknown = { kind: info.kind, apiVersion: apiVersionOf(info), metadata };
    if (representation.as === 'partial') object = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
    if (representation.as === 'table') {
      // The row of an object of which nothing is known.
      const nothing = { kind: info.kind, apiVersion: apiVersionOf(info), metadata } as unknown as KubeObject;
      object = table([nothing], info, { resourceVersion: String(revision) }, include, now().getTime(), this.headers);
      this.headers = false;
    }
    this.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  end(): void {
    if (this.closed) return;
    this.closed = true;
    this.response.end();
  }

  private write(line: string): void {
    if (this.closed) return;
    this.response.write(line);
    if (this.response.writableLength > MAX_BEHIND_BYTES) {
      this.closed = true;
      this.response.destroy();
    }
  }
}

/** An object that stops to match is shown as it last did, with the version at which it left. */
function leaving(type: EventType, { type: stored, object, previous }: StoredEvent): KubeObject {
  if (type !== 'DELETED' || stored === 'DELETED' || previous === undefined) return object;
  return { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion } };
}

const isTrue = (value: string | null): boolean => value === 'true' || value === '1';

/** Refuses what the real server refuses in the options of a watch. */
function checkOptions({ query }: WatchRequest): void {
  const initial = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch');
  const options = { group: 'meta.k8s.io', plural: 'listoptions', kind: 'ListOptions' };
  if (initial !== null && match !== 'NotOlderThan') {
    throw invalid(options, '', [
      forbiddenField('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'),
      ...(match === null ? [] : [unsupportedValue('resourceVersionMatch', match, ['NotOlderThan'])]),
    ]);
  }
  if (initial === null && match !== null) {
    throw invalid(options, '', [
      {
        reason: 'FieldValueForbidden',
        message: 'Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
        field: 'resourceVersionMatch',
      },
    ]);
  }
  const timeout = query.get('timeoutSeconds');
  if (timeout !== null && !/^\d+$/.test(timeout))
    throw invalid(options, '', [invalidValue('timeoutSeconds', timeout, 'must be a whole number of seconds')]);
}

/**
 * Answers a watch: the initial state where it is asked for, then every change until the client leaves, the timeout passes or the
 * watcher falls behind.
 * @returns ends the watch
 * @throws ApiError before anything is sent, when an option is refused
 */
export function serveWatch(storage: Storage, request: WatchRequest, response: ServerResponse): () => void {
  const { info, query, namespace } = request;
  checkOptions(request);
  const asked = parseRevision(query.get('resourceVersion'));
  const bookmarks = isTrue(query.get('allowWatchBookmarks'));
  const listFirst = isTrue(query.get('sendInitialEvents'));
  const fromState = query.get('sendInitialEvents') === null ? asked === undefined || asked === 0 : listFirst;
  const start = fromState || asked === undefined ? storage.revision : asked;
  const missed = storage.since(info.storageKey, start);
  const watcher = new Watcher(request, response, start);
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Transfer-Encoding': 'chunked',
    'Cache-Control': 'no-cache, private',
    ...(request.deprecation === undefined ? {} : { Warning: warningHeader(request.deprecation) }),
  });
  response.flushHeaders();
  if (missed === undefined) {
    const gone: ApiError = expired(`too old resource version: ${start} (${storage.revision})`);
    response.end(`${JSON.stringify({ type: 'ERROR', object: gone.toStatus() })}\n`);
    return () => undefined;
  }
  if (fromState) watcher.initial(storage.list(info.storageKey, namespace));
  if (listFirst && bookmarks) watcher.bookmark(storage.revision, true);
  for (const event of missed) watcher.onEvent(event);
  const unsubscribe = storage.subscribe(info.storageKey, watcher.onEvent);
  const ticker = setInterval(() => {
    if (bookmarks) watcher.bookmark(storage.revision, false);
  }, BOOKMARK_MS).unref();
  const seconds = Number(query.get('timeoutSeconds') ?? 0);
  const timeout = setTimeout(
    () => {
      // The client goes on from here, not from the last event it happened to get.
      if (bookmarks) watcher.bookmark(storage.revision, false);
      stop();
    },
    1000 * Math.min(seconds > 0 ? seconds : MIN_TIMEOUT_SECONDS * (1 + Math.random()), 2 ** 31 / 1000 - 1),
  ).unref();
  const stop = (): void => {
    unsubscribe();
    clearInterval(ticker);
    clearTimeout(timeout);
    watcher.end();
  };
  response.on('close', stop);
  return stop;
}
