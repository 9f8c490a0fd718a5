import { describe, expect, it, vi } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import { startWorld } from './harness.js';
import { canary, canaryWith, configMap, deployment, image, secret } from './manifests.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

const ON_BLUE = { 'reviews-blue': 100, 'reviews-green': 0 };
const ON_GREEN = { 'reviews-blue': 0, 'reviews-green': 100 };

describe.concurrent('a release', () => {
  it('begins with the adoption of a running target, which never stops serving', async () => {
    const shop = await world.shop();
    await shop.running();
    shop.guard();
    shop.put(canary());
    await shop.phase('Initialized');
    expect(shop.weights).toEqual(ON_BLUE);
    expect(shop.selector()).toMatchObject({ app: 'reviews', 'sluice.dev/slot': 'blue' });
    await shop.see('the target runs no pods', () => shop.replicas('reviews') === 0);
    expect(shop.canary?.spec.replicas).toBe(2);
    expect(shop.get(Resources.Service, 'reviews-green')).toBeDefined();
  });

  it('promotes what passes its checks, with the pods that were tested', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.guard();
    shop.release('v2');
    await shop.weight(20);
    const tested = world.server.store.list(Resources.Pod, { namespace: shop.namespace, labelSelector: 'sluice.dev/slot=green' }).map(({ metadata }) => metadata.uid);
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', reason: 'Promoted', weights: [20, 60, 100] });
    expect(shop.weights).toEqual(ON_GREEN);
    expect(world.server.store.list(Resources.Pod, { namespace: shop.namespace, labelSelector: 'sluice.dev/slot=green' }).map(({ metadata }) => metadata.uid)).toEqual(tested);
    expect(shop.selector()).toMatchObject({ 'sluice.dev/slot': 'green' });
    await shop.see('one message of the start and one of the end', () => shop.told('Started').length === 1 && shop.told('Succeeded').length === 1);
    await shop.see('the old version is scaled away', () => shop.replicas('reviews-blue') === 0);
    expect(shop.condition('Promoted')).toMatchObject({ status: 'True' });
  });

  it('holds a weight until callers give the canary that share, where that is to be verified', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith({ verifyShare: true }));
    shop.guard();
    shop.health({ requests: 100 });
    shop.release('v2');
    await shop.weight(20);
    await shop.see('that half of the requests are no share of 20 %', () => shop.condition('Progressing')?.reason === 'ShareNotReached');
    expect(shop.condition('Progressing')?.message).toMatch(/^the canary got 50 % of \d+ requests, not as weight 20 % has it \(\d+(\.\d)? to \d+(\.\d)? %\)/);
    expect(shop.weights).toEqual({ 'reviews-blue': 80, 'reviews-green': 20 });
    shop.health({ requests: 25 }, ['green']);
    await shop.weight(60);
    shop.health({ requests: 150 }, ['green']);
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
  });

  it.each([
    ['errors', { errorRate: 0.1 }, /success rate 90 % < 99 % over [\d,]+ requests/],
    ['latency', { latencyMs: 900 }, /p99 latency \d+(\.\d+)? ms > 500 ms over [\d,]+ requests/],
  ])('takes back what shows %s, and keeps it in quarantine', async (_what, health, message) => {
    const shop = await world.shop();
    await shop.adopted();
    shop.guard();
    shop.health(health, ['green']);
    shop.release('bad');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', weights: [20], message: expect.stringMatching(message) });
    expect(shop.weights).toEqual(ON_BLUE);
    await shop.see('the failed version is scaled away', () => shop.replicas('reviews-green') === 0);
    await shop.see('one message', () => shop.told('Failed').length === 1);
    expect(shop.told('Failed')[0]?.body['text']).toMatch(message);
    expect(shop.condition('Promoted')).toMatchObject({ status: 'False', reason: 'Failed' });
  });

  it('takes back a version whose pods never become ready, without ever sending traffic to it', async () => {
    const shop = await world.shop();
    await shop.adopted(canary({ progressDeadlineSeconds: 2 }));
    shop.release('broken');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'PodsFailing', weights: [], message: expect.stringMatching(/0 of 2 pods became ready within 2 s/) });
    expect(shop.weightWrites().every(({ weight }) => weight === 0)).toBe(true);
  });

  it('is superseded by a newer revision, which gets a run of its own', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('v2');
    await shop.weight(20);
    shop.release('v3');
    await shop.ended(2);
    expect(shop.history.map(({ result, reason }) => [result, reason])).toEqual([['Succeeded', 'Promoted'], ['Superseded', 'NewRevision']]);
    expect(new Set(shop.images('green'))).toEqual(new Set([image('v3')]));
    expect(shop.weights).toEqual(ON_GREEN);
    await shop.see('one message for each', () => shop.told('Superseded').length === 1 && shop.told('Succeeded').length === 1);
  });

  it('is cancelled without alarm when Git goes back to what serves', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('v2');
    await shop.weight(20);
    shop.release('v1');
    expect(await shop.ended(1)).toMatchObject({ result: 'Cancelled', reason: 'BackToStable' });
    expect(shop.weights).toEqual(ON_BLUE);
    expect(shop.status.quarantined ?? []).toEqual([]);
    shop.release('v2');
    expect(await shop.ended(2)).toMatchObject({ result: 'Succeeded' });
  });

  it('goes straight back to a version that was stable before', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('v2');
    await shop.ended(1);
    shop.health({ errorRate: 1 });
    shop.release('v1');
    expect(await shop.ended(2)).toMatchObject({ result: 'Succeeded', reason: 'KnownGood', weights: [100] });
    expect(new Set(shop.images('blue'))).toEqual(new Set([image('v1')]));
  });

  it('does not start again for a quarantined revision: not for a resync, only for `retry`', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.health({ errorRate: 1 }, ['green']);
    shop.release('bad');
    const failed = await shop.ended(1);
    shop.merge(Resources.Deployment, 'reviews', { metadata: { annotations: { resync: 'one' } } });
    await shop.reason('Progressing', 'Quarantined');
    expect(shop.condition('Progressing')?.message).toMatch(new RegExp(`revision ${failed.revision} failed .*commit a change, or run: sluice retry reviews`));
    shop.health({ errorRate: 0 }, ['green']);
    expect(await shop.answered(shop.act('retry'))).toMatchObject({ result: 'Applied' });
    expect(await shop.ended(2)).toMatchObject({ result: 'Succeeded', revision: failed.revision });
  });
});

