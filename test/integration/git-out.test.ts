import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Annotations } from '../../src/api/index.js';
import { headOf } from '../../src/git/index.js';
import { Resources } from '../../src/kube/resources.js';
import { World, type RunningController } from './harness.js';
import { canary, configMap, deployment, secret, service } from './manifests.js';
import { until } from '../until.js';
import type { Repository, Shop } from './shop.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

let world: World;
let controller: RunningController;
beforeAll(async () => {
  world = await World.create();
  controller = await world.runController();
});
afterAll(() => world.stop());

const subject = (spec: Record<string, unknown>) => canary({ analysis: { metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }] }, ...spec });

/** A shop whose reviews are released from Git, adopted. */
async function fromGit(spec: Record<string, unknown>, source: Record<string, unknown> = {}): Promise<{ shop: Shop; repository: Repository }> {
  const shop = await world.shop();
  const repository = await shop.repository({ 'app.yaml': [deployment('v1'), service()], 'canary.yaml': [subject(spec)] }, source);
  await shop.phase('Initialized');
  return { shop, repository };
}
const pokes = (shop: Shop, times: number) => async (): Promise<void> => {
  for (let round = 0; round < times; round += 1) {
    shop.put({ ...shop.source(), metadata: { name: 'shop', annotations: { [Annotations.syncRequested]: `${round}` } } } as never);
    await shop.see('the sync', () => shop.source()?.status?.lastHandledRequest === `${round}`);
  }
};

it('after a rollback Git and the cluster agree: one revert, no run of its own, no second run through ten resyncs, a restart and a bot', async () => {
  const { shop, repository } = await fromGit({ onRollback: { git: 'revert' } });
  shop.health({ errorRate: 0.5 }, ['green']);
  const bad = await repository.commit({ 'app.yaml': [deployment('v2'), service()] }, 'Version 2');
  const entry = await shop.ended(1);
  const provenance = { commit: bad, author: 'Ada', subject: 'Version 2', source: `${shop.namespace}/shop`, path: 'app.yaml' };
  expect(entry).toMatchObject({ result: 'Failed', ...provenance });
  const kept = world.server.store.list(Resources.ControllerRevision, { namespace: shop.namespace }).find(({ metadata }) => metadata.annotations?.[Annotations.commit] === bad);
  expect(kept?.metadata.annotations).toEqual(Object.fromEntries(Object.entries(provenance).map(([what, value]) => [`sluice.dev/${what}`, value])));
  await shop.see('the revert', () => shop.status.writeBacks?.[0]?.state === 'Done');
  const reverted = await headOf(repository.dir);
  expect(reverted).toMatchObject({ subject: 'Revert "Version 2"', trailers: { 'Sluice-Revision': entry.revision, 'Sluice-Reverts': bad } });
  expect(shop.status.writeBacks?.[0]?.written).toBe(reverted.head);
  await shop.see('an Event about it', () => world.writes(shop.namespace).some(({ requestBody }) => /"WrittenBack".*to branch main/.test(JSON.stringify(requestBody ?? ''))));
  await repository.applied(reverted.head);
  await shop.reason('Progressing', 'Idle');
  await pokes(shop, 10)();
  await controller.stop();
  controller = await world.runController();
  for (const round of ['a', 'b']) {
    await repository.applied(await repository.commit({ 'app.yaml': [deployment('v2'), service()], 'round.yaml': [configMap({ round }, 'round')] }, 'bot: v2'));
    await shop.reason('Progressing', 'Quarantined');
  }
  await shop.see('a message about it', () => shop.told('Waiting').length > 0);
  expect(shop.told('Waiting')).toHaveLength(1);
  expect(shop.history).toHaveLength(1);
  expect((await headOf(repository.dir)).subject).toBe('bot: v2');
  expect(shop.status.writeBacks).toHaveLength(1);
});

it('Sluice-Retry: true runs a quarantined revision again, with that commit', async () => {
  const { shop, repository } = await fromGit({});
  shop.health({ errorRate: 0.5 }, ['green']);
  await repository.commit({ 'app.yaml': [deployment('v2'), service()] });
  await shop.ended(1);
  shop.health({ errorRate: 0 }, ['green']);
  const again = await repository.commit({ 'README.md': 'x\n' }, 'Try again\n\nSluice-Retry: true\n');
  expect(await shop.ended(2)).toMatchObject({ result: 'Succeeded', commit: again });
});

it('a push that its host announces is applied at once, and one that somebody else announces is not looked at', async () => {
  const { shop, repository } = await fromGit({}, { interval: '1h', webhook: { type: 'github', secretRef: { name: 'hook' } } });
  shop.put(secret({ token: 's3cret' }, 'hook'));
  const commit = await repository.commit({ 'extra.yaml': [configMap({ a: 'b' }, 'extra')] });
  const body = JSON.stringify({ ref: 'refs/heads/main', after: commit });
  const post = (token: string): Promise<Response> =>
    fetch(`${controller.url}/git-hooks/${shop.namespace}/shop`, { method: 'POST', body, headers: { 'x-github-event': 'push', 'x-hub-signature-256': `sha256=${createHmac('sha256', token).update(body).digest('hex')}` } });
  expect((await post('wrong')).status).toBe(401);
  expect(shop.get(Resources.ConfigMap, 'extra')).toBeUndefined();
  expect((await post('s3cret')).status).toBe(202);
  await repository.applied(commit);
});

