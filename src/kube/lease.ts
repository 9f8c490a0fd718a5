import { sleep } from './backoff.js';
import { Resources } from './resources.js';
import { isNotFound, type KubeClient, type KubeObject } from './types.js';

const DEFAULT_LEASE_DURATION_MS = 15_000;
/** Of the lease's duration: 10 s and 2 s of 15 s, as client-go has them. */
const RENEW_DEADLINE_SHARE = 2 / 3;
const RETRY_PERIOD_SHARE = 2 / 15;
/** Candidates spread their attempts by up to this factor of the retry period, as client-go does. */
const JITTER_FACTOR = 1.2;

/** `LeaseSpec` of coordination.k8s.io/v1. */
interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
  [field: string]: unknown;
}

interface Lease extends KubeObject {
  spec?: LeaseSpec;
}

/** Time as the elector sees it; tests bring their own. */
export interface LeaseClock {
  /** Wall clock in ms since 1970: only written into the Lease for people, never compared. */
  now(): number;
  /** Monotonic ms. It must go on while the process is stopped. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface LeaderElectorOptions {
  client: KubeClient;
  namespace: string;
  /** Name of the Lease. */
  name: string;
  /** Unique per process: two with the same identity would both lead. */
  identity: string;
  /** How long others wait after the last renewal that they saw, in ms; default 15 s. Servers keep whole seconds. */
  leaseDurationMs?: number;
  /** How long we lead after our last successful renewal was sent, in ms. Less than the lease's duration; default two thirds of it. */
  renewDeadlineMs?: number;
  /** Between two attempts, in ms; default two fifteenths of the lease's duration. */
  retryPeriodMs?: number;
  clock?: LeaseClock;
  random?: () => number;
  onError?: (error: unknown) => void;
}

export interface LeaderCallbacks {
  /** Leads until the signal aborts. What it returns is awaited before the lease is given to others, at most until the lease ends anyway. */
  onStartedLeading(leaseSignal: AbortSignal): Promise<void> | void;
  onStoppedLeading(): void;
}

export interface LeaderElector {
  /**
   * Campaigns, leads and campaigns again until the signal aborts; then gives the Lease back, so that a successor need not wait.
   * Rejects with what `onStartedLeading` rejected with.
   */
  run(signal: AbortSignal, callbacks: LeaderCallbacks): Promise<void>;
  /** True only while nobody else can have taken the Lease: measured on the monotonic clock, so it is false at once after a long stop. */
  isLeader(): boolean;
  /** Throws NotLeadingError unless {@link isLeader}. Called right before each write. */
  assertLeading(): void;
  /** The holder that the Lease named last, ourselves included. */
  holder(): string | undefined;
  /** How often the Lease changed hands, as it says: a fencing epoch. */
  transitions(): number;
}

/** A write was about to be sent by a process that may no longer lead. */
export class NotLeadingError extends Error {
  constructor(lease: string, identity: string, holder: string | undefined) {
    super(
      `lease ${lease}: ${identity} does not lead any more (holder: ${holder || 'none'}); nothing was written, the leader goes on`,
    );
    this.name = 'NotLeadingError';
  }
}

const systemClock: LeaseClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep,
};

/**
 * Leader election on a Lease with the semantics of client-go's `leaderelection`: others' clocks are never trusted, a Lease is free
 * when it has not changed for its duration as measured here.
 * @throws Error when the durations cannot work together.
 */
export function createLeaderElector(options: LeaderElectorOptions): LeaderElector {
  return new LeaseElector(options);
}

class LeaseElector implements LeaderElector {
  readonly #durationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryMs: number;
  readonly #clock: LeaseClock;
  readonly #random: () => number;
  #observed: Lease | undefined;
  #observedAt = 0;
  /** Monotonic time until which we lead; 0 when we do not. */
  #deadline = 0;
  #term = 0;

  constructor(private readonly options: LeaderElectorOptions) {
    this.#durationMs = options.leaseDurationMs ?? DEFAULT_LEASE_DURATION_MS;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? this.#durationMs * RENEW_DEADLINE_SHARE;
    this.#retryMs = options.retryPeriodMs ?? this.#durationMs * RETRY_PERIOD_SHARE;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    const lease = `lease ${options.namespace}/${options.name}`;
    if (!options.identity) throw new Error(`${lease}: identity is empty; use the pod's name`);
    if (this.#durationMs <= this.#renewDeadlineMs) {
      throw new Error(
        `${lease}: leaseDurationMs (${this.#durationMs}) must be more than renewDeadlineMs (${this.#renewDeadlineMs})`,
      );
    }
    if (this.#renewDeadlineMs <= JITTER_FACTOR * this.#retryMs) {
      throw new Error(
        `${lease}: renewDeadlineMs (${this.#renewDeadlineMs}) must be more than 1.2 × retryPeriodMs (${this.#retryMs})`,
      );
    }
  }

  isLeader(): boolean {
    return this.#clock.monotonic() < this.#deadline;
  }

  assertLeading(): void {
    if (this.isLeader()) return;
    throw new NotLeadingError(`${this.options.namespace}/${this.options.name}`, this.options.identity, this.holder());
  }

