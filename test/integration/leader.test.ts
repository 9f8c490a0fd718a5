import { performance } from 'node:perf_hooks';
import { describe, expect, it, vi } from 'vitest';
import type { LeaseClock } from '../../src/kube/index.js';
import { Resources } from '../../src/kube/resources.js';
import { faulty, isWrite, noAnswer, type Call } from './faulty-client.js';
import { type RunningController, startWorld } from './harness.js';
import { canary } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: false });

const LEASE_MS = 4_000;
const AT_ONCE = 6;

/** Stops one process, as far as it can be seen from outside: its requests, what it hears, and its clock. */
class Freezer {
  armed = false;
  frozen = false;
  /** Its Lease cannot be renewed, and that alone. */
  leaseless = false;
  /** Answers that writes held by the freeze got in the end. */
  readonly answers: { call: Call; error?: unknown }[] = [];
  readonly #held = new Set<Call>();
  readonly #waiting: (() => void)[] = [];
  #writes = 0;
  #stoppedAt: number | undefined;
  #froze: () => void = () => {};
  readonly whenFrozen = new Promise<void>((resolve) => (this.#froze = resolve));

  /** @param when freezes right before this write is sent, the n-th since it was armed */
  constructor(private readonly when: (call: Call, n: number) => boolean) {}

  /** Real time, which stands still from the freeze until the writes that it held have their answers: so all that was decided before it is sent. */
  readonly clock: LeaseClock = {
    now: () => Date.now(),
    monotonic: () => this.#stoppedAt ?? performance.now(),
    sleep: async (ms, signal) => {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
      });
      if (!signal?.aborted) await this.#pass();
    },
  };

