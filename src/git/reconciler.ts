import { join } from 'node:path';
import { Annotations, SluiceResources, type GitSource, type GitSourceStatus } from '../api/index.js';
import { isNotFound, type Informer, type KubeClient, type KubeObject, type Resource } from '../kube/types.js';
import type { EgressPolicy } from '../net/egress.js';
import type { Overlay } from './apply.js';
import { Discovery } from './discovery.js';
import { Repositories } from './fetch.js';
import { LeadershipLost, requireLeading } from './leading.js';
import { Slots } from './locks.js';
import { SyncError } from './reasons.js';
import { backedOff, jittered, startSchedule, systemClock, type Clock } from './schedule.js';
import { planOf, type SourcePlan } from './spec.js';
import { conditionsOf, statusPatch, suspendedConditions, type Outcome } from './status.js';
import type { Tenancy } from './tenancy.js';
import type { WitnessView } from './witness.js';
import { newMemory, syncSource, type SyncContext, type SyncMemory, type SyncResult } from './sync.js';

const DEFAULT_CONCURRENCY = 8;
/** How long a source waits whose spec cannot be read; a change of the spec comes at once anyway. */
const IDLE_MS = 5 * 60_000;
/** Servers announce a push a moment before they show it. */
const FIRST_LOOK_MS = 200;
const MAX_LOOKS = 8;

/** The part of a pino logger that is used. */
export interface GitLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A commit was rendered and applied as far as possible. */
export interface SyncedEvent {
  namespace: string;
  name: string;
  commit: string;
  previous: string | undefined;
  /** For people: `Deployment shop/reviews`. */
  changed: string[];
  deleted: string[];
}

export interface GitSourceReconcilerOptions {
  client: KubeClient;
  informers: {
    gitSources: Informer<GitSource>;
    /** The Secret; undefined when it does not exist. Asked rarely: what it gives is kept for ten minutes. */
    secret: (namespace: string, name: string) => Promise<KubeObject | undefined>;
    /** A copy that an informer holds already, to save reads; it may be stale. */
    cached?: (resource: Resource, namespace: string | undefined, name: string) => KubeObject | undefined;
    /** For sources that only watch (`spec.apply: false`); without it they confirm nothing. */
    view?: WitnessView;
  };
  overlay: Overlay;
  /** What sources may reach beyond their own namespaces. */
  tenancy: Tenancy;
  /** What addresses of repositories may lead to. */
  egress: EgressPolicy;
  /** Folder for copies of repositories; private to this process, and may be lost at any time. */
  dataDir: string;
  logger: GitLogger;
  /** Throws when this process must not write any more. Asked before every write. */
  assertLeading: () => void;
  clock?: Clock;
  random?: () => number;
  /** Sources that are synced at once. */
  maxConcurrent?: number;
  onSynced?: (event: SyncedEvent) => void;
}

export interface GitSourceReconciler {
  /** Begins with the informer's first list. Resolves when every source is scheduled. */
  start(): Promise<void>;
  /** Kills Git where it runs, and resolves when nothing is under way any more. */
  stop(): Promise<void>;
  /** Look at the repository now, as when its host announced a push. Unknown names are ignored. */
  requestSync(namespace: string, name: string): void;
}

/** Keeps the cluster at what the repositories of all GitSources say. */
export function createGitSourceReconciler(options: GitSourceReconcilerOptions): GitSourceReconciler {
  return new Reconciler(options);
}

interface Shared {
  options: GitSourceReconcilerOptions;
  clock: Clock;
  context: SyncContext;
  slots: Slots;
  /** Deletes copies of repositories that no source uses any more. */
  tidy: () => void;
}

class Reconciler implements GitSourceReconciler {
  readonly #loops = new Map<string, SourceLoop>();
  readonly #stop = new AbortController();
  readonly #shared: Shared;
  readonly #repositories: Repositories;
  #unsubscribe: () => void = () => {};