  holder(): string | undefined {
    return this.#observed?.spec?.holderIdentity || undefined;
  }

  transitions(): number {
    return this.#observed?.spec?.leaseTransitions ?? 0;
  }

  async run(signal: AbortSignal, callbacks: LeaderCallbacks): Promise<void> {
    while (!signal.aborted) {
      if (await this.#attempt()) await this.#lead(signal, callbacks);
      else await this.#clock.sleep(this.#retryMs * (1 + this.#random() * JITTER_FACTOR), signal);
    }
  }

  async #lead(signal: AbortSignal, callbacks: LeaderCallbacks): Promise<void> {
    const term = new AbortController();
    const onAbort = (): void => term.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) term.abort();
    let failure: { error: unknown } | undefined;
    const work = (async () => callbacks.onStartedLeading(term.signal))().catch((error: unknown) => {
      failure = { error };
      term.abort();
    });
    try {
      await this.#renewUntil(term.signal);
      term.abort();
      // Writes on their way finish while the Lease is still ours; after its end nobody waits for them.
      await this.#whileLeading(work);
      await this.#release();
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#deadline = 0;
      this.#term += 1;
      callbacks.onStoppedLeading();
    }
    // A stopped term's work never overlaps with the next term's.
    await work;
    if (failure) throw failure.error;
  }

  /** Returns when the signal aborts, or when the deadline passed without a renewal. */
  async #renewUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(Math.min(this.#retryMs, Math.max(0, this.#deadline - this.#clock.monotonic())), signal);
      if (signal.aborted) return;
      if (!this.isLeader()) return;
      // An attempt that hangs must not keep us leading in our own eyes: the deadline is watched beside it.
      await this.#whileLeading(this.#attempt(), signal);
      if (!signal.aborted && this.holder() !== this.options.identity) this.#deadline = 0;
    }
  }

  /** Waits for the work, but not past the deadline. */
  async #whileLeading(work: Promise<unknown>, signal?: AbortSignal): Promise<void> {
    const done = new AbortController();
    const waiting = signal ? AbortSignal.any([signal, done.signal]) : done.signal;
    const timer = this.#clock.sleep(Math.max(0, this.#deadline - this.#clock.monotonic()), waiting);
    await Promise.race([work, timer]);
    done.abort();
  }

  /** One try to take or renew the Lease. Never rejects. */
  async #attempt(): Promise<boolean> {
    const started = this.#clock.monotonic();
    const term = this.#term;
    try {
      // A leader's record is fresh as a rule, so it renews without reading first; a refusal makes the next try read.
      if (!this.isLeader() || !this.#observed) await this.#read();
      if (!this.#mayTake()) return false;
      this.#observe(await this.#write());
    } catch (error) {
      this.options.onError?.(error);
      if (this.isLeader()) await this.#read().catch(() => undefined);
      return false;
    }
    // An answer that comes after the term ended must not bring it back.
    if (term !== this.#term) return false;
    // Others count from when they see this renewal, which cannot be before it was sent.
    this.#deadline = started + this.#renewDeadlineMs;
    return this.isLeader();
  }

  async #read(): Promise<void> {
    try {
      this.#observe(await this.options.client.get<Lease>(Resources.Lease, this.options.namespace, this.options.name));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#observed = undefined;
    }
  }

  #observe(lease: Lease): void {
    if (JSON.stringify(lease.spec) !== JSON.stringify(this.#observed?.spec)) this.#observedAt = this.#clock.monotonic();
    this.#observed = lease;
  }

  #mayTake(): boolean {
    const holder = this.holder();
    if (!holder || holder === this.options.identity) return true;
    const durationMs = (this.#observed?.spec?.leaseDurationSeconds ?? 0) * 1000;
    return this.#observedAt + durationMs <= this.#clock.monotonic();
  }

  #write(): Promise<Lease> {
    const now = microTime(this.#clock.now());
    const spec: LeaseSpec = {
      holderIdentity: this.options.identity,
      leaseDurationSeconds: Math.ceil(this.#durationMs / 1000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: 0,
    };
    const { client, namespace, name } = this.options;
    const current = this.#observed;
    if (!current) {
      const lease: Lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace, name }, spec };
      return client.create<Lease>(Resources.Lease, lease);
    }
    const ours = current.spec?.holderIdentity === this.options.identity;
    spec.leaseTransitions = (current.spec?.leaseTransitions ?? 0) + (ours ? 0 : 1);
    if (ours) spec.acquireTime = current.spec?.acquireTime ?? now;
    return client.update<Lease>(Resources.Lease, { ...current, spec: { ...current.spec, ...spec } });
  }

  /** Leaves the Lease to whoever comes first, if it is still surely ours. */
  async #release(): Promise<void> {
    const current = this.#observed;
    if (!current || !this.isLeader() || this.holder() !== this.options.identity) return;
    const now = microTime(this.#clock.now());
    this.#deadline = 0;
    const spec: LeaseSpec = { ...current.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
    try {
      this.#observe(await this.options.client.update<Lease>(Resources.Lease, { ...current, spec }));
    } catch (error) {
      this.options.onError?.(error);
    }
  }
}

/** `metav1.MicroTime` wants exactly six digits after the point. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');