  before = async (call: Call): Promise<void> => {
    if (this.leaseless && call.resource.kind === 'Lease') throw noAnswer();
    if (this.armed && !this.frozen && isWrite(call) && this.when(call, (this.#writes += 1))) this.#freeze();
    if (!this.frozen) return;
    if (isWrite(call)) this.#held.add(call);
    await this.#pass();
  };

  settled = (call: Call, error?: unknown): void => {
    if (!this.#held.delete(call)) return;
    this.answers.push({ call, error });
    if (this.#held.size === 0) this.#stoppedAt = undefined;
  };

  #freeze(): void {
    this.frozen = true;
    this.#stoppedAt = performance.now();
    this.#froze();
  }

  #pass(): Promise<void> {
    return this.frozen ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }

  /** Goes on. */
  thaw(): void {
    this.frozen = false;
    for (const go of this.#waiting.splice(0)) go();
  }
}

interface Candidates {
  shop: Shop;
  freezer: Freezer;
  first: RunningController;
  second: RunningController;
}

const holder = (shop: Shop): string => (shop.get(Resources.Lease, 'sluice-controller')?.['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity ?? '';

/** Two controllers of one namespace, of which the first leads and may freeze. */
async function candidates(when: (call: Call, n: number) => boolean = () => false): Promise<Candidates> {
  const shop = await world.shop();
  const freezer = new Freezer(when);
  const leaderElection = { namespace: shop.namespace, leaseDurationMs: LEASE_MS };
  const first = await world.runController({
    namespace: shop.namespace,
    userAgent: `sluice-first-${shop.namespace}`,
    leaderElection: { ...leaderElection, clock: freezer.clock },
    // What it would hear while it stands still is not heard later either: its caches stay as old as can be.
    wrap: (client) => faulty(client, { before: freezer.before, settled: freezer.settled, hides: () => freezer.frozen }),
  });
  await shop.see('the first one leads', () => holder(shop) !== '');
  const second = await world.runController({ namespace: shop.namespace, userAgent: `sluice-second-${shop.namespace}`, leaderElection });
  return { shop, freezer, first, second };
}

/** Writes that one of the two got through, but for its Lease. */
const written = (shop: Shop, who: 'first' | 'second') =>
  world.audit.filter((entry) => entry.userAgent === `sluice-${who}-${shop.namespace}` && entry.method !== 'GET' && entry.code < 300 && !entry.resource?.startsWith('leases') && !entry.resource?.startsWith('events'));

const told = (shop: Shop): string[] => [...new Map(shop.messages.map(({ body }) => [body['id'], String(body['event'])])).values()].toSorted();

/** Freezes the leader before its n-th write of a release; returns false when it makes fewer. */
async function freezeAt(n: number): Promise<boolean> {
  const { shop, freezer, first, second } = await candidates((_, count) => count === n);
  await shop.adopted();
  await shop.see('the first message', () => shop.told('Initialized').length > 0);
  await shop.see('an empty outbox', () => (shop.status.messages ?? []).length === 0);
  const leader = holder(shop);
  shop.guard();
  freezer.armed = true;
  shop.release('v2');
  const finished = async (): Promise<void> => {
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    await shop.see('the old slot is empty', () => shop.replicas('reviews-blue') === 0);
    await shop.see('an empty outbox', () => (shop.status.messages ?? []).length === 0);
  };
  const frozen = await Promise.race([freezer.whenFrozen.then(() => true), finished().then(() => false)]);
  if (frozen) {
    await finished();
    expect(holder(shop)).not.toBe(leader);
    const before = written(shop, 'first').length;
    freezer.thaw();
    await shop.see('answers to what it had meant to write', () => freezer.answers.length > 0);
    await shop.see('the former leader knows', () => first.log.some((line) => line.includes('not leading any more')));
    for (const { call, error } of freezer.answers) expect(error, `${call.verb} ${call.resource.kind} ${call.name}`).toMatchObject({ code: 409 });
    expect(written(shop, 'first')).toHaveLength(before);
    expect(told(shop)).toEqual(['Initialized', 'Started', 'Succeeded']);
    expect(shop.weights).toEqual({ 'reviews-blue': 0, 'reviews-green': 100 });
  }
  await Promise.all([first.stop(), second.stop()]);
  return frozen;
}

describe('a leader that stands still until another one has taken over', () => {
  it('writes nothing when it goes on, whichever write it was about to send; its successor finishes the run', async () => {
    for (let n = 1; ; n += AT_ONCE) {
      const frozen = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => freezeAt(n + index)));
      if (frozen.every(Boolean)) continue;
      expect(n + frozen.indexOf(false), 'writes of a release').toBeGreaterThan(12);
      return;
    }
  });

  it('does not scale away what its successor has given traffic to (K11)', async () => {
    const { shop, freezer, first, second } = await candidates((call) => call.resource.kind === 'Deployment' && call.name === 'reviews-blue');
    // Whoever takes over starts the next release at once, before it would empty the slot itself.
    await shop.adopted(canary({ revisions: { settle: '0s' } }));
    shop.release('v2');
    await shop.ended(1);
    // The next write to the old slot is the one that takes its pods away.
    freezer.armed = true;
    await freezer.whenFrozen;
    shop.guard();
    // Its pods are still there: going back needs no write to the slot at all.
    shop.release('v1');
    await shop.see('all traffic is at the old slot', () => shop.weights['reviews-blue'] === 100);
    freezer.thaw();
    await shop.see('the answer to the late write', () => freezer.answers.length > 0);
    expect(freezer.answers.map(({ call, error }) => [call.name, (error as { code?: number } | undefined)?.code])).toEqual([['reviews-blue', 409]]);
    expect(shop.replicas('reviews-blue')).toBe(2);
    expect(await shop.ended(2)).toMatchObject({ result: 'Succeeded', reason: 'KnownGood' });
    await Promise.all([first.stop(), second.stop()]);
  });

  it('gives the Lease back when it ends, so that the other one need not wait', async () => {
    const { shop, first, second } = await candidates();
    await shop.adopted();
    await first.stop();
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect(written(shop, 'second').length).toBeGreaterThan(0);
    await second.stop();
  });

  it('cannot be told from one whose Lease cannot be renewed: it stops by itself before another one starts', async () => {
    const { shop, freezer, first, second } = await candidates();
    await shop.adopted();
    // Only the Lease: everything else works on.
    const leader = holder(shop);
    freezer.leaseless = true;
    await shop.see('another leader', () => holder(shop) !== leader);
    expect(first.log.some((line) => line.includes('not leading any more'))).toBe(true);
    const before = written(shop, 'first').length;
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect(written(shop, 'first')).toHaveLength(before);
    await Promise.all([first.stop(), second.stop()]);
  });
});
