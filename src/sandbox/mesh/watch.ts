import type { Informer, KubeObject } from '../../kube/types.js';
import { compileMesh, type CompileOptions } from './config.js';
import { EMPTY_CONFIG, type ConfigFeed, type MeshConfig } from './types.js';

/** What the mesh is compiled from. Informers of several API versions of one kind must not be mixed: each object counts once. */
export interface MeshInformers {
  virtualServices: Informer<KubeObject>;
  destinationRules: Informer<KubeObject>;
  services: Informer<KubeObject>;
  endpointSlices: Informer<KubeObject>;
  pods: Informer<KubeObject>;
}

export interface WatchOptions extends CompileOptions {
  informers: MeshInformers;
  /** How late proxies learn: what is compiled at t is in force at t + this (milliseconds, default 0). */
  pushDelayMs?: number;
  /** At most one compilation in this time (milliseconds, default 50). */
  coalesceMs?: number;
  /** Told of each compiled configuration, before it is in force. */
  onCompiled?: (config: MeshConfig) => void;
}

export interface MeshWatch extends ConfigFeed {
  /** Resolves when the first complete configuration is in force. */
  ready(): Promise<void>;
  stop(): void;
}

const DEFAULT_COALESCE_MS = 50;

/** Keeps a {@link MeshConfig} current. The caller starts the informers. */
export const watchMesh = (options: WatchOptions): MeshWatch => {
  const informers = Object.values(options.informers) as Informer<KubeObject>[];
  const listeners = new Set<(config: MeshConfig) => void>();
  const pushes = new Set<NodeJS.Timeout>();
  let current = EMPTY_CONFIG;
  let version = 0;
  let last = '';
  let pending: NodeJS.Timeout | undefined;
  let stopped = false;
  let announceReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => (announceReady = resolve));

  const apply = (config: MeshConfig): void => {
    current = config;
    announceReady();
    for (const listener of listeners) listener(config);
  };
  const push = (config: MeshConfig): void => {
    const delay = options.pushDelayMs ?? 0;
    if (delay <= 0) return apply(config);
    const timer = setTimeout(() => {
      pushes.delete(timer);
      apply(config);
    }, delay);
    pushes.add(timer);
  };
  const compile = (): void => {
    pending = undefined;
    // Half a world would program routes without endpoints.
    if (stopped || !informers.every((informer) => informer.synced)) return;
    const { virtualServices, destinationRules, services, endpointSlices, pods } = options.informers;
    const config = compileMesh(
      {
        virtualServices: virtualServices.list(),
        destinationRules: destinationRules.list(),
        services: services.list(),
        endpointSlices: endpointSlices.list(),
        pods: pods.list(),
      },
      version + 1,
      options,
    );
    // Most changes of pods and Services change nothing for a proxy, and what changes nothing is not pushed.
    const content = JSON.stringify({ ...config, version: 0 });
    if (content === last) return;
    last = content;
    version += 1;
    options.onCompiled?.(config);
    push(config);
  };
  const schedule = (): void => {
    if (!stopped) pending ??= setTimeout(compile, options.coalesceMs ?? DEFAULT_COALESCE_MS);
  };

  const unsubscribe = informers.map((informer) => informer.onChange(schedule));
  void Promise.all(informers.map((informer) => informer.whenSynced())).then(schedule, () => undefined);
  return {
    current: () => current,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ready: () => ready,
    stop: () => {
      stopped = true;
      for (const end of unsubscribe) end();
      clearTimeout(pending);
      for (const timer of pushes) clearTimeout(timer);
    },
  };
};
