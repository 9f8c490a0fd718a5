import { beforeEach, describe, expect, it } from 'vitest';
import {
  createLeaderElector,
  KubeError,
  NotLeadingError,
  type KubeClient,
  type KubeObject,
  type LeaderElector,
  type LeaseClock,
} from '../../src/kube/index.js';

/** Time that moves only when the test says so. */
class ManualClock implements LeaseClock {
  time = 0;
  readonly #sleepers = new Set<{ at: number; wake: () => void }>();
  now = (): number => 1_700_000_000_000 + this.time;
  monotonic = (): number => this.time;

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const sleeper = { at: this.time + ms, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', wake);
    });
  }

  /** Moves on in steps, letting everything settle at each. */
  async advance(ms: number, step = 100): Promise<void> {
    for (let done = 0; done < ms; done += step) {
      this.time += step;
      this.wakeDue();
      await settle();
    }
  }

  wakeDue(): void {
    for (const sleeper of this.#sleepers) {
      if (sleeper.at <= this.time) sleeper.wake();
    }
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
};

type Spec = { holderIdentity?: string; leaseTransitions?: number; leaseDurationSeconds?: number; renewTime?: string };

/** A Lease on a server: optimistic locking, and outages on demand. */
class LeaseServer {
  lease: (KubeObject & { spec?: Spec }) | undefined;
  version = 0;
  down = false;
  /** Writes wait for this. */
  gate: Promise<void> | undefined;
  writes = 0;

  client(): KubeClient {
    const check = (): void => {
      if (this.down) throw new KubeError(0, 'NoAnswer', 'down');
    };
    const store = async (object: KubeObject): Promise<KubeObject> => {
      await this.gate;
      check();
      const current = this.lease?.metadata.resourceVersion;
      if (object.metadata.resourceVersion !== current) throw new KubeError(409, 'Conflict', 'stale');
      this.writes += 1;
      this.lease = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.version) } };
      return this.lease;
    };
    return {
      get: async () => {
        check();
        if (!this.lease) throw new KubeError(404, 'NotFound', 'none');
        return this.lease;
      },
      create: (_resource: unknown, object: KubeObject) => store(object),
      update: (_resource: unknown, object: KubeObject) => store(object),
    } as unknown as KubeClient;
  }
}

let clock: ManualClock;
let server: LeaseServer;
beforeEach(() => {
  clock = new ManualClock();
  server = new LeaseServer();
});

interface Candidate {
  elector: LeaderElector;
  abort: AbortController;
  log: string[];
  done: Promise<void>;
}

function candidate(identity: string, work: (signal: AbortSignal) => Promise<void> | void = () => {}): Candidate {
  const elector = createLeaderElector({
    client: server.client(),
    namespace: 'sluice',
    name: 'leader',
    identity,
    clock,
    random: () => 0,
  });
  const abort = new AbortController();
  const log: string[] = [];
  const done = elector.run(abort.signal, {
    onStartedLeading: (signal) => {
      log.push('started');
      signal.addEventListener('abort', () => log.push('signal'));
      return work(signal);
    },
    onStoppedLeading: () => void log.push('stopped'),
  });
  return { elector, abort, log, done };
}

