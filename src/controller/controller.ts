import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { overlayManifest } from '../core/overlay.js';
import { createCache, type Cache } from '../engine/cache.js';
import type { EvidenceOptions } from '../engine/evidence.js';
import { Outbox } from '../engine/outbox.js';
import { WorkQueue } from '../engine/queue.js';
import { Reconciler } from '../engine/reconciler.js';
import { Revisions } from '../engine/revisions.js';
import { NamedSecrets } from '../engine/secrets.js';
import { sweepActions } from '../engine/sweep.js';
import { Triggers } from '../engine/triggers.js';
import { Writer } from '../engine/writer.js';
import { createGitSourceReconciler } from '../git/index.js';
import { createHookCaller } from '../hooks/index.js';
import { createEventRecorder, createLeaderElector, type KubeClient, type KubeObject } from '../kube/index.js';
import { createIstioRouter } from '../mesh/istio/index.js';
import { createMetricsSource } from '../metrics/index.js';
import { createNotifier } from '../notify/index.js';
import { startHttpServer } from '../server/http.js';
import type { ControllerMetrics } from '../server/metrics.js';

/** What `sluice controller` can be told; every field is a flag. */
export interface ControllerOptions {
  client: KubeClient;
  metrics: (cache: Cache) => ControllerMetrics;
  logger: Logger;
  /** Only this namespace; all when undefined. */
  namespace?: string;
  /** Prometheus for the built-in metrics. */
  metricsServer: string;
  /** `HOST:PORT` of /healthz, /readyz and /metrics. */
  listen: string;
  /** Where copies of Git repositories are kept; may be lost at any time. */
  dataDir: string;
  /** Length of the shared windows of evidence, milliseconds. */
  metricsGridMs?: number;
  leaderElection?: { namespace: string; leaseDurationMs?: number };
  allowCrossNamespace?: boolean;
  allowLinkLocal?: boolean;
  /** Shown in messages. */
  cluster?: string;
  /** Canaries worked on at once. */
  concurrency?: number;
  now?: () => number;
}

