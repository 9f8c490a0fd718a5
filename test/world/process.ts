import { startEngine } from '../../src/controller/engine.js';
import { createCache, type Cache } from '../../src/engine/cache.js';
import type { HookCaller, MetricsSource, Notifier } from '../../src/engine/ports.js';
import type { After } from '../../src/engine/queue.js';
import { Receipts } from '../../src/engine/outbox.js';
import { Writer } from '../../src/engine/writer.js';
import { createLeaderElector, type EventRecorder, type LeaseClock } from '../../src/kube/index.js';
import { Wire } from './client.js';
import type { World } from './world.js';

const silent = { info: () => undefined, warn: () => undefined };

/**
 * One controller process: the engine that `sluice controller` runs, its informers and its election. All that reaches it comes
 * through {@link deliver}, so it can be killed or stopped (SIGSTOP) between any two things.
 */
export class Process {
  dead = false;
  pausedUntil = 0;
  readonly cache: Cache;
  readonly #signal = new AbortController();
  readonly #wire: Wire;
  readonly #receipts = new Receipts();
  /** What came while it was stopped. */
  readonly #held: (() => void)[] = [];

  constructor(
    readonly world: World,
    readonly id: string,
    /** How far its wall clock is off, in milliseconds. */
    public skew: number,
  ) {
    this.#wire = new Wire(world, this);
    this.cache = createCache(this.#wire, { clock: this.#clock(), random: world.latency.number });
  }

  readonly now = (): number => this.world.now + this.skew;

  /** Call `run` in this process after a while, unless it is dead by then; once it goes on if it is stopped, and in the order in which things came. */
  readonly deliver: After = (ms, run) => {
    let wanted = true;
    const take = (): void => {
      if (!wanted || this.dead) return;
      this.world.busy = true;
      run();
    };
    const cancel = this.world.timeline.after(ms, () => {
      if (this.world.now >= this.pausedUntil && this.#held.length === 0) return take();
      if (this.#held.push(take) === 1) this.#later();
    });
    return () => {
      wanted = false;
      cancel();
    };
  };

  /** What came while it was stopped is taken in one by one. */
  #later(): void {
    this.world.timeline.at(Math.max(this.world.now, this.pausedUntil), () => {
      if (this.world.now >= this.pausedUntil) this.#held.shift()?.();
      if (this.#held.length > 0) this.#later();
    });
  }

  #clock(): LeaseClock {
    return {
      now: this.now,
      monotonic: () => this.world.now,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          const finish = (): void => {
            cancel();
            signal?.removeEventListener('abort', finish);
            resolve();
          };
          const cancel = this.deliver(ms, finish);
          signal?.addEventListener('abort', finish);
        }),
    };
  }

  start(): void {
    this.world.busy = true;
    this.#run().catch((error: unknown) => this.world.fail('the controller', `${this.id} stopped: ${error instanceof Error ? error.stack : String(error)}`));
  }

  /** What `runController` does, without its HTTP server and its Git sync. */
  async #run(): Promise<void> {
    const { signal } = this.#signal;
    this.cache.start(signal);
    await this.cache.whenSynced();
    if (!this.world.election) return this.#lead(signal, () => undefined);
    const elector = createLeaderElector({
      client: this.#wire,
      namespace: 'sluice-system',
      name: 'sluice-controller',
      identity: this.id,
      leaseDurationMs: 15_000,
      renewDeadlineMs: 10_000,
      retryPeriodMs: 6_000,
      clock: this.#clock(),
      random: this.world.latency.number,
    });
    let terms = 0;
    await elector.run(signal, {
      onStartedLeading: (leaseSignal) => this.#lead(leaseSignal, () => elector.assertLeading(), `${elector.transitions()}.${this.id}.${(terms += 1)}`),
      onStoppedLeading: () => undefined,
    });
  }

  async #lead(signal: AbortSignal, assertLeading: () => void, epoch?: string): Promise<void> {
    if (signal.aborted) return;
    this.world.note(`${this.id} leads`);
    const engine = startEngine({
      client: this.#wire,
      cache: this.cache,
      writer: new Writer(this.#wire, assertLeading),
      metrics: this.#metrics,
      hooks: this.#hooks,
      notifier: this.#notifier,
      recorder: this.#recorder,
      now: this.now,
      logger: silent,
      signal: this.#signal.signal,
      metricsServer: 'http://prometheus.example',
      allowCrossNamespace: false,
      receipts: this.#receipts,
      ...(epoch ? { epoch } : {}),
      after: this.deliver,
      random: this.world.latency.number,
    });
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    engine.stop();
  }

  kill(): void {
    this.dead = true;
  }

  #answer<T>(ms: number, give: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.deliver(ms, () => {
        try {
          resolve(give());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }
  readonly #metrics: MetricsSource = {
    measure: (request) => this.#answer(this.world.latency.between(5, 60), () => this.world.measure(this, request)),
    windows: (request) => this.#answer(this.world.latency.between(5, 60), () => this.world.windows(request, this.skew)),
  };
  readonly #hooks: HookCaller = { call: (webhook) => this.#answer(this.world.latency.between(5, 200), () => this.world.hook(webhook)) };
  readonly #notifier: Notifier = {
    send: (_, notification) =>
      new Promise((resolve, reject) => {
        const { timeline, latency } = this.world;
        timeline.after(latency.between(1, 40), () => {
          // The receiver has it before its answer is here.
          const accepted = this.world.receive(this, notification);
          this.deliver(latency.between(1, 40), () => (accepted ? resolve() : reject(new Error('503 from the receiver'))));
        });
      }),
  };
  readonly #recorder: EventRecorder = { event: () => undefined, flush: () => Promise.resolve() };
}
