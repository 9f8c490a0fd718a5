import { stringify } from 'yaml';
import type { KubeObject } from '../../kube/types.js';
import { CrdController } from './crds.js';
import { LocalStore, type Store } from './facade.js';
import { GarbageCollector } from './gc.js';
import { Resources, type LogHook } from './http/resources.js';
import { HttpServer } from './http/server.js';
import { crdKind } from './kinds/crd.js';
import { NamespaceController, systemContext } from './namespaces.js';
import { Objects } from './objects.js';
import { OpenApi } from './openapi.js';
import { Registry } from './registry.js';
import { Allocator } from './services.js';
import { Storage } from './storage.js';
import type { AuditEntry } from './types.js';

export type { Store } from './facade.js';
export type { LogHook, LogOptions } from './http/resources.js';
export type { AuditEntry, DeleteContext } from './types.js';

const DEFAULT_WINDOW = 4096;

export interface ApiServerOptions {
  /** 0, the default, takes a free port. */
  port?: number;
  /** CustomResourceDefinitions to serve from the start. */
  crds?: KubeObject[];
  /** Called for every request after it was answered (watches: when they start). */
  auditLog?: (entry: AuditEntry) => void;
  now?: () => Date;
  /** Events kept per kind for watches that start in the past; older ones get 410 Gone. Default 4096. */
  watchWindow?: number;
  /** The text of `kubectl logs`. Without it logs are empty. */
  podLogs?: LogHook;
  logger?: { error(fields: object, message: string): void };
}

export interface ApiServer {
  url: string;
  port: number;
  /** A kubeconfig (YAML) with this server as its only context. */
  kubeconfig(): string;
  stop(): Promise<void>;
  /** The objects, without HTTP. */
  store: Store;
}

function kubeconfigFor(url: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sandbox', cluster: { server: url } }],
    users: [{ name: 'sandbox', user: {} }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'sandbox', namespace: 'default' } }],
    'current-context': 'sandbox',
  });
}

/** Starts an in-memory Kubernetes API server on the loopback address. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const now = options.now ?? (() => new Date());
  const storage = new Storage(options.watchWindow ?? DEFAULT_WINDOW);
  const registry = new Registry();
  const objects = new Objects(storage, registry, new Allocator(), now);
  const crds = new CrdController(objects, now);
  crds.start();
  const namespaces = new NamespaceController(objects);
  const collector = new GarbageCollector(objects);
  namespaces.bootstrap();
  for (const crd of options.crds ?? []) objects.create(crdKind, undefined, crd, systemContext('sandbox'));
  storage.forget();
  const http = new HttpServer({
    objects,
    resources: new Resources(objects, now, options.podLogs),
    openApi: new OpenApi(registry),
    now,
    ...(options.auditLog === undefined ? {} : { audit: options.auditLog }),
    onError: (error, path) => options.logger?.error({ err: error, path }, 'the API server failed to answer a request'),
  });
  const port = await http.listen(options.port ?? 0);
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    kubeconfig: () => kubeconfigFor(url),
    store: new LocalStore(objects),
    stop: async () => {
      namespaces.stop();
      collector.stop();
      await http.close();
    },
  };
}