/** Run until the signal aborts. Resolves after everything that was started has stopped. */
export async function runController(options: ControllerOptions, signal: AbortSignal, onListening?: (url: string) => void): Promise<void> {
  const { client, logger } = options;
  const identity = `${hostname()}-${randomBytes(4).toString('hex')}`;
  const cache = createCache(client, { namespace: options.namespace, onError: (error) => logger.debug({ error: String(error) }, 'a watch was interrupted; it is resumed') });
  const metrics = options.metrics(cache);
  let ready = false;
  const server = await startHttpServer({ listen: options.listen, registry: metrics.registry, ready: () => ready });
  onListening?.(server.url);
  try {
    cache.start(signal);
    await Promise.race([cache.whenSynced(), aborted(signal)]);
    ready = true;
    logger.info({ server: client.server, listen: server.url, identity }, 'caches are in');
    const work = { ...options, cache, identity, controllerMetrics: metrics };
    if (!options.leaderElection) return await lead(work, signal, () => {});
    const elector = createLeaderElector({ client, name: 'sluice-controller', identity, ...options.leaderElection, onError: (error) => logger.warn({ error: String(error) }, 'the Lease could not be renewed; it is tried again') });
    await elector.run(signal, {
      onStartedLeading: (leaseSignal) => {
        metrics.leading(true);
        logger.info({ identity }, 'leading');
        return lead(work, leaseSignal, () => elector.assertLeading());
      },
      onStoppedLeading: () => {
        metrics.leading(false);
        logger.info({ identity }, 'not leading any more');
      },
    });
  } finally {
    await server.close();
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

interface Work extends ControllerOptions {
  cache: Cache;
  identity: string;
  controllerMetrics: ControllerMetrics;
}

/** Everything that writes. Stops when the signal aborts: at shutdown, or when the lease is lost. */
async function lead(work: Work, signal: AbortSignal, assertLeading: () => void): Promise<void> {
  if (signal.aborted) return;
  const { client, cache, logger, controllerMetrics } = work;
  const now = work.now ?? Date.now;
  const egress = { allowLinkLocal: work.allowLinkLocal ?? false };
  const metrics = createMetricsSource({ clock: { now }, gridMs: work.metricsGridMs, egress, onQuery: ({ ok }) => controllerMetrics.query(ok) });
  const hooks = createHookCaller({ egress });
  const writer = new Writer(client, assertLeading);
  const recorder = createEventRecorder({ client, component: 'sluice', instance: work.identity, now, onError: (error) => logger.debug({ error: String(error) }, 'an event was not written') });
  let triggers: Triggers | undefined;
  const secrets = new NamedSecrets(client, signal, (namespace, name) => triggers?.secretChanged(namespace, name));
  const allowCrossNamespace = work.allowCrossNamespace ?? false;
  const evidence: EvidenceOptions = { cache, metrics, hooks, secrets, metricsServer: work.metricsServer, allowCrossNamespace };
  const router = createIstioRouter();
  const outbox = new Outbox({
    cache,
    notifier: createNotifier({ egress }),
    hooks,
    secrets,
    now,
    allowCrossNamespace,
    ...(work.cluster ? { cluster: work.cluster } : {}),
    onDone: (key, at) => queue.addAt(key, at),
    onFailure: (canary, receiver, message, final) => {
      logger.warn({ namespace: canary.metadata.namespace, canary: canary.metadata.name, receiver }, message);
      if (final) recorder.event(canary, 'Warning', 'NotificationFailed', `${receiver}: ${message}`);
    },
  });
  const reconciler = new Reconciler({
    cache,
    router,
    writer,
    revisions: new Revisions(cache, secrets, now),
    outbox,
    evidence,
    recorder,
    now,
    logger,
    onDecision: (canary, decision, dueAt) => controllerMetrics.decision(canary, decision, dueAt, now()),
  });
  const queue: WorkQueue = new WorkQueue(
    async (key, turn) => {
      const at = await reconciler.reconcile(key, turn);
      if (at !== undefined) queue.addAt(key, at);
    },
    {
      concurrency: work.concurrency ?? 32,
      now,
      onError: (key, error) => {
        controllerMetrics.reconcileFailed();
        logger.warn({ canary: key, error: error instanceof Error ? error.message : String(error) }, 'tried again soon');
      },
    },
  );
  const unsubscribe = (triggers = new Triggers(cache, (key) => queue.add(key))).start();
  for (const canary of cache.canaries.list()) queue.add(`${canary.metadata.namespace ?? ''}/${canary.metadata.name}`);
  const overlay = (manifest: KubeObject, live: KubeObject): KubeObject =>
    manifest.kind === 'VirtualService' ? router.overlay(manifest, live) : overlayManifest(manifest, live);
  const git = createGitSourceReconciler({
    client,
    informers: {
      gitSources: cache.gitSources,
      secret: async (namespace, name) => {
        const secret = await secrets.load(namespace, name);
        return secret === 'absent' ? undefined : secret;
      },
      cached: (resource, namespace, name) => cachedObject(cache, resource.kind, namespace, name),
    },
    overlay,
    dataDir: work.dataDir,
    logger,
    assertLeading,
  });
  await git.start();
  const stopSweeping = sweepActions({ cache, writer, now, onError: (error) => logger.debug({ error: String(error) }, 'an old action was not removed') });
  await aborted(signal);
  unsubscribe();
  stopSweeping();
  queue.stop();
  await git.stop();
  metrics.close();
  await recorder.flush();
}

function cachedObject(cache: Cache, kind: string, namespace: string | undefined, name: string): KubeObject | undefined {
  const informers: Record<string, { get(namespace: string | undefined, name: string): KubeObject | undefined }> = {
    Deployment: cache.deployments,
    Service: cache.services,
    ConfigMap: cache.configMaps,
    VirtualService: cache.virtualServices,
    DestinationRule: cache.destinationRules,
    Canary: cache.canaries,
  };
  return informers[kind]?.get(namespace, name);
}
