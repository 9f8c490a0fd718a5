import { expect } from 'vitest';
import { parse } from 'yaml';
import { startApiServer, type ApiServer, type ApiServerOptions } from '../../../src/sandbox/apiserver/index.js';
import type { KubeObject } from '../../../src/kube/types.js';

export type Doc = Record<string, unknown>;

export interface Reply {
  status: number;
  headers: Headers;
  /** The parsed JSON body. */
  body: KubeObject &
    Doc & {
      message?: string;
      reason?: string;
      details?: { causes?: { field: string; message: string; reason: string }[] };
      items?: KubeObject[];
    };
}

export interface CallOptions {
  type?: string;
  accept?: string;
  agent?: string;
}

/** Speaks HTTP to one server, as any client would. */
export class Client {
  constructor(private readonly server: ApiServer) {}

  async call(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<Reply> {
    const headers: Record<string, string> = {
      'User-Agent': options.agent ?? 'tester/1.0 (linux)',
      Accept: options.accept ?? 'application/json',
    };
    if (body !== undefined) headers['Content-Type'] = options.type ?? 'application/json';
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(this.server.url + path, { method, headers, ...(text === undefined ? {} : { body: text }) });
    const answer = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (answer.startsWith('{') ? JSON.parse(answer) : { text: answer }) as Reply['body'],
    };
  }

  get = (path: string, options?: CallOptions): Promise<Reply> => this.call('GET', path, undefined, options);
  post = (path: string, body: unknown, options?: CallOptions): Promise<Reply> => this.call('POST', path, body, options);
  put = (path: string, body: unknown, options?: CallOptions): Promise<Reply> => this.call('PUT', path, body, options);
  delete = (path: string, body?: unknown): Promise<Reply> => this.call('DELETE', path, body);
  merge = (path: string, body: unknown, options?: CallOptions): Promise<Reply> =>
    this.call('PATCH', path, body, { ...options, type: 'application/merge-patch+json' });
  json = (path: string, body: unknown): Promise<Reply> => this.call('PATCH', path, body, { type: 'application/json-patch+json' });
  strategic = (path: string, body: unknown): Promise<Reply> =>
    this.call('PATCH', path, body, { type: 'application/strategic-merge-patch+json' });
  apply = (path: string, body: unknown, manager: string, force = false): Promise<Reply> =>
    this.call('PATCH', `${path}?fieldManager=${manager}${force ? '&force=true' : ''}`, body, {
      type: 'application/apply-patch+yaml',
    });
}

export async function start(options: ApiServerOptions = {}): Promise<{ server: ApiServer; client: Client }> {
  const errors: unknown[] = [];
  const server = await startApiServer({ logger: { error: (fields) => errors.push(fields) }, ...options });
  return { server, client: new Client(server) };
}

/** Polls until `check` is true; fails with `what` after five seconds. */
export async function eventually(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000;
  while (Date.now() < deadline) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect.fail(`never happened: ${what}`);
}

export interface WatchLine {
  type: string;
  object: KubeObject & Doc;
}

/** An open watch. */
export class Watch {
  readonly events: WatchLine[] = [];
  ended = false;
  private readonly abort = new AbortController();

  static async open(server: ApiServer, path: string, accept = 'application/json'): Promise<Watch> {
    const watch = new Watch();
    const response = await fetch(server.url + path, { headers: { Accept: accept }, signal: watch.abort.signal });
    expect(response.status).toBe(200);
    watch.read(response).catch(() => (watch.ended = true));
    return watch;
  }

  close(): void {
    this.abort.abort();
  }

  /** Waits until there are at least `count` events. */
  async until(count: number): Promise<WatchLine[]> {
    await eventually(
      `${count} watch events, got ${this.events.map((event) => event.type).join(' ')}`,
      () => this.events.length >= count,
    );
    return this.events;
  }

  private async read(response: Response): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      rest += decoder.decode(chunk, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') this.events.push(JSON.parse(line) as WatchLine);
    }
    this.ended = true;
  }
}

export const configMap = (name: string, data: Record<string, string> = {}, labels?: Record<string, string>): Doc => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...(labels === undefined ? {} : { labels }) },
  data,
});

export const deployment = (name: string, overrides: Doc = {}): Doc & { spec: Doc; metadata: Doc } => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'app', image: 'reviews:v1' }] } },
    ...overrides,
  },
});

/** A CustomResourceDefinition that uses what the server knows of schemas. */
export const canaryCrd = (): KubeObject =>
  parse(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: canaries.demo.dev }
spec:
  group: demo.dev
  scope: Namespaced
  names: { plural: canaries, kind: Canary, shortNames: [cn] }
  versions:
    - name: v1
      served: true
      storage: true
      subresources:
        status: {}
        scale: { specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector }
      additionalPrinterColumns:
        - { name: Weight, type: integer, jsonPath: .status.weight }
        - { name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status' }
        - { name: Target, type: string, jsonPath: .spec.target.name, priority: 1 }
        - { name: Age, type: date, jsonPath: .metadata.creationTimestamp }
      schema: &schema
        openAPIV3Schema:
          type: object
          description: Canary is a release that is watched.
          required: [spec]
          properties:
            spec:
              type: object
              required: [target]
              x-kubernetes-validations:
                - { rule: '!has(self.maxWeight) || self.stepWeight <= self.maxWeight', message: stepWeight must not exceed maxWeight }
                - { rule: '!has(self.replicas) || self.replicas < 100', messageExpression: '"too many replicas: " + string(self.replicas)', fieldPath: .replicas, reason: FieldValueForbidden }
              properties:
                replicas: { type: integer, format: int32 }
                stepWeight: { type: integer, minimum: 1, maximum: 100, default: 5, description: Step of weight. }
                maxWeight: { type: integer }
                target:
                  type: object
                  required: [name]
                  x-kubernetes-validations: [{ rule: self == oldSelf, message: target is immutable }]
                  properties:
                    kind: { type: string, enum: [Deployment, StatefulSet], default: Deployment }
                    name: { type: string, minLength: 1, pattern: '^[a-z]+$' }
                metrics:
                  type: array
                  maxItems: 3
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [name]
                  items: { type: object, required: [name], properties: { name: { type: string }, max: { type: number } } }
                hosts: { type: array, x-kubernetes-list-type: set, items: { type: string } }
                steps: { type: array, items: { type: integer } }
                free: { type: object, x-kubernetes-preserve-unknown-fields: true }
                port: { x-kubernetes-int-or-string: true }
            status: { type: object, x-kubernetes-preserve-unknown-fields: true }
    - name: v1alpha1
      served: true
      storage: false
      schema: *schema
`) as KubeObject;

export const canary = (name: string, spec: Doc = {}): Doc => ({
  apiVersion: 'demo.dev/v1',
  kind: 'Canary',
  metadata: { name },
  spec: { target: { name: 'reviews' }, ...spec },
});

export const NS = '/api/v1/namespaces/default';
export const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
export const CANARIES = '/apis/demo.dev/v1/namespaces/default/canaries';
