import type { IncomingMessage } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';
import { collectionPath, queryString } from './paths.js';
import { refusal, statusError } from './responses.js';
import type { Transport } from './transport.js';
import { KubeError, type KubeObject, type ListOptions, type Resource, type WatchEvent } from './types.js';

/** The server is asked to end a watch after 290 s give or take 30, so that a fleet of watches does not reconnect at one moment. */
const WATCH_SECONDS = 290;
const WATCH_SECONDS_SPREAD = 30;
/** Servers bookmark about once a minute; two and a half minutes of silence is a dead peer. */
const IDLE_TIMEOUT_MS = 150_000;
/** Until the server starts to answer, in ms. API Priority and Fairness may queue a watch for a while. */
const OPEN_TIMEOUT_MS = 30_000;
/** A line longer than this, in characters, is no object: etcd refuses objects of a tenth of it. */
const MAX_LINE_LENGTH = 32 * 1024 * 1024;

const eventSchema = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.looseObject({}),
});

export interface WatchRequest<T extends KubeObject> {
  transport: Transport;
  resource: Resource<T>;
  what: string;
  options: ListOptions & { resourceVersion: string; signal: AbortSignal };
  onEvent: (event: WatchEvent<T>) => void;
  headers: Record<string, string>;
  idleTimeoutMs?: number;
}

/**
 * One watch, from the first event to the last. Resolves when the signal aborts or the server ends it; rejects with KubeError when it
 * is refused, breaks, falls silent or carries an `ERROR` event (which `onEvent` sees first).
 */
export async function openWatch<T extends KubeObject>(request: WatchRequest<T>): Promise<void> {
  const { signal } = request.options;
  if (signal.aborted) return;
  const path = watchPath(request.resource, request.options);
  let response: IncomingMessage;
  try {
    response = await request.transport.open({ method: 'GET', path, headers: request.headers, signal }, OPEN_TIMEOUT_MS);
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  if (response.statusCode !== 200) throw await refused(request.what, response);
  await readEvents(request, response);
}

function watchPath(resource: Resource, options: WatchRequest<KubeObject>['options']): string {
  const { labelSelector, fieldSelector, resourceVersion } = options;
  const timeoutSeconds = Math.round(WATCH_SECONDS + (Math.random() * 2 - 1) * WATCH_SECONDS_SPREAD);
  const query = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds, labelSelector, fieldSelector };
  return collectionPath(resource, options.namespace) + queryString(query);
}

async function refused(what: string, response: IncomingMessage): Promise<KubeError> {
  const timer = setTimeout(() => response.destroy(), OPEN_TIMEOUT_MS);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch {
    // The status line is enough.
  } finally {
    clearTimeout(timer);
  }
  return refusal(what, response.statusCode ?? 0, response.headers, Buffer.concat(chunks).toString('utf8'));
}

async function readEvents<T extends KubeObject>(request: WatchRequest<T>, response: IncomingMessage): Promise<void> {
  const idleMs = request.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
  const dead = new KubeError(0, 'NoAnswer', `${request.what}: nothing came for ${idleMs / 1000} s, not even a bookmark`);
  const timer = setTimeout(() => response.destroy(dead), idleMs);
  const lines = new LineSplitter(request.what);
  try {
    for await (const chunk of response) {
      timer.refresh();
      for (const line of lines.push(chunk as Buffer)) {
        if (request.options.signal.aborted) return;
        deliver(request, line);
      }
    }
  } catch (error) {
    if (request.options.signal.aborted) return;
    throw broken(request.what, error);
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}

function broken(what: string, error: unknown): unknown {
  if (error instanceof KubeError) return error;
  // A listener's own failure stays what it is; only what the socket says becomes a missing answer.
  if (!(error instanceof Error) || !('code' in error)) return error;
  const wrapped = new KubeError(0, 'NoAnswer', `${what}: ${error.message}`);
  wrapped.cause = error;
  return wrapped;
}

function deliver<T extends KubeObject>(request: WatchRequest<T>, line: string): void {
  let event: z.infer<typeof eventSchema>;
  try {
    event = eventSchema.parse(JSON.parse(line));
  } catch {
    throw new KubeError(0, 'NoAnswer', `${request.what}: a line of the watch is not a watch event`);
  }
  request.onEvent(event as unknown as WatchEvent<T>);
  if (event.type === 'ERROR') throw statusError(request.what, event.object);
}

/** Cuts a byte stream into lines. A character may be split over two chunks; what is unfinished waits for the next one. */
class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #parts: string[] = [];
  #length = 0;

  constructor(private readonly what: string) {}

  push(chunk: Buffer): string[] {
    const pieces = this.#decoder.write(chunk).split('\n');
    const rest = pieces.pop() ?? '';
    const lines = pieces.map((piece, index) => (index === 0 ? this.#take(piece) : piece)).filter((line) => line.trim() !== '');
    this.#parts.push(rest);
    this.#length += rest.length;
    if (this.#length > MAX_LINE_LENGTH)
      throw new KubeError(0, 'NoAnswer', `${this.what}: a line of the watch is too long to be an event`);
    return lines;
  }

  #take(end: string): string {
    this.#length = 0;
    return this.#parts.splice(0).join('') + end;
  }
}
