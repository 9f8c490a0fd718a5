import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { REPLICAS, World } from './harness.js';

const STEPS = [20, 50, 80];
/** Windows that are long enough to be judged in a whole release: each step. */
const JUDGED = STEPS.length;

describe('releases, with everything real', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      rps: 120,
      canary: { progressDeadlineSeconds: 15 },
      analysis: { interval: '4s', stepWeights: STEPS },
    });
  });
  afterAll(async () => {
    await world?.stop();
  });
  beforeEach(() => world.idle());

  it('adopts what runs: everything goes to one slot before the first release', async () => {
    expect(world.status.phase).toBe('Initialized');
    expect(world.recorder.changes().map(({ blue, green }) => [blue, green])).toEqual([[100, 0]]);
    await world.assertTold(world.status.stable?.revision ?? '', ['Initialized']);
    world.recorder.assertInvariants(REPLICAS);
  });

  it('promotes a good version step by step', async () => {
    const [since, slot, failedBefore] = [Date.now(), world.freeSlot, world.sandbox.tally.totals.failed];
    const commit = await world.commit({}, 'A good version');
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({
      result: 'Succeeded',
      reason: 'Promoted',
      commit,
      subject: 'A good version',
      weights: [...STEPS, 100],
    });
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    expect(world.status.stable).toMatchObject({ revision: entry.revision, slot, commit });
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(JUDGED);
    expect(world.sandbox.tally.totals.failed, 'failed requests').toBe(failedBefore);
    await world.assertTold(entry.revision, ['Started', 'Succeeded']);
    await world.until('the chat message', () => world.chat(entry.revision).length >= 2);
    expect(world.chat(entry.revision).at(-1)).toMatch(/reviews promoted: .*success rate 100 %/);
  });

  it('takes a version back that answers with errors', async () => {
    const [since, slot, stable] = [Date.now(), world.freeSlot, world.status.stable];
    const entry = await world.ended(await world.commit({ errorRate: 0.3 }, 'Errors'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [20] });
    expect(entry.message).toMatch(/^success rate [67]\d(\.\d)? % < 99 % over \d+ requests$/);
    expect(world.weightsOf(slot, since)).toEqual([20, 0]);
    expect(world.status.stable).toMatchObject({ revision: stable?.revision, slot: stable?.slot });
    expect(world.status.quarantined?.map(({ revision }) => revision)).toEqual([entry.revision]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(1);
    await world.assertTold(entry.revision, ['Started', 'Failed']);
  });

  it('takes a version back that answers slowly', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const entry = await world.ended(await world.commit({ latencyMs: 3_500 }, 'Slow'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [20] });
    expect(entry.message).toMatch(/^p99 latency [\d.]+ ms > 2500 ms over \d+ requests$/);
    expect(world.weightsOf(slot, since)).toEqual([20, 0]);
    expect(await world.assertSplit(slot, since)).toBeGreaterThanOrEqual(1);
    await world.assertTold(entry.revision, ['Started', 'Failed']);
  });

  it('gives no traffic to a version that never becomes ready, and says what its pods say', async () => {
    const [since, stable] = [Date.now(), world.status.stable];
    const entry = await world.ended(await world.commit({ startupMs: 600_000 }, 'Never ready'));
    expect(entry).toMatchObject({ result: 'Failed', reason: 'PodsFailing', weights: [] });
    expect(entry.message).toMatch(/^0 of 2 pods became ready within 15 s: .*(not ready|unready)/i);
    expect(world.recorder.changes(since), 'writes that change a weight').toEqual([]);
    expect(world.status.stable?.revision).toBe(stable?.revision);
    await world.assertTold(entry.revision, ['Started', 'Failed']);
  });

  it('releases a commit that changes only a ConfigMap, from a frozen copy of it', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const { version } = world.sandbox.repository;
    // The image of the version that serves; only the configuration differs.
    const good = await world.ended(await world.commit({}, 'Before the configuration'));
    expect(good.result).toBe('Succeeded');
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    expect(version).not.toEqual(world.sandbox.repository.version);
    const again = world.freeSlot;
    const changed = await world.sandbox.repository.release(
      { ...world.sandbox.repository.version, config: 'fancy' },
      'Only the configuration',
    );
    const during = Date.now();
    const entry = await world.ended(changed);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [...STEPS, 100] });
    expect(world.weightsOf(again, during)).toEqual([...STEPS, 100]);
    expect((await world.call()).body['config']).toBe('fancy');
    const frozen = await frozenConfigs(world);
    expect(frozen.map(({ greeting }) => greeting)).toEqual(expect.arrayContaining(['plain', 'fancy']));
    expect(frozen.every(({ immutable }) => immutable)).toBe(true);
  });

  it('goes back to the old configuration with the version that brought the new one', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.sandbox.repository.release(
      { ...world.sandbox.repository.version, config: 'broken', errorRate: 0.3 },
      'A bad configuration',
    );
    await world.weight(slot, 20, since);
    await world.until('an answer with the new configuration', async () => (await world.call()).body['config'] === 'broken');
    const entry = await world.ended(commit);
    expect(entry.result).toBe('Failed');
    await world.until('the mesh to obey', () => Date.now() > Date.parse(entry.endedAt) + 1_000);
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.call()));
    expect(answers.map(({ body }) => body['config'])).toEqual(Array.from({ length: 20 }, () => 'fancy'));
  });

  it('lost no request, wrote no impossible route, and split as the weights said in all of it', async () => {
    await world.assertTruths();
    world.assertPooledSplit();
  });
});

async function frozenConfigs(world: World): Promise<{ greeting?: string; immutable: boolean }[]> {
  const { items } = await world.plane.client.list(
    { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true },
    { namespace: 'default', labelSelector: 'sluice.dev/canary=reviews' },
  );
  return items.map((item) => ({
    greeting: (item['data'] as { greeting?: string } | undefined)?.greeting,
    immutable: item['immutable'] === true,
  }));
}
