import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HistoryEntry } from '../../src/api/index.js';
import type { KubeObject } from '../../src/kube/index.js';
import { assertNoneFailed, assertOnly, latest, LATEST_MS, ofGroup, routesOf, sentIn, spans } from './callers.js';
import { World } from './harness.js';
import type { KeptRequest } from './split.js';

const DELAY_MS = 2_000;
/** Longer than an answer takes that nobody delays, on a busy machine; milliseconds. */
const QUICK_MS = 1_500;
const RATINGS = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: ratings
spec:
  hosts: [ratings]
  http:
    - timeout: 10s
      route:
        - destination: {host: ratings}
`;
const TESTER = { 'x-tester': 'yes' };
const match = [{ headers: { 'x-tester': { exact: 'yes' } } }];
const group = (name: string, host = 'reviews', headers = {}) => ({ name, rps: 15, headers, host, path: `/${host}/0` });

const faulty = (kind: 'delay' | 'abort') => (object: KubeObject) =>
  routesOf(object).some(({ fault }) => fault?.[kind] !== undefined);
const quickShare = (requests: KeptRequest[]): number =>
  requests.filter(({ latencyMs }) => latencyMs < QUICK_MS).length / Math.max(1, requests.length);

describe('a step with faults in what the new version calls', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      callers: [group('testers', 'reviews', TESTER), group('everybody else'), group('callers of ratings', 'ratings')],
      files: { 'ratings-routes.yaml': RATINGS },
      analysis: {
        interval: '5s',
        steps: [
          { match, fault: { host: 'ratings', abort: { httpStatus: 500 } } },
          { match, fault: { host: 'ratings', delay: { fixedDelay: `${DELAY_MS}ms` } } },
          { weight: 50 },
        ],
        metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 }, minSamples: 10 }],
      },
    });
    untouched = latest(world, 'default/ratings');
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  let untouched: KubeObject;
  const inForce = (kind: 'delay' | 'abort', since: number) =>
    world.until(`a ${kind} in the routes of ratings`, () =>
      spans(world, 'default/ratings', since, faulty(kind)).find(({ from }) => Date.now() > from),
    );
  /** The version that answered had stars from ratings: true, or was refused them: false; undefined for one that asks for none. */
  const gotStars = async (headers: Record<string, string>): Promise<boolean | undefined> => {
    const { body } = await world.call('/reviews/0', headers);
    const [first] = body['reviews'] as { rating?: { stars?: number; error?: string } }[];
    return first?.rating && first.rating.error === undefined;
  };

  /** Nothing of a fault is left: not in the routes, and not in what anybody gets. */
  async function assertGone({ endedAt }: HistoryEntry): Promise<void> {
    const { metadata, spec } = latest(world, 'default/ratings');
    expect(spec).toEqual(untouched['spec']);
    expect(metadata.annotations).toEqual(untouched.metadata.annotations);
    const from = Date.parse(endedAt) + 1_000;
    await world.until('two seconds after the release', () => Date.now() > from + 2_000);
    const after = await sentIn(world, [{ from, to: from + 2_000 }]);
    for (const name of ['testers', 'everybody else', 'callers of ratings']) {
      expect(ofGroup(after, name).length, `requests of ${name}`).toBeGreaterThan(10);
      expect(quickShare(ofGroup(after, name)), `share of quick answers to ${name}`).toBeGreaterThan(0.9);
    }
    expect(await Promise.all([TESTER, {}].map(gotStars))).toEqual([true, true]);
  }

  /** While ratings were slow for the new version, testers waited and nobody else did. */
  async function assertDelayed(since: number, revision: string): Promise<void> {
    const delayed = await sentIn(world, spans(world, 'default/ratings', since, faulty('delay')));
    assertOnly(delayed, 'testers', revision, 30);
    expect(
      Math.min(...ofGroup(delayed, 'testers').map(({ latencyMs }) => latencyMs)),
      'the quickest answer to testers',
    ).toBeGreaterThanOrEqual(DELAY_MS);
    for (const name of ['everybody else', 'callers of ratings'])
      expect(quickShare(ofGroup(delayed, name)), `share of quick answers to ${name}`).toBeGreaterThan(0.9);
  }

  it('only what the new version calls is disturbed, only while the step lasts', async () => {
    const since = Date.now();
    const commit = await world.commit({ version: 2 }, 'Copes with faults');
    await inForce('abort', since);
    expect(await Promise.all(Array.from({ length: 5 }, () => gotStars(TESTER)))).toEqual(Array.from({ length: 5 }, () => false));
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [50, 100] });
    const aborted = await sentIn(world, spans(world, 'default/ratings', since, faulty('abort')));
    assertOnly(aborted, 'testers', entry.revision, 30);
    expect(ofGroup(aborted, 'callers of ratings').length).toBeGreaterThan(30);
    await assertDelayed(since, entry.revision);
    await assertGone(entry);
    assertNoneFailed((await world.requests()).filter(({ time }) => Date.parse(time) >= since));
  });

  it('a controller that is killed in the step goes on and takes the fault away', async () => {
    const [since, lives] = [Date.now(), world.controller.lives];
    const commit = await world.commit({ version: 3 }, 'Killed while ratings are slow');
    // The stable version asks for ratings, too, and gets them as always.
    await inForce('abort', since);
    expect([await gotStars(TESTER), await gotStars({})]).toEqual([false, true]);
    await inForce('delay', since);
    await world.controller.kill();
    const killed = Date.now();
    await world.until('some time without a controller', () => Date.now() > killed + 2_000);
    await world.controller.start();
    const entry = await world.ended(commit);
    expect(world.controller.lives).toBe(lives + 1);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [50, 100] });
    await assertDelayed(since, entry.revision);
    await assertGone(entry);
  });

  it('a fault is taken away when its version was withdrawn while no controller ran', async () => {
    const [since, stable, before] = [Date.now(), world.status.stable?.revision ?? '', world.sandbox.repository.version];
    const commit = await world.commit({ version: 2 }, 'Withdrawn in its first step');
    await inForce('abort', since);
    await world.controller.kill();
    await world.sandbox.repository.release(before, 'Back to what serves');
    await world.controller.start();
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ weights: [] });
    expect(entry.result).not.toBe('Succeeded');
    await world.idle();
    await assertGone(entry);
    const after = await sentIn(world, [{ from: Date.parse(entry.endedAt) + 1_000, to: Date.now() - LATEST_MS }]);
    for (const name of ['testers', 'everybody else']) assertOnly(after, name, stable);
  });
});