describe('leader election', () => {
  it('has one leader of two; the second takes over at once when the first gives the lease back', async () => {
    const first = candidate('one');
    await settle();
    const second = candidate('two');
    await clock.advance(60_000);
    expect([first.elector.isLeader(), second.elector.isLeader()]).toEqual([true, false]);
    expect(second.elector.holder()).toBe('one');
    expect(() => second.elector.assertLeading()).toThrow(NotLeadingError);
    first.abort.abort();
    await first.done;
    expect(first.log).toEqual(['started', 'signal', 'stopped']);
    await clock.advance(2_500);
    expect(second.elector.isLeader()).toBe(true);
    expect(second.elector.transitions()).toBe(1);
  });

  it('writes what client-go reads', async () => {
    candidate('one');
    await settle();
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'one', leaseDurationSeconds: 15, leaseTransitions: 0 });
    expect(server.lease?.spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    await clock.advance(20_000);
    expect(server.writes).toBe(11);
  });

  it('waits for the whole duration since the last change it saw, whatever the remote clock says', async () => {
    server.lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'leader', namespace: 'sluice', resourceVersion: '1' },
      spec: { holderIdentity: 'gone', leaseDurationSeconds: 15, leaseTransitions: 4, renewTime: '1999-01-01T00:00:00.000000Z' },
    };
    server.version = 1;
    const next = candidate('next');
    await clock.advance(14_900);
    expect(next.elector.isLeader()).toBe(false);
    await clock.advance(2_500);
    expect(next.elector.isLeader()).toBe(true);
    expect(next.elector.transitions()).toBe(5);
  });

  it('stops leading before anyone else can start, when the server does not answer', async () => {
    const first = candidate('one');
    await settle();
    const second = candidate('two');
    await clock.advance(3_000);
    server.down = true;
    await clock.advance(10_100);
    expect(first.elector.isLeader()).toBe(false);
    expect(first.log).toEqual(['started', 'signal', 'stopped']);
    server.down = false;
    for (let at = 0; at < 20_000; at += 100) {
      await clock.advance(100);
      expect(first.elector.isLeader() && second.elector.isLeader()).toBe(false);
    }
  });

  it('knows right after a long stop of the process that it may not write', async () => {
    const first = candidate('one');
    await settle();
    // The process was stopped: time went by and no timer ran yet.
    clock.time += 10_001;
    expect(first.elector.isLeader()).toBe(false);
    expect(() => first.elector.assertLeading()).toThrow('one does not lead any more');
  });

  it('is not brought back by a renewal that answers after the term ended', async () => {
    const first = candidate('one', (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())));
    await settle();
    let open: () => void = () => {};
    server.gate = new Promise((resolve) => (open = resolve));
    await clock.advance(10_500);
    expect(first.log).toEqual(['started', 'signal', 'stopped']);
    // Somebody else took it meanwhile; only then does the old renewal get through, and is refused.
    if (server.lease)
      server.lease = {
        ...server.lease,
        metadata: { ...server.lease.metadata, resourceVersion: 'x' },
        spec: { ...server.lease.spec, holderIdentity: 'two' },
      };
    open();
    await settle();
    expect(first.elector.isLeader()).toBe(false);
  });

  it('stops at once when it sees another holder', async () => {
    const first = candidate('one');
    await settle();
    const stolen = server.lease;
    if (stolen)
      server.lease = {
        ...stolen,
        metadata: { ...stolen.metadata, resourceVersion: 'x' },
        spec: { ...stolen.spec, holderIdentity: 'two' },
      };
    await clock.advance(2_100);
    expect(first.log).toEqual(['started', 'signal', 'stopped']);
    expect(first.elector.holder()).toBe('two');
  });

  it('gives the lease back only after the work under way has ended', async () => {
    let finish: () => void = () => {};
    const first = candidate('one', () => new Promise((resolve) => (finish = resolve)));
    await settle();
    first.abort.abort();
    await settle();
    expect(server.lease?.spec?.holderIdentity).toBe('one');
    finish();
    await first.done;
    expect(server.lease?.spec?.holderIdentity).toBe('');
  });

  it('rejects with the failure of the work, the lease given back', async () => {
    const first = candidate('one', () => Promise.reject(new Error('broken')));
    await expect(first.done).rejects.toThrow('broken');
    expect(server.lease?.spec?.holderIdentity).toBe('');
    expect(first.elector.isLeader()).toBe(false);
  });

  it('refuses durations that cannot work', () => {
    const options = { client: server.client(), namespace: 'n', name: 'l', identity: 'i' };
    expect(() => createLeaderElector({ ...options, leaseDurationMs: 5_000, renewDeadlineMs: 5_000 })).toThrow(
      'leaseDurationMs (5000) must be more than renewDeadlineMs',
    );
    expect(() => createLeaderElector({ ...options, retryPeriodMs: 9_000 })).toThrow('retryPeriodMs (9000)');
  });
});