describe.concurrent('what people ask for', () => {
  it('hold and resume', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('v2');
    await shop.weight(20);
    await shop.answered(shop.act('hold', { reason: 'lunch' }));
    expect((await shop.reason('Progressing', 'HeldByUser')).message).toMatch(/held by ada: lunch; sluice resume reviews/);
    expect(shop.status.canaryWeight).toBeLessThan(100);
    await shop.answered(shop.act('resume'));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
  });

  it('abort, which is quarantined and names who asked', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('v2');
    await shop.weight(20);
    await shop.answered(shop.act('abort', { reason: 'wrong colour' }));
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'Aborted', by: 'ada', message: 'aborted by ada: wrong colour' });
    expect(shop.weights).toEqual(ON_BLUE);
    await shop.reason('Progressing', 'Quarantined');
  });

  it('promote, without the remaining steps', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith({ interval: '30s' }));
    shop.release('v2');
    await shop.weight(20);
    await shop.answered(shop.act('promote'));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', reason: 'PromotedByUser', by: 'ada', weights: [20, 100] });
  });

  it('approve, for the step that waits and the revision that is meant', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith({ stepWeights: undefined, steps: [{ weight: 30, approve: true }, { weight: 70 }] }));
    const early = shop.act('approve');
    expect(await shop.answered(early)).toMatchObject({ result: 'Refused', message: expect.stringMatching(/no release is under way/) });
    shop.release('v2');
    expect((await shop.reason('Progressing', 'WaitingForApproval')).message).toMatch(/waits for approval at weight 30 %: sluice approve reviews/);
    await shop.see('one message that asks', () => shop.told('Waiting').length === 1);
    const stale = shop.act('approve', { revision: 'a000000000' });
    expect(await shop.answered(stale)).toMatchObject({ result: 'Refused', message: expect.stringMatching(/it is for revision a000000000, but \w+ is being released/) });
    expect(shop.weights).toEqual({ 'reviews-blue': 70, 'reviews-green': 30 });
    await shop.answered(shop.act('approve', { revision: shop.status.canary?.revision }));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [30, 70, 100] });
  });

  it('abort beats a promotion that is asked for at the same time', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('v2');
    await shop.weight(20);
    shop.act('promote');
    shop.act('abort');
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'Aborted' });
  });

  it('another number of replicas, through /scale and through Git', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.guard();
    shop.merge(SluiceResources.Canary, 'reviews', { spec: { replicas: 4 } }, 'scale');
    await shop.see('four pods serve', () => shop.replicas('reviews-blue') === 4 && shop.endpoints('reviews') === 4);
    shop.merge(Resources.Deployment, 'reviews', { spec: { replicas: 3 } });
    await shop.see('three pods serve, and the target runs none', () => shop.endpoints('reviews') === 3 && shop.replicas('reviews') === 0);
    expect(shop.canary?.spec.replicas).toBe(3);
    expect(shop.history).toEqual([]);
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect(shop.endpoints('reviews-green')).toBe(3);
  });

  it('a replace of the Canary that leaves replicas out keeps their number', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.merge(SluiceResources.Canary, 'reviews', { spec: { replicas: 4 } }, 'scale');
    await shop.see('four pods serve', () => shop.endpoints('reviews') === 4);
    shop.put(canary());
    await shop.see('the number is back', () => shop.canary?.spec.replicas === 4);
    expect(shop.replicas('reviews-blue')).toBe(4);
  });
});

