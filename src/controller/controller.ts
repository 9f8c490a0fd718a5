import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { createCache, type Cache } from '../engine/cache.js';
import type { LinkTemplate } from '../engine/links.js';
import { Receipts } from '../engine/outbox.js';
import { sweepActions } from '../engine/sweep.js';
import { reportTemplates } from '../engine/template-status.js';
import { Writer } from '../engine/writer.js';
import type { HookCaller, Notifier } from '../engine/ports.js';
import { createHookCaller } from '../hooks/index.js';
import { createEventRecorder, createLeaderElector, type KubeClient, type LeaderElectorOptions } from '../kube/index.js';
import { createMetricsSource } from '../metrics/index.js';
import { createNotifier } from '../notify/index.js';
import { startHttpServer } from '../server/http.js';
import type { ControllerMetrics } from '../server/metrics.js';
import { startEngine } from './engine.js';
import { GitSide } from './git.js';
import { gitHooks } from './git-hooks.js';

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
  leaderElection?: Pick<LeaderElectorOptions, 'namespace' | 'leaseDurationMs' | 'clock'>;
  allowCrossNamespace?: boolean;
  /** Where the controller is installed: GitSources there are those of who runs it, and reach every namespace. */
  ownNamespace?: string;
  allowLinkLocal?: boolean;
  /** Shown in messages. */
  cluster?: string;
  /** Views of a release that messages lead to. */
  links?: LinkTemplate[];
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
  const server = await startHttpServer({ listen: options.listen, registry: metrics.registry, ready: () => ready, post: gitHooks(client, cache, options.now ?? Date.now) });
  onListening?.(server.url);
  try {
    cache.start(signal);
    await Promise.race([cache.whenSynced(), aborted(signal)]);
    ready = true;
    logger.info({ server: client.server, listen: server.url, identity }, 'caches are in');
    const work = { ...options, cache, identity, controllerMetrics: metrics, receipts: new Receipts() };
    if (!options.leaderElection) return await lead(work, signal, { assertLeading: () => {} });
    const elector = createLeaderElector({ client, name: 'sluice-controller', identity, ...options.leaderElection, onError: (error) => logger.warn({ error: String(error) }, 'the Lease could not be renewed; it is tried again') });
    // The Lease counts only changes of hands: a term that follows our own has to be told from that by us.
    let terms = 0;
    await elector.run(signal, {
      onStartedLeading: (leaseSignal) => {
        terms += 1;
        metrics.leading(true);
        logger.info({ identity }, 'leading');
        return lead(work, leaseSignal, { assertLeading: () => elector.assertLeading(), epoch: `${elector.transitions()}.${identity}.${terms}` });
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
  receipts: Receipts;
}

/** One term of leadership. */
interface Term {
  /** Throws when somebody else may lead by now. */
  assertLeading: () => void;
  /** Unlike that of any other term of anybody; unset when nobody else can lead. */
  epoch?: string;
}

/** Everything that writes. Stops when the signal aborts: at shutdown, or when the lease is lost. */
async function lead(work: Work, signal: AbortSignal, { assertLeading, epoch }: Term): Promise<void> {
  if (signal.aborted) return;
  const { client, cache, logger, controllerMetrics } = work;
  const now = work.now ?? Date.now;
  const egress = { allowLinkLocal: work.allowLinkLocal ?? false };
  // A controller of one namespace has no business in others, whoever asks.
  const tenancy = { allowCrossNamespace: work.allowCrossNamespace ?? false, ...(work.namespace === undefined && work.ownNamespace !== undefined ? { ownNamespace: work.ownNamespace } : {}) };
  const metrics = createMetricsSource({ clock: { now }, gridMs: work.metricsGridMs, egress, kube: client, beforeWrite: assertLeading, onQuery: ({ ok }) => controllerMetrics.query(ok) });
  // A former leader calls nobody: what it would say has been said by its successor, or is not true any more.
  const receivers = { hooks: createHookCaller({ egress }), notifier: createNotifier({ egress }) };
  const hooks: HookCaller = {
    call: async (webhook, payload) => {
      assertLeading();
      return receivers.hooks.call(webhook, payload);
    },
  };
  const notifier: Notifier = {
    send: async (provider, notification) => {
      assertLeading();
      return receivers.notifier.send(provider, notification);
    },
  };
  const writer = new Writer(client, assertLeading);
  const recorder = createEventRecorder({ client, beforeSend: assertLeading, component: 'sluice', instance: work.identity, now, onError: (error) => logger.debug({ error: String(error) }, 'an event was not written') });
  const git = new GitSide({ client, cache, logger, recorder, egress, tenancy, dataDir: work.dataDir, assertLeading, signal, now, ...(work.cluster ? { cluster: work.cluster } : {}) });
  const engine = startEngine({
    client,
    cache,
    writer,
    metrics,
    hooks,
    notifier,
    recorder,
    now,
    logger,
    signal,
    ...(epoch === undefined ? {} : { epoch }),
    metricsServer: work.metricsServer,
    allowCrossNamespace: work.allowCrossNamespace ?? false,
    receipts: work.receipts,
    ...(work.cluster ? { cluster: work.cluster } : {}),
    ...(work.links ? { links: work.links } : {}),
    ...(work.concurrency ? { concurrency: work.concurrency } : {}),
    gitWriter: (secrets) => git.writer(secrets),
    onDecision: (canary, decision, dueAt) => controllerMetrics.decision(canary, decision, dueAt, now()),
    onReconcileFailed: () => controllerMetrics.reconcileFailed(),
  });
  await git.start(engine);
  const stopReporting = reportTemplates({ cache, writer, now, onError: (error) => logger.debug({ error: String(error) }, 'the state of a MetricTemplate was not written; it is tried again') });
  const stopSweeping = sweepActions({ cache, writer, now, onError: (error) => logger.debug({ error: String(error) }, 'an old action was not removed') });
  await aborted(signal);
  engine.stop();
  stopSweeping();
  stopReporting();
  await git.stop();
  metrics.close();
  for (const receiver of Object.values(receivers)) receiver.close();
  await recorder.flush();
}
