import { loadClusterAccess, type ClusterAccess, type KubeconfigOptions } from './kubeconfig.js';
import { collectionPath, objectName, objectPath, queryString, requireNamespace, resourceName, withTypeMeta } from './paths.js';
import { refusal } from './responses.js';
import { createTransport, type Transport } from './transport.js';
import {
  KubeError,
  type BeforeSend,
  type DeleteOptions,
  type KubeClient,
  type KubeObject,
  type ListOptions,
  type ListResult,
  type PatchType,
  type Resource,
  type WatchEvent,
  type WriteOptions,
} from './types.js';
import { openWatch } from './watch.js';

const DEFAULT_REQUEST_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_CONCURRENT = 64;
const DEFAULT_FIELD_MANAGER = 'sluice';
const LEASES = 'leases.coordination.k8s.io';
/** Objects asked for in one page of a list. */
const PAGE_SIZE = 500;

const PATCH_CONTENT_TYPES: Record<PatchType, string> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  // JSON is YAML, and servers accept this type since 1.16.
  apply: 'application/apply-patch+yaml',
};

export type KubeVerb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'watch';

/** One finished request, for metrics. `code` is 0 when no answer came; a watch is reported when it ends. */
export interface RequestRecord {
  verb: KubeVerb;
  /** `deployments.apps`, with the subresource when there is one: `deployments.apps/scale`. */
  resource: string;
  code: number;
  seconds: number;
}

export interface KubeClientOptions extends KubeconfigOptions {
  userAgent?: string;
  /** Until a request is answered in full, in ms. Watches are not bound by it. */
  requestTimeoutMs?: number;
  /** Requests under way at once, watches not counted. The server's API Priority and Fairness does the rest. */
  maxConcurrent?: number;
  fieldManager?: string;
  onRequest?: (record: RequestRecord) => void;
  /** A watch that shows no sign of life (bookmarks included) for this long is broken off, in ms. */
  watchIdleTimeoutMs?: number;
}

/** A client that also lets go of its idle connections. */
export interface OwnedKubeClient extends KubeClient {
  close(): void;
}

/** Finds the credentials and makes a client. Rejects with an Error that names the kubeconfig's file and field. */
export async function createKubeClient(options: KubeClientOptions = {}): Promise<OwnedKubeClient> {
  return createKubeClientFor(await loadClusterAccess(options), options);
}

/** A client for an API server that is already known. */
export function createKubeClientFor(access: ClusterAccess, options: KubeClientOptions = {}): OwnedKubeClient {
  return new JsonKubeClient(access, options);
}

interface Call {
  verb: KubeVerb;
  resource: string;
  /** Names the request in messages. */
  what: string;
  method: string;
  path: string;
  body?: unknown;
  contentType?: string;
  beforeSend?: BeforeSend;
}

class JsonKubeClient implements OwnedKubeClient {
  readonly server: string;
  readonly #transport: Transport;
  readonly #options: KubeClientOptions;
  readonly #slots: Semaphore;

  constructor(access: ClusterAccess, options: KubeClientOptions) {
    this.server = access.server;
    this.#transport = createTransport(access);
    this.#options = options;
    this.#slots = new Semaphore(options.maxConcurrent ?? DEFAULT_MAX_CONCURRENT);
  }

