import { randomBytes } from 'node:crypto';
import { Resources } from './resources.js';
import { isNotFound, type BeforeSend, type KubeClient, type KubeObject } from './types.js';

/** An equal event within this time bumps the count of the first one, in ms. */
const SERIES_MS = 10 * 60_000;
/** A count is written at most this often, in ms; repeats in between are summed. */
const BUMP_INTERVAL_MS = 10_000;
const DEFAULT_PER_MINUTE = 20;
/** Series remembered at most; the oldest is forgotten first. */
const MAX_SERIES = 2_000;
/** The API server refuses longer notes, in characters. */
const MAX_MESSAGE_LENGTH = 1_024;
const MAX_PENDING = 1_000;

export interface EventRecorderOptions {
  client: KubeClient;
  /** `source.component` and `reportingController`. */
  component: string;
  /** `reportingInstance`: the pod's name. */
  instance: string;
  /** New events and bumps per object and minute; more are dropped. */
  perObjectPerMinute?: number;
  now?: () => number;
  /** Called right before each write; what it throws keeps the event from being written. */
  beforeSend?: BeforeSend;
  /** Hears of events that could not be written. */
  onError?: (error: unknown) => void;
}

export interface EventRecorder {
  /** Records what happened to an object; returns at once and never throws. `reason` is UpperCamelCase. */
  event(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** Resolves when everything recorded so far was written or given up. */
  flush(): Promise<void>;
}

interface Series {
  namespace: string;
  name: string;
  count: number;
  lastAt: number;
  writtenAt: number;
  writtenCount: number;
  timer?: NodeJS.Timeout;
  body: KubeObject;
}

/** Records core/v1 Events, as `kubectl describe` shows them, without ever standing in the way of the work that they tell of. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new CoreEventRecorder(options);
}

class CoreEventRecorder implements EventRecorder {
  readonly #series = new Map<string, Series>();
  readonly #recent = new Map<string, number[]>();
  readonly #now: () => number;
  #tail: Promise<void> = Promise.resolve();
  #pending = 0;

  constructor(private readonly options: EventRecorderOptions) {
    this.#now = options.now ?? Date.now;
  }

  event(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const now = this.#now();
    const text = message.slice(0, MAX_MESSAGE_LENGTH);
    const subject = object.metadata.uid ?? `${object.kind}/${object.metadata.namespace}/${object.metadata.name}`;
    const key = JSON.stringify([subject, type, reason, text]);
    const known = this.#series.get(key);
    if (known && now - known.lastAt < SERIES_MS) this.#repeat(key, known, now);
    else if (this.#allows(subject, now)) this.#begin(key, object, type, reason, text, now);
  }

  async flush(): Promise<void> {
    for (const [key, series] of this.#series) {
      if (!series.timer) continue;
      clearTimeout(series.timer);
      series.timer = undefined;
      this.#bump(key, series);
    }
    await this.#tail;
  }

  #begin(key: string, object: KubeObject, type: string, reason: string, message: string, now: number): void {
    const body = this.#body(object, type, reason, message, now);
    const { namespace = 'default', name } = body.metadata;
    this.#series.delete(key);
    this.#series.set(key, { namespace, name, count: 1, lastAt: now, writtenAt: now, writtenCount: 1, body });
    this.#forgetOldest();
    this.#enqueue(() => this.options.client.create(Resources.Event, body, { beforeSend: this.options.beforeSend }));
  }

  #repeat(key: string, series: Series, now: number): void {
    series.count += 1;
    series.lastAt = now;
    if (series.timer) return;
    const wait = series.writtenAt + BUMP_INTERVAL_MS - now;
    if (wait <= 0) return this.#bump(key, series);
    series.timer = setTimeout(() => {
      series.timer = undefined;
      this.#bump(key, series);
    }, wait);
    series.timer.unref();
  }

  #bump(key: string, series: Series): void {
    const { count, lastAt } = series;
    if (count === series.writtenCount) return;
    series.writtenAt = this.#now();
    series.writtenCount = count;
    const change = {
      count,
      lastTimestamp: seconds(lastAt),
      series: { count, lastObservedTime: new Date(lastAt).toISOString().replace('Z', '000Z') },
    };
    this.#enqueue(async () => {
      try {
        await this.options.client.patch(Resources.Event, series.namespace, series.name, change, 'merge', { beforeSend: this.options.beforeSend });
      } catch (error) {
        if (!isNotFound(error)) throw error;
        // The server keeps events for an hour; the next repeat starts afresh.
        this.#series.delete(key);
      }
    });
  }

  #body(object: KubeObject, type: string, reason: string, message: string, now: number): KubeObject {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const suffix = `.${now.toString(16)}${randomBytes(3).toString('hex')}`;
    return {
      apiVersion: 'v1',
      kind: 'Event',
      // Events of cluster-scoped objects live in `default`, as the API server wants it.
      metadata: { name: name.slice(0, 253 - suffix.length) + suffix, namespace: namespace ?? 'default' },
      involvedObject: { apiVersion: object.apiVersion, kind: object.kind, namespace, name, uid, resourceVersion },
      type,
      reason,
      message,
      source: { component: this.options.component },
      reportingComponent: this.options.component,
      reportingInstance: this.options.instance,
      firstTimestamp: seconds(now),
      lastTimestamp: seconds(now),
      count: 1,
    };
  }

  #allows(subject: string, now: number): boolean {
    const recent = (this.#recent.get(subject) ?? []).filter((at) => now - at < 60_000);
    const allowed = recent.length < (this.options.perObjectPerMinute ?? DEFAULT_PER_MINUTE);
    if (allowed) recent.push(now);
    this.#recent.delete(subject);
    this.#recent.set(subject, recent);
    return allowed;
  }

  #forgetOldest(): void {
    for (const [key, series] of this.#series) {
      if (this.#series.size <= MAX_SERIES) break;
      clearTimeout(series.timer);
      this.#series.delete(key);
    }
    for (const subject of this.#recent.keys()) {
      if (this.#recent.size <= MAX_SERIES) break;
      this.#recent.delete(subject);
    }
  }

  /** One write after another, so that a count never overtakes its event. */
  #enqueue(write: () => Promise<unknown>): void {
    if (this.#pending >= MAX_PENDING) return;
    this.#pending += 1;
    this.#tail = this.#tail.then(async () => {
      try {
        await write();
      } catch (error) {
        this.options.onError?.(error);
      } finally {
        this.#pending -= 1;
      }
    });
  }
}

/** `metav1.Time`: whole seconds. */
const seconds = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
