import {
  KubeError,
  type Informer,
  type KubeClient,
  type KubeObject,
  type Resource,
  type WriteOptions,
} from '../../src/kube/types.js';
import { Resources } from '../../src/kube/resources.js';
import { SluiceResources, type GitSource } from '../../src/api/index.js';

type Fields = Record<string, unknown>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Server-side apply, as far as these tests look: maps are merged, lists replaced, and what one manager applies no more goes. */
function applied(live: Fields, before: Fields, now: Fields): Fields {
  const next: Fields = { ...live };
  for (const key of Object.keys(before)) if (!(key in now)) delete next[key];
  for (const [key, value] of Object.entries(now)) {
    const [l, b] = [next[key], before[key]];
    next[key] = isFields(value) ? applied(isFields(l) ? l : {}, isFields(b) ? b : {}, value) : value;
  }
  return next;
}

function merged(live: Fields, patch: Fields): Fields {
  const next = { ...live };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete next[key];
    else next[key] = isFields(value) ? merged(isFields(next[key]) ? (next[key] as Fields) : {}, value) : value;
  }
  return next;
}

/** An API server in memory that counts what it is asked. */
export class FakeCluster {
  readonly objects = new Map<string, KubeObject>();
  readonly requests: string[] = [];
  /** Makes a write fail: by `KIND/NAME`. */
  readonly refuse = new Map<string, KubeError>();
  /** Called before each apply, to race with it. */
  beforeApply: (key: string) => void = () => {};
  kinds: Resource[] = [...Object.values(Resources), ...Object.values(SluiceResources)];
  readonly #lastApplied = new Map<string, Fields>();
  readonly #listeners = new Set<Parameters<Informer<GitSource>['onChange']>[0]>();
  #version = 1;

  get(kind: string, name: string, namespace = 'shop'): KubeObject | undefined {
    return this.objects.get(`${kind}/${namespace}/${name}`) ?? this.objects.get(`${kind}//${name}`);
  }

  put(object: KubeObject): KubeObject {
    const key = `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const previous = this.objects.get(key);
    const metadata = {
      ...object.metadata,
      uid: object.metadata.uid ?? previous?.metadata.uid ?? `uid-${key}`,
      resourceVersion: String((this.#version += 1)),
    };
    const stored = { ...object, metadata };
    this.objects.set(key, stored);
    if (stored.kind === 'GitSource') this.#tell(stored, previous);
    return stored;
  }

  remove(kind: string, name: string, namespace = 'shop'): void {
    const object = this.get(kind, name, namespace);
    if (!object) return;
    this.objects.delete(`${kind}/${object.metadata.namespace ?? ''}/${name}`);
    this.#lastApplied.delete(`${kind}/${object.metadata.namespace ?? ''}/${name}`);
    if (kind === 'GitSource')
      for (const listener of this.#listeners)
        listener({ namespace: object.metadata.namespace, name }, undefined, object as GitSource);
  }

  source(name = 'shop'): GitSource {
    return this.get('GitSource', name) as GitSource;
  }

  readonly client = {
    server: 'fake',
    get: async (resource: Resource, namespace: string | undefined, name: string) => {
      this.requests.push(`get ${resource.kind} ${name}`);
      return structuredClone(this.#need(resource, namespace, name));
    },
    patch: async (
      resource: Resource,
      namespace: string | undefined,
      name: string,
      body: unknown,
      type: string,
      options: WriteOptions = {},
    ) => {
      const what = `${resource.kind}/${name}`;
      this.requests.push(`${type}${options.subresource ? `-${options.subresource}` : ''} ${resource.kind} ${name}`);
      const refusal = this.refuse.get(what);
      if (refusal) throw refusal;
      if (type === 'merge')
        return this.put(
          merged(this.#need(resource, namespace, name) as unknown as Fields, body as Fields) as unknown as KubeObject,
        );
      this.beforeApply(what);
      const key = `${resource.kind}/${namespace ?? ''}/${name}`;
      const live = this.objects.get(key);
      const { metadata, ...rest } = structuredClone(body) as KubeObject;
      const { resourceVersion, ...kept } = metadata;
      if (resourceVersion !== undefined && resourceVersion !== live?.metadata.resourceVersion)
        throw new KubeError(409, 'Conflict', `${what}: the object has been modified`);
      const now = { ...rest, metadata: kept } as Fields;
      const next = applied((live ?? {}) as Fields, this.#lastApplied.get(key) ?? {}, now);
      this.#lastApplied.set(key, now);
      return this.put(next as unknown as KubeObject);
    },
    delete: async (resource: Resource, namespace: string | undefined, name: string, options?: { propagationPolicy?: string }) => {
      this.requests.push(`delete ${resource.kind} ${name} ${options?.propagationPolicy ?? ''}`);
      this.#need(resource, namespace, name);
      this.remove(resource.kind, name, namespace);
    },
    raw: async (path: string) => {
      this.requests.push(`raw ${path}`);
      const resources = this.kinds
        .filter(({ group, version }) => path === (group ? `/apis/${group}/${version}` : `/api/${version}`))
        .map(({ plural, kind, namespaced }) => ({ name: plural, kind, namespaced }));
      if (resources.length === 0) throw new KubeError(404, 'NotFound', `${path}: not found`);
      return { kind: 'APIResourceList', resources };
    },
  } as unknown as KubeClient;

  readonly gitSources: Informer<GitSource> = {
    resource: SluiceResources.GitSource,
    synced: true,
    get: (namespace, name) => this.objects.get(`GitSource/${namespace ?? ''}/${name}`) as GitSource | undefined,
    list: () => [...this.objects.values()].filter(({ kind }) => kind === 'GitSource') as GitSource[],
    onChange: (listener) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
    observe: () => {},
    start: () => {},
    whenSynced: async () => {},
  };

  #need(resource: Resource, namespace: string | undefined, name: string): KubeObject {
    const object = this.objects.get(`${resource.kind}/${namespace ?? ''}/${name}`);
    if (!object) throw new KubeError(404, 'NotFound', `${resource.kind} ${name} not found`);
    return object;
  }

  #tell(stored: KubeObject, previous: KubeObject | undefined): void {
    const { namespace, name } = stored.metadata;
    for (const listener of this.#listeners) listener({ namespace, name }, stored as GitSource, previous as GitSource | undefined);
  }
}
