import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { Resources } from '../../src/kube/index.js';
import { REPLICAS, World } from './harness.js';
import { adoptUnderLoad, assertLeft, leaveUnderLoad, pristine, type Pristine } from './leaving.js';

const NAME = 'bookinfo';
const STEPS = [25, 60];
/** As the lessons of Istio have them. */
const routing = [
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: NAME },
    spec: { hosts: ['reviews'], http: [{ timeout: '10s', route: [{ destination: { host: 'reviews', subset: 'v1' } }] }] },
  },
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: NAME },
    spec: {
      host: 'reviews',
      trafficPolicy: { connectionPool: { tcp: { maxConnections: 1000 } } },
      subsets: [
        { name: 'v1', labels: { app: 'reviews' }, trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } } },
        { name: 'v2', labels: { version: 'v2' } },
      ],
    },
  },
]
  .map((object) => stringify(object))
  .join('---\n');

describe('slots that are subsets of one Service, with proxies that learn late', () => {
  let world: World;
  let before: Pristine;
  let rule: string;
  const ruleNow = async (): Promise<string> => JSON.stringify((await world.plane.client.get(Resources.DestinationRule, 'default', NAME))['spec']);

  beforeAll(async () => {
    world = await World.start({
      rps: 120,
      virtualService: NAME,
      withoutCanary: true,
      pushDelayMs: 1_000,
      canary: { service: { routing: 'subsets', virtualService: { name: NAME } }, progressDeadlineSeconds: 60 },
      files: { 'routing.yaml': routing },
      analysis: { interval: '5s', stepWeights: STEPS },
    });
    before = await pristine(world, [NAME]);
    rule = await ruleNow();
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(async () => {
    if (world.canary) await world.idle();
  });

  it('are adopted and promoted without losing a request, and get the shares that the routes say', async () => {
    await adoptUnderLoad(world);
    const [since, slot] = [Date.now(), world.freeSlot];
    const entry = await world.ended(await world.commit({}, 'A good version'));
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [...STEPS, 100] });
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(1);
    expect(world.sandbox.tally.totals.failed, 'failed requests').toBe(0);
    expect((await world.plane.client.list(Resources.Service, { namespace: 'default' })).items.map(({ metadata }) => metadata.name)).not.toContain(`reviews-${slot}`);
  });

  it('are told apart by what callers measured: a version that fails is taken back', async () => {
    const [since, slot, stable] = [Date.now(), world.freeSlot, world.status.stable];
    const entry = await world.ended(await world.commit({ errorRate: 0.4 }, 'Errors'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [25] });
    expect(world.weightsOf(slot, since)).toEqual([25, 0]);
    expect(world.status.stable?.revision).toBe(stable?.revision);
    // Its last requests come from the proxies that learn last.
    const [ended, lag] = [Date.now(), world.pushDelayMs + 3_000];
    await world.until('the last proxy to know', () => Date.now() - ended > lag);
  });

  it('are given back in the middle of a release without losing a request, rule and route to the letter', async () => {
    const failedBefore = world.sandbox.tally.totals.failed;
    const [since, slot] = [Date.now(), world.freeSlot];
    await world.commit({}, 'Never finished');
    await world.weight(slot, 25, since);
    await leaveUnderLoad(world);
    world.recorder.assertInvariants(REPLICAS);
    await assertLeft(world, before, [NAME]);
    expect(await ruleNow()).toBe(rule);
    expect(world.sandbox.tally.totals.failed, 'failed requests').toBe(failedBefore);
  });
});
