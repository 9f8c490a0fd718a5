import type { Canary } from '../api/index.js';
import type { Decision } from '../core/observation.js';
import type { Cache } from '../engine/cache.js';
import type { EvidenceOptions } from '../engine/evidence.js';
import { Fence } from '../engine/fence.js';
import { bereft } from '../engine/leftovers.js';
import type { LinkTemplate } from '../engine/links.js';
import { Outbox, type Receipts } from '../engine/outbox.js';
import type { GitWriter, HookCaller, MetricsSource, Notifier, Router } from '../engine/ports.js';
import { WorkQueue, type After } from '../engine/queue.js';
import { Reconciler, type ReconcilerOptions } from '../engine/reconciler.js';
import { Revisions } from '../engine/revisions.js';
import { NamedSecrets } from '../engine/secrets.js';
import { Triggers } from '../engine/triggers.js';
import { WriteBacks } from '../engine/write-backs.js';
import type { Writer } from '../engine/writer.js';
import type { EventRecorder, KubeClient } from '../kube/index.js';
import { createIstioRouter } from '../mesh/istio/index.js';

/** Changes come in bursts: one decision for all that arrive within this time, in milliseconds, costs a fraction of one for each. */
const BURST_MS = 10;

/** What the engine works with. Everything that has to do with the outside, time and chance comes from here. */
export interface EngineOptions {
  /** Reads the Secrets that something refers to; everything else is read from the cache. */
  client: KubeClient;
  cache: Cache;
  writer: Writer;
  /** Of this term of leadership; see {@link Fence}. */
  epoch?: string;
  metrics: MetricsSource;
  hooks: HookCaller;
  notifier: Notifier;
  recorder: EventRecorder;
  /** Unix milliseconds. */
  now: () => number;
  logger: ReconcilerOptions['logger'];
  /** Ends the watches of Secrets. */
  signal: AbortSignal;
  /** Prometheus for the built-in metrics. */
  metricsServer: string;
  allowCrossNamespace: boolean;
  /** Shown in messages. */
  cluster?: string;
  /** Views of a release that messages lead to. */
  links?: LinkTemplate[];
  /** Canaries worked on at once; default 32. */
  concurrency?: number;
  /** Default is `setTimeout`. */
  after?: After;
  random?: () => number;
  /** What this process sent in earlier terms of leadership. */
  receipts?: Receipts;
  /** Carries verdicts back to Git; without it nothing goes back. */
  gitWriter?: (secrets: NamedSecrets) => GitWriter;
  onDecision?: (canary: Canary, decision: Decision, dueAt: number | undefined) => void;
  onReconcileFailed?: () => void;
}

export interface Engine {
  router: Router;
  secrets: NamedSecrets;
  /** Starts nothing any more; what is under way finishes by itself. */
  stop(): void;
}

/** Work on every Canary in the cache, now and whenever something changes, until it is stopped. */
export function startEngine(options: EngineOptions): Engine {
  const { cache, client, recorder, now, logger, allowCrossNamespace } = options;
  let triggers: Triggers | undefined;
  const secrets = new NamedSecrets(client, options.signal, (namespace, name) => triggers?.secretChanged(namespace, name));
  const { metrics, hooks, metricsServer } = options;
  const evidence: EvidenceOptions = { cache, metrics, hooks, secrets, metricsServer, allowCrossNamespace };
  const router = createIstioRouter({ apiVersion: () => `networking.istio.io/${cache.virtualServices.resource.version}` });
  const outbox = new Outbox({
    cache,
    notifier: options.notifier,
    hooks,
    secrets,
    now,
    allowCrossNamespace,
    ...(options.cluster ? { cluster: options.cluster } : {}),
    ...(options.links ? { links: options.links } : {}),
    ...(options.receipts ? { receipts: options.receipts } : {}),
    onDone: (key, at) => queue.addAt(key, at),
    onFailure: (canary, receiver, message, final) => {
      logger.warn({ namespace: canary.metadata.namespace, canary: canary.metadata.name, receiver }, message);
      if (final) recorder.event(canary, 'Warning', 'NotificationFailed', `${receiver}: ${message}`);
    },
  });
  const writeBacks =
    options.gitWriter &&
    new WriteBacks({
      writer: options.gitWriter(secrets),
      now,
      onDone: (key, at) => queue.addAt(key, at),
      onResult: (canary, { kind, revision }, { state, message }) => {
        const done = state === 'Done';
        recorder.event(canary, done ? 'Normal' : 'Warning', done ? 'WrittenBack' : 'WriteBackSkipped', `${kind} of revision ${revision}: ${message}`);
      },
      onFailure: (canary, { kind, revision }, message) =>
        logger.warn({ namespace: canary.metadata.namespace, canary: canary.metadata.name, kind, revision }, `Git could not be written to, and it is tried again: ${message}`),
    });
  const reconciler = new Reconciler({
    cache,
    router,
    writer: options.writer,
    revisions: new Revisions(cache, secrets, now),
    outbox,
    fence: new Fence({ cache, writer: options.writer, epoch: options.epoch }),
    ...(writeBacks ? { writeBacks } : {}),
    evidence,
    recorder,
    now,
    logger,
    ...(options.onDecision ? { onDecision: options.onDecision } : {}),
  });
  const queue: WorkQueue = new WorkQueue(
    async (key, turn) => {
      const at = await reconciler.reconcile(key, turn);
      if (at !== undefined) queue.addAt(key, at);
    },
    {
      concurrency: options.concurrency ?? 32,
      repeatAfterMs: BURST_MS,
      now,
      ...(options.after ? { after: options.after } : {}),
      ...(options.random ? { random: options.random } : {}),
      onError: (key, error) => {
        options.onReconcileFailed?.();
        logger.warn({ canary: key, error: error instanceof Error ? error.message : String(error) }, 'tried again soon');
      },
    },
  );
  const unsubscribe = (triggers = new Triggers(cache, (key) => queue.addAt(key, now() + BURST_MS))).start();
  for (const canary of cache.canaries.list()) queue.add(`${canary.metadata.namespace ?? ''}/${canary.metadata.name}`);
  for (const key of bereft(cache)) queue.add(key);
  return {
    router,
    secrets,
    stop: () => {
      unsubscribe();
      queue.stop();
    },
  };
}