/** What docs/git.md promises. */
const APPLIED_WITHIN_MS = 2_000;

it('a push is applied within 2 s of its announcement, three times in a row', async () => {
  const { shop, repository } = await fromGit({}, { interval: '1h', webhook: { type: 'generic', secretRef: { name: 'hook' } } });
  shop.put(secret({ token: 's3cret' }, 'hook'));
  const times: number[] = [];
  for (const round of ['1', '2', '3']) {
    const commit = await repository.push({ 'extra.yaml': [configMap({ round }, 'extra')] }, `Round ${round}`);
    const body = JSON.stringify({ ref: 'refs/heads/main', after: commit });
    const announced = performance.now();
    const answer = await fetch(`${controller.url}/git-hooks/${shop.namespace}/shop`, { method: 'POST', body, headers: { authorization: 'Bearer s3cret' } });
    expect(answer.status).toBe(202);
    await repository.applied(commit);
    const took = performance.now() - announced;
    expect(shop.get(Resources.ConfigMap, 'extra')?.['data']).toEqual({ round });
    times.push(took);
  }
  // One of three may meet a moment in which the machine does something else.
  const [, median] = times.toSorted((a, b) => a - b);
  expect(median, `ms from each announcement to its application: ${times.map(Math.round).join(', ')}`).toBeLessThan(APPLIED_WITHIN_MS);
});

it('a replica that does not lead takes announcements for the one that does', async () => {
  const own = await World.create();
  try {
    const leaderElection = { namespace: 'default', leaseDurationMs: 4_000 };
    await own.runController({ leaderElection });
    const shop = await own.shop();
    const hook = { interval: '1h', webhook: { type: 'generic', secretRef: { name: 'hook' } } };
    shop.put(secret({ token: 's3cret' }, 'hook'));
    const repository = await shop.repository({ 'extra.yaml': [configMap({ round: '0' }, 'extra')] }, hook);
    await shop.see('the first commit', () => shop.source()?.status?.appliedCommit !== undefined);
    const follower = await own.runController({ leaderElection, userAgent: 'sluice-second' });
    const commit = await repository.commit({ 'extra.yaml': [configMap({ round: '1' }, 'extra')] });
    const body = JSON.stringify({ ref: 'refs/heads/main', after: commit });
    const post = (): Promise<Response> => fetch(`${follower.url}/git-hooks/${shop.namespace}/shop`, { method: 'POST', body, headers: { authorization: 'Bearer s3cret' } });
    // Until its cache knows the source, it answers as to a stranger.
    await until(() => 'the follower to know the source', async () => (await post()).status === 202, 60_000);
    await repository.applied(commit);
    const writers = own.writes(shop.namespace).flatMap(({ resource, name, userAgent }) => (resource === 'configmaps' && name === 'extra' ? [userAgent] : []));
    expect(new Set(writers)).toEqual(new Set(['sluice']));
  } finally {
    await own.stop();
  }
});

it('with apply: false the commit of what another tool applied is confirmed, and its verdict goes back to Git', async () => {
  const shop = await world.shop();
  const repository = await shop.repository({ 'app.yaml': [deployment('v1'), service()] }, { apply: false });
  await shop.adopted(subject({ onRollback: { git: 'revert' } }));
  shop.health({ errorRate: 0.5 }, ['green']);
  const bad = await repository.commit({ 'app.yaml': [deployment('v2'), service()] }, 'Version 2');
  shop.release('v2');
  // It may be confirmed only after the release has failed.
  const entry = await shop.see('a release of a known commit', () => shop.history[0]?.commit !== undefined && shop.history[0]);
  expect(entry).toMatchObject({ result: 'Failed', commit: bad, author: 'Ada', subject: 'Version 2', source: `${shop.namespace}/shop`, path: 'app.yaml' });
  await shop.see('the revert', () => shop.status.writeBacks?.[0]?.state === 'Done');
  expect(await headOf(repository.dir)).toMatchObject({ subject: 'Revert "Version 2"' });
});

it('a new commit that makes the same revision starts no run, and says so', async () => {
  const { shop, repository } = await fromGit({});
  const first = await repository.commit({ 'app.yaml': [deployment('v2'), service()] }, 'Version 2');
  expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', commit: first });
  const same = deployment('v2');
  const again = await repository.commit({ 'app.yaml': [{ ...same, metadata: { ...same.metadata, labels: { team: 'reviews' } } }, service()] }, 'A label');
  await repository.applied(again);
  await shop.see('words about the commit', () => shop.condition('Progressing')?.message.includes(`commit ${again.slice(0, 7)} by Ada: "A label" makes the same, so there is nothing to release`) ?? false);
  expect(shop.history).toHaveLength(1);
  expect(shop.status.stable).toMatchObject({ commit: first });
});