  constructor(options: GitSourceReconcilerOptions) {
    const clock = options.clock ?? systemClock;
    const { client, overlay, informers, tenancy } = options;
    this.#repositories = new Repositories(join(options.dataDir, 'git'), options.egress);
    const context: SyncContext = {
      client,
      overlay,
      tenancy,
      assertLeading: () => {
        this.#stop.signal.throwIfAborted();
        options.assertLeading();
      },
      discovery: new Discovery(client, () => clock.now()),
      cached: informers.cached ?? (() => undefined),
      secret: informers.secret,
      now: () => clock.now(),
      wait: (ms) => new Promise((resolve) => void clock.after(ms, resolve)),
      repositories: this.#repositories,
      view: informers.view ?? { canaries: () => [], target: () => undefined, config: () => undefined },
      signal: this.#stop.signal,
    };
    this.#shared = {
      options,
      clock,
      context,
      slots: new Slots(options.maxConcurrent ?? DEFAULT_CONCURRENCY),
      tidy: () => this.#tidy(),
    };
  }

  async start(): Promise<void> {
    const { gitSources } = this.#shared.options.informers;
    await this.#repositories.clean();
    await gitSources.whenSynced();
    if (this.#stop.signal.aborted) return;
    this.#unsubscribe = gitSources.onChange((key, object, previous) => {
      if (!object) this.#forget(key.namespace, key.name);
      else if (!previous || asksForSync(object, previous)) this.#loop(object).wake();
      else if (hintOf(object) !== hintOf(previous)) this.#loop(object).expect(hintOf(object)?.split(' ')[1]);
    });
    for (const source of gitSources.list()) this.#loop(source).wake();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#unsubscribe();
    await Promise.all([...this.#loops.values()].map((loop) => loop.stop()));
    this.#loops.clear();
    await this.#repositories.close();
  }

  requestSync(namespace: string, name: string): void {
    this.#loops.get(`${namespace}/${name}`)?.wake();
  }

  #loop({ metadata: { namespace = 'default', name } }: GitSource): SourceLoop {
    const key = `${namespace}/${name}`;
    let loop = this.#loops.get(key);
    if (!loop) {
      loop = new SourceLoop(this.#shared, namespace, name);
      this.#loops.set(key, loop);
    }
    return loop;
  }

  #forget(namespace: string | undefined, name: string): void {
    const key = `${namespace ?? 'default'}/${name}`;
    const loop = this.#loops.get(key);
    this.#loops.delete(key);
    void loop?.stop().finally(() => this.#tidy());
  }

  #tidy(): void {
    const { logger } = this.#shared.options;
    const used = new Set([...this.#loops.values()].map(({ cacheKey }) => cacheKey));
    this.#repositories
      .retain(used)
      .catch((error: unknown) =>
        logger.warn({ error: messageOf(error) }, 'copies of repositories that are no longer used could not be deleted'),
      );
  }
}

/** One source: at most one sync of it is under way. */
class SourceLoop {
  readonly #memory: SyncMemory = newMemory();
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #cancelTimer: () => void = () => {};
  #stopSchedule: () => void = () => {};
  #scheduled = '';
  /** Reads in a row that failed. */
  #failures = 0;
  #handledRequest: string | undefined;
  /** A commit that was announced and not seen yet. */
  #expected: { commit: string; looks: number } | undefined;
  cacheKey = '';

  constructor(
    private readonly shared: Shared,
    private readonly namespace: string,
    private readonly name: string,
  ) {}

  /** Sync now, or once more when one is under way. */
  wake(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** A commit was announced: sync now, and soon again while the server does not show it yet. */
  expect(commit: string | undefined): void {
    this.#expected = commit === undefined ? undefined : { commit, looks: 0 };
    this.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    this.#stopSchedule();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, slots, options } = this.shared;
    this.#cancelTimer();
    let waitMs = IDLE_MS;
    const started = clock.now();
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        waitMs = await slots.run(() => this.#once());
      } catch (error) {
        if (error instanceof LeadershipLost || this.#stopped) return;
        // What was applied may not be in the status: look at all of it again.
        this.#memory.handled = undefined;
        options.logger.error({ source: this.#key, error: messageOf(error) }, 'sync failed; it is tried again');
        this.#failures += 1;
        waitMs = backedOff(1_000, this.#failures);
      }
    }
    if (this.#stopped) return;
    waitMs = Math.min(waitMs, this.#soon());
    const spent = clock.now() - started;
    this.#cancelTimer = clock.after(Math.max(0, jittered(waitMs, (options.random ?? Math.random)()) - spent), () => this.wake());
  }

  /** The wait for an announced commit, in ms: longer each time, and in the end as long as any. */
  #soon(): number {
    if (!this.#expected) return Infinity;
    const { commit, looks } = this.#expected;
    this.#expected = this.#memory.handled?.commit === commit || looks >= MAX_LOOKS ? undefined : { commit, looks: looks + 1 };
    return this.#expected ? FIRST_LOOK_MS * 2 ** looks : Infinity;
  }

  /** One sync, and its status. Gives the wait until the next one, in ms. */
  async #once(): Promise<number> {
    const source = await this.#greeted(this.#latest());
    if (!source || source.metadata.deletionTimestamp) return IDLE_MS;
    if ((source.spec as { suspend?: boolean }).suspend === true) return this.#suspend(source);
    const requested = source.metadata.annotations?.[Annotations.syncRequested]?.slice(0, 128);
    const force = requested !== undefined && requested !== (this.#handledRequest ?? source.status?.lastHandledRequest);
    let plan: SourcePlan | undefined;
    let result: SyncResult;
    try {
      plan = planOf(source);
      this.#keepSchedule(plan);
      result = await syncSource(this.shared.context, this.#memory, source, plan, force);
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof SyncError) || this.#stopped) throw error;
      this.#failures += 1;
      result = { outcome: { reason: error.reason, message: error.message }, status: {} };
    }
    if (plan) this.#useCopy(plan);
    if (requested !== undefined) this.#handledRequest = requested;
    await this.#report(source, result, requested);
    return plan ? (this.#failures > 0 ? backedOff(plan.intervalMs, this.#failures - 1) : plan.intervalMs) : IDLE_MS;
  }

  #latest(): GitSource | undefined {
    return this.shared.options.informers.gitSources.get(this.namespace, this.name);
  }

  /** A first clone may take a while: says so on a source that has no status yet. */
  async #greeted(source: GitSource | undefined): Promise<GitSource | undefined> {
    if (!source || source.status?.conditions || source.metadata.deletionTimestamp) return source;
    const { generation } = source.metadata;
    const conditions = conditionsOf(
      { reason: 'Fetching', message: 'Reading the repository for the first time' },
      undefined,
      generation,
      this.#now(),
    );
    await this.#write(source, { ...source.status, observedGeneration: generation, conditions });
    return this.#latest();
  }

  #useCopy({ url, sparse }: SourcePlan): void {
    const before = this.cacheKey;
    this.cacheKey = this.shared.context.repositories.keyOf(url, this.#memory.credentials?.value, sparse);
    if (before && before !== this.cacheKey) this.shared.tidy();
  }

  async #suspend(source: GitSource): Promise<number> {
    this.#stopSchedule();
    this.#scheduled = '';
    const { generation } = source.metadata;
    const conditions = suspendedConditions(source.status?.conditions, generation, this.#now());
    await this.#write(source, { ...source.status, observedGeneration: generation, conditions });
    return IDLE_MS;
  }

  #keepSchedule({ schedule }: SourcePlan): void {
    const wanted = schedule ? `${schedule.expression}\n${schedule.timeZone}` : '';
    if (wanted === this.#scheduled) return;
    this.#stopSchedule();
    this.#stopSchedule = () => {};
    this.#scheduled = '';
    if (schedule) this.#stopSchedule = startSchedule(schedule.expression, schedule.timeZone, () => this.wake());
    this.#scheduled = wanted;
  }

  async #report(source: GitSource, { outcome, status, synced }: SyncResult, requested: string | undefined): Promise<void> {
    const before = source.status;
    const { generation } = source.metadata;
    const now = this.#now();
    const next: GitSourceStatus = {
      ...before,
      ...status,
      observedGeneration: generation,
      conditions: conditionsOf(outcome, before?.conditions, generation, now),
    };
    if (next.failures?.length === 0) delete next.failures;
    if (requested !== undefined) next.lastHandledRequest = requested;
    const didSomething =
      synced !== undefined && (synced.changed.length > 0 || synced.deleted.length > 0 || before?.fetchedCommit !== synced.commit);
    if (didSomething) next.lastSyncTime = now;
    const wrote = await this.#write(source, next);
    if (wrote) this.#log(outcome, synced);
    if (synced && didSomething) this.shared.options.onSynced?.({ namespace: this.namespace, name: this.name, ...synced });
  }

  #log({ reason, message }: Outcome, synced: SyncResult['synced']): void {
    const { logger } = this.shared.options;
    const fields = {
      source: this.#key,
      reason,
      ...(synced ? { commit: synced.commit, changed: synced.changed, deleted: synced.deleted } : {}),
    };
    if (reason === 'Synced') logger.info(fields, message);
    else logger.warn(fields, message);
  }

  /** True when there was something to write. */
  async #write(source: GitSource, status: GitSourceStatus): Promise<boolean> {
    const patch = statusPatch(source.status, status);
    if (!patch) return false;
    const { client, informers } = this.shared.options;
    requireLeading(this.shared.context);
    try {
      const answer = await client.patch(SluiceResources.GitSource, this.namespace, this.name, { status: patch }, 'merge', {
        subresource: 'status',
      });
      informers.gitSources.observe(answer);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return true;
  }

  #now(): string {
    return new Date(this.shared.clock.now()).toISOString();
  }

  get #key(): string {
    return `${this.namespace}/${this.name}`;
  }
}

/** What a Git host announced last: `TIME COMMIT`. */
const hintOf = ({ metadata }: GitSource): string | undefined => metadata.annotations?.[Annotations.syncHint];

function asksForSync(now: GitSource, before: GitSource): boolean {
  const request = ({ metadata }: GitSource): string | undefined => metadata.annotations?.[Annotations.syncRequested];
  return (
    now.metadata.uid !== before.metadata.uid ||
    request(now) !== request(before) ||
    JSON.stringify(now.spec) !== JSON.stringify(before.spec)
  );
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
