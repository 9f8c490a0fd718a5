import { isDeepStrictEqual } from 'node:util';
import { Annotations, type Canary } from '../api/index.js';
import { overlayManifest } from '../core/overlay.js';
import type { ConfigContent } from '../core/pod-template.js';
import type { Cache } from '../engine/cache.js';
import { allWorkloads, targetOf } from '../engine/workloads.js';
import type { GitWriter, Router } from '../engine/ports.js';
import { contentOf } from '../engine/revisions.js';
import type { NamedSecrets } from '../engine/secrets.js';
import { createGitSourceReconciler, createGitWriter, StatusReporter, systemClock, type GitLogger, type GitSourceReconciler, type Tenancy } from '../git/index.js';
import type { EventRecorder, KubeClient, KubeObject } from '../kube/index.js';
import { createHttp } from '../net/http.js';
import type { EgressPolicy } from '../net/egress.js';

export interface GitOptions {
  client: KubeClient;
  cache: Cache;
  logger: GitLogger;
  recorder: EventRecorder;
  egress: EgressPolicy;
  tenancy: Tenancy;
  /** Where copies of repositories are kept. */
  dataDir: string;
  /** Throws when this process must not write any more. */
  assertLeading: () => void;
  signal: AbortSignal;
  /** Unix milliseconds. */
  now: () => number;
  cluster?: string;
}

/** Both ways of Git: the commit in, the verdict out. */
export class GitSide {
  readonly #http;
  readonly #options: GitOptions;
  #sources: GitSourceReconciler | undefined;
  #reporter: StatusReporter | undefined;
  #unsubscribe: () => void = () => {};

  constructor(options: GitOptions) {
    this.#options = options;
    this.#http = createHttp(options.egress);
  }

  /** What the engine carries verdicts out with. */
  writer(secrets: NamedSecrets): GitWriter {
    const { cache, dataDir, assertLeading, signal, now, cluster, tenancy, egress } = this.#options;
    return createGitWriter({
      gitSources: cache.gitSources,
      secret: (namespace, name) => load(secrets, namespace, name),
      live: (kind, namespace, name) => liveConfig(cache, secrets, kind, namespace, name),
      http: this.#http,
      tenancy,
      egress,
      dataDir,
      assertLeading,
      signal,
      now,
      ...(cluster ? { cluster } : {}),
      onPushed: (namespace, name) => this.#sources?.requestSync(namespace, name),
    });
  }

  async start({ router, secrets }: { router: Router; secrets: NamedSecrets }): Promise<void> {
    const { client, cache, dataDir, logger, assertLeading, tenancy, egress } = this.#options;
    this.#reportStatuses(secrets);
    this.#sources = createGitSourceReconciler({
      client,
      informers: {
        gitSources: cache.gitSources,
        secret: (namespace, name) => load(secrets, namespace, name),
        cached: (resource, namespace, name) => cachedObject(cache, resource.kind, namespace, name),
        view: {
          canaries: () => cache.canaries.list(),
          target: (canary) => targetOf(cache, canary),
          config: (kind, namespace, name) => liveConfig(cache, secrets, kind, namespace, name),
        },
      },
      overlay: (manifest, live) => (manifest.kind === 'VirtualService' || manifest.kind === 'DestinationRule' ? router.overlay(manifest, live) : overlayManifest(manifest, live)),
      tenancy,
      egress,
      dataDir,
      logger,
      assertLeading,
    });
    await this.#sources.start();
    this.#wakeWitnesses();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    await this.#reporter?.stop();
    await this.#sources?.stop();
    this.#http.close();
  }

  /** Another tool changed a target: which commit that was is looked for at once. */
  #wakeWitnesses(): void {
    const { cache } = this.#options;
    const isTarget = (namespace: string | undefined, name: string): boolean => cache.canaries.list().some((canary) => canary.metadata.namespace === namespace && canary.spec.targetRef.name === name);
    const onWorkload = (key: { namespace?: string; name: string }, now: KubeObject | undefined, before: KubeObject | undefined): void => {
      if (!now || isDeepStrictEqual(templateOf(now), templateOf(before)) || !isTarget(key.namespace, key.name)) return;
      for (const { metadata, spec } of cache.gitSources.list()) if (spec.apply === false) this.#sources?.requestSync(metadata.namespace ?? 'default', metadata.name);
    };
    const stops = allWorkloads(cache).map(({ informer }) => informer.onChange(onWorkload));
    const others = this.#unsubscribe;
    this.#unsubscribe = () => {
      for (const stop of stops) stop();
      others();
    };
  }

  #reportStatuses(secrets: NamedSecrets): void {
    const { cache, logger, recorder, now, cluster, tenancy } = this.#options;
    const reporter = (this.#reporter = new StatusReporter({
      http: this.#http,
      tenancy,
      secret: (namespace, name) => load(secrets, namespace, name),
      gitSource: (namespace, name) => cache.gitSources.get(namespace, name),
      targetCommit: (canary: Canary) => commitOn(targetOf(cache, canary)),
      clock: { ...systemClock, now },
      ...(cluster ? { cluster } : {}),
      onFailure: (canary, message, final) => {
        logger.warn({ namespace: canary.metadata.namespace, canary: canary.metadata.name }, message);
        if (final) recorder.event(canary, 'Warning', 'NotificationFailed', message);
      },
    }));
    this.#unsubscribe = cache.canaries.onChange((_, canary) => {
      if (canary) reporter.observe(canary);
    });
    for (const canary of cache.canaries.list()) reporter.observe(canary);
  }
}

function commitOn(target: KubeObject | undefined): { commit: string; syncedAt?: string } | undefined {
  const { [Annotations.commit]: commit, [Annotations.syncedAt]: syncedAt } = target?.metadata.annotations ?? {};
  return commit === undefined ? undefined : { commit, ...(syncedAt === undefined ? {} : { syncedAt }) };
}

const templateOf = (object: KubeObject | undefined): unknown => (object?.['spec'] as { template?: unknown } | undefined)?.template;

async function load(secrets: NamedSecrets, namespace: string, name: string): Promise<KubeObject | undefined> {
  const secret = await secrets.load(namespace, name);
  return secret === 'absent' ? undefined : secret;
}

/** Tracked configuration that no manifest in Git declares. */
function liveConfig(cache: Cache, secrets: NamedSecrets, kind: 'ConfigMap' | 'Secret', namespace: string, name: string): ConfigContent | 'absent' | undefined {
  const object = kind === 'Secret' ? secrets.read(namespace, name) : (cache.configMaps.get(namespace, name) ?? 'absent');
  return object === undefined || object === 'absent' ? object : contentOf(object);
}

function cachedObject(cache: Cache, kind: string, namespace: string | undefined, name: string): KubeObject | undefined {
  const informers: Record<string, { get(namespace: string | undefined, name: string): KubeObject | undefined }> = {
    Deployment: cache.deployments,
    DaemonSet: cache.daemonSets,
    Service: cache.services,
    ConfigMap: cache.configMaps,
    VirtualService: cache.virtualServices,
    DestinationRule: cache.destinationRules,
    PodDisruptionBudget: cache.budgets,
    HorizontalPodAutoscaler: cache.autoscalers,
    Canary: cache.canaries,
  };
  return informers[kind]?.get(namespace, name);
}