describe.concurrent('configuration', () => {
  const reading = (config: Record<string, unknown>) => deployment('v1', { envFrom: [config] });

  it('that changes alone is a release; going back to it goes back to its content', async () => {
    const shop = await world.shop();
    shop.put(configMap({ greeting: 'one' }));
    await shop.adopted(canary(), reading({ configMapRef: { name: 'reviews-config' } }));
    const read = (slot: string): string | undefined => {
      const template = shop.spec<{ template: { spec: { containers: { envFrom: { configMapRef: { name: string } }[] }[] } } }>(Resources.Deployment, `reviews-${slot}`)?.template;
      const name = template?.spec.containers[0]?.envFrom[0]?.configMapRef.name ?? '';
      return (shop.get(Resources.ConfigMap, name)?.['data'] as { greeting: string } | undefined)?.greeting;
    };
    expect(read('blue')).toBe('one');
    shop.put(configMap({ greeting: 'two' }));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
    expect([read('blue'), read('green')]).toEqual(['one', 'two']);
    shop.put(configMap({ greeting: 'one' }));
    expect(await shop.ended(2)).toMatchObject({ result: 'Succeeded', reason: 'KnownGood' });
    expect(read('blue')).toBe('one');
  });

  it('in a Secret is shared, and part of the revision only where that is asked for', async () => {
    const shop = await world.shop();
    shop.put(secret({ password: 'one' }));
    const target = reading({ secretRef: { name: 'reviews-secret' } });
    await shop.adopted(canary(), target);
    shop.put(secret({ password: 'two' }));
    shop.put(canary({ revisions: { configs: [{ kind: 'Secret', name: 'reviews-secret', mode: 'track' }] } }));
    // Being tracked from now on is a change by itself.
    await shop.ended(1);
    shop.put(secret({ password: 'three' }));
    expect(await shop.ended(2)).toMatchObject({ result: 'Succeeded' });
    const bodies = world.audit.filter((entry) => entry.namespace === shop.namespace && entry.resource !== 'secrets').map((entry) => JSON.stringify([entry.requestBody, entry.responseObject]));
    for (const word of ['one', 'two', 'three']) expect(bodies.some((body) => body.includes(Buffer.from(word).toString('base64')))).toBe(false);
  });

  it('that is optional may be missing, and is a release when it appears', async () => {
    const shop = await world.shop();
    await shop.adopted(canary(), reading({ configMapRef: { name: 'reviews-config', optional: true } }));
    shop.put(configMap({ greeting: 'hello' }));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });
});