  async get<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): Promise<T> {
    return (await this.#call(objectCall('get', 'GET', resource, namespace, name))) as T;
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    try {
      return await this.#pages(resource, options, PAGE_SIZE);
    } catch (error) {
      // The list's version was compacted away between two pages; in one piece it cannot be.
      if (error instanceof KubeError && error.code === 410) return this.#pages(resource, options, undefined);
      throw error;
    }
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    requireNamespace(resource, namespace, name);
    const path = options.subresource
      ? objectPath(resource, namespace, name, options.subresource)
      : collectionPath(resource, namespace);
    return (await this.#call({
      ...naming('create', resource, namespace, name || object.metadata.generateName, options.subresource),
      method: 'POST',
      path: path + this.#writeQuery(options),
      body: object,
      beforeSend: options.beforeSend,
    })) as T;
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    const call = objectCall('update', 'PUT', resource, namespace, name, options.subresource);
    return (await this.#call({ ...call, path: call.path + this.#writeQuery(options), body: object, beforeSend: options.beforeSend })) as T;
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    body: unknown,
    type: PatchType,
    options: WriteOptions = {},
  ): Promise<T> {
    const call = objectCall('patch', 'PATCH', resource, namespace, name, options.subresource);
    const query = this.#writeQuery(options, type === 'apply' ? options.force : undefined);
    return (await this.#call({ ...call, path: call.path + query, body, contentType: PATCH_CONTENT_TYPES[type], beforeSend: options.beforeSend })) as T;
  }

  async delete(resource: Resource, namespace: string | undefined, name: string, options: DeleteOptions = {}): Promise<void> {
    const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds, beforeSend } = options;
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy,
      gracePeriodSeconds,
      preconditions: uid !== undefined || resourceVersion !== undefined ? { uid, resourceVersion } : undefined,
    };
    await this.#call({ ...objectCall('delete', 'DELETE', resource, namespace, name), body, beforeSend });
  }

  async watch<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions & { resourceVersion: string; signal: AbortSignal },
    onEvent: (event: WatchEvent<T>) => void,
  ): Promise<void> {
    const { verb, resource: label, what } = naming('watch', resource, options.namespace, undefined);
    const headers = this.#headers();
    const { watchIdleTimeoutMs: idleTimeoutMs } = this.#options;
    await this.#recorded(verb, label, async () => {
      await openWatch({ transport: this.#transport, resource, what, options, onEvent, headers, idleTimeoutMs });
      return 200;
    });
  }

  async raw(path: string): Promise<unknown> {
    return this.#call({ verb: 'get', resource: 'raw', what: `get ${path}`, method: 'GET', path });
  }

  close(): void {
    this.#transport.close();
  }

  async #pages<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions,
    limit: number | undefined,
  ): Promise<ListResult<T>> {
    const { labelSelector, fieldSelector } = options;
    const result: ListResult<T> = { items: [], resourceVersion: '' };
    let token: string | undefined;
    do {
      const query = queryString({ labelSelector, fieldSelector, limit, continue: token });
      const page = (await this.#call({
        ...naming('list', resource, options.namespace, undefined),
        method: 'GET',
        path: collectionPath(resource, options.namespace) + query,
      })) as { items?: T[] | null; metadata?: { resourceVersion?: string; continue?: string } };
      for (const item of page.items ?? []) {
        if (options.dropManagedFields) delete item.metadata.managedFields;
        result.items.push(withTypeMeta(resource, item));
      }
      // All pages show the state of the first one's version.
      result.resourceVersion ||= page.metadata?.resourceVersion ?? '';
      token = page.metadata?.continue;
    } while (token);
    return result;
  }

  #writeQuery(options: WriteOptions, force?: boolean): string {
    return queryString({
      fieldManager: options.fieldManager ?? this.#options.fieldManager ?? DEFAULT_FIELD_MANAGER,
      fieldValidation: options.fieldValidation,
      dryRun: options.dryRun ? 'All' : undefined,
      force: force ? 'true' : undefined,
    });
  }

  #headers(): Record<string, string> {
    return { accept: 'application/json', 'user-agent': this.#options.userAgent ?? 'sluice' };
  }

  async #call(call: Call): Promise<unknown> {
    const headers = this.#headers();
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    if (body !== undefined) headers['content-type'] = call.contentType ?? 'application/json';
    const { method, path } = call;
    // Whoever waits behind a hundred writes to renew the Lease loses it just when there is most to do.
    const release = call.resource === LEASES ? () => {} : await this.#slots.acquire();
    let answer = '';
    try {
      call.beforeSend?.();
      await this.#recorded(call.verb, call.resource, async () => {
        const timeoutMs = this.#options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
        const response = await this.#transport.send({ method, path, headers, body }, timeoutMs);
        if (response.status < 200 || response.status > 299) {
          throw refusal(call.what, response.status, response.headers, response.body);
        }
        answer = response.body;
        return response.status;
      });
    } finally {
      release();
    }
    return parseAnswer(call.what, answer);
  }

  async #recorded(verb: KubeVerb, resource: string, run: () => Promise<number>): Promise<void> {
    const started = performance.now();
    let code = 0;
    try {
      code = await run();
    } catch (error) {
      code = error instanceof KubeError ? error.code : 0;
      throw error;
    } finally {
      this.#options.onRequest?.({ verb, resource, code, seconds: (performance.now() - started) / 1000 });
    }
  }
}

function naming(
  verb: KubeVerb,
  resource: Resource,
  namespace: string | undefined,
  name: string | undefined,
  subresource?: string,
) {
  const label = resourceName(resource) + (subresource ? `/${subresource}` : '');
  const collection = verb === 'list' || verb === 'watch';
  const where = namespace ? ` in namespace ${namespace}` : '';
  const what = collection
    ? `${label}${where}`
    : `${objectName(resource, namespace, name)}${subresource ? ` (${subresource})` : ''}`;
  return { verb, resource: label, what: `${verb} ${what}` };
}

function objectCall(
  verb: KubeVerb,
  method: string,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  subresource?: string,
): Call {
  return {
    ...naming(verb, resource, namespace, name, subresource),
    method,
    path: objectPath(resource, namespace, name, subresource),
  };
}

function parseAnswer(what: string, body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // Something between us and the server answered 200 with a page of its own.
    throw new KubeError(
      0,
      'NoAnswer',
      `${what}: the answer is not JSON; check that the kubeconfig's server is a Kubernetes API server`,
    );
  }
}

/** First come, first served. */
class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  async acquire(): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    };
  }
}
