import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiServer } from '../../../src/sandbox/apiserver/index.js';
import { Client, configMap, deployment, DEPLOYMENTS, eventually, NS, start } from './harness.js';

let server: ApiServer;
let client: Client;
beforeAll(async () => {
  ({ server, client } = await start());
});
afterAll(() => server.stop());

const MAPS = `${NS}/configmaps`;
const gone = async (path: string): Promise<boolean> => (await client.get(path)).status === 404;

/** A ConfigMap owned by another object. */
async function owned(name: string, owner: { metadata: { name: string; uid?: string } }, extra: object = {}): Promise<void> {
  const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: owner.metadata.name, uid: owner.metadata.uid, ...extra };
  const { status } = await client.post(MAPS, { metadata: { name, ownerReferences: [reference] } });
  expect(status).toBe(201);
}

describe('delete', () => {
  it('answers a Status that names the object', async () => {
    const { body: created } = await client.post(MAPS, configMap('plain'));
    const { status, body } = await client.delete(`${MAPS}/plain`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'plain', kind: 'configmaps', uid: created.metadata.uid },
    });
    expect((await client.delete(`${MAPS}/plain`)).body.message).toBe('configmaps "plain" not found');
  });

  it('waits for finalizers', async () => {
    await client.post(MAPS, { metadata: { name: 'held', finalizers: ['demo.dev/hold'] } });
    const { body } = await client.delete(`${MAPS}/held`);
    expect(body.metadata.deletionTimestamp).toBeDefined();
    const again = await client.delete(`${MAPS}/held`);
    expect(again.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
    const added = await client.merge(`${MAPS}/held`, { metadata: { finalizers: ['demo.dev/hold', 'demo.dev/more'] } });
    expect(added.status).toBe(422);
    expect(added.body.message).toContain('no new finalizers can be added if the object is being deleted');
    await client.merge(`${MAPS}/held`, { metadata: { finalizers: [] } });
    expect(await gone(`${MAPS}/held`)).toBe(true);
  });

  it('checks preconditions', async () => {
    await client.post(MAPS, configMap('guarded'));
    expect((await client.delete(`${MAPS}/guarded`, { preconditions: { uid: 'other' } })).status).toBe(409);
    expect((await client.delete(`${MAPS}/guarded`, { preconditions: { resourceVersion: '1' } })).status).toBe(409);
    expect((await client.delete(`${MAPS}/guarded?dryRun=All`)).status).toBe(200);
    expect(await gone(`${MAPS}/guarded`)).toBe(false);
  });

  it('deletes a collection by selector', async () => {
    await client.post(MAPS, configMap('many-1', {}, { many: 'yes' }));
    await client.post(MAPS, configMap('many-2', {}, { many: 'yes' }));
    await client.post(MAPS, configMap('other', {}, { many: 'no' }));
    const { body } = await client.delete(`${MAPS}?labelSelector=many%3Dyes`);
    expect(body.items).toHaveLength(2);
    expect(await gone(`${MAPS}/many-1`)).toBe(true);
    expect(await gone(`${MAPS}/other`)).toBe(false);
  });

  it('gives a running pod its grace period, and a waiting one none', async () => {
    const pod = (name: string, nodeName?: string): object => ({
      metadata: { name },
      spec: { nodeName, containers: [{ name: 'a', image: 'b:1' }] },
    });
    await client.post(`${NS}/pods`, pod('running', 'node-1'));
    await client.post(`${NS}/pods`, pod('waiting'));
    const { body } = await client.delete(`${NS}/pods/running`);
    expect(body.metadata).toMatchObject({ deletionGracePeriodSeconds: 30, deletionTimestamp: expect.any(String) as string });
    await client.delete(`${NS}/pods/waiting`);
    expect(await gone(`${NS}/pods/waiting`)).toBe(true);
    expect(await gone(`${NS}/pods/running`)).toBe(false);
    await client.delete(`${NS}/pods/running`, { gracePeriodSeconds: 0 });
    expect(await gone(`${NS}/pods/running`)).toBe(true);
  });
});

describe('garbage collection', () => {
  it('deletes dependents in the background, to any depth', async () => {
    const { body: owner } = await client.post(MAPS, configMap('bg'));
    await owned('bg-child', owner);
    const { body: child } = await client.get(`${MAPS}/bg-child`);
    await owned('bg-grandchild', child);
    await client.delete(`${MAPS}/bg`);
    await eventually('dependents are gone', async () => (await gone(`${MAPS}/bg-child`)) && gone(`${MAPS}/bg-grandchild`));
  });

  it('deletes what names an owner that is not there, or another uid', async () => {
    const { body: owner } = await client.post(MAPS, configMap('real'));
    await owned('absent', { metadata: { name: 'nobody', uid: 'no-such-uid' } });
    await owned('impostor', { metadata: { name: 'real', uid: 'another-uid' } });
    await owned('child', owner);
    await eventually('orphans are gone', async () => (await gone(`${MAPS}/absent`)) && gone(`${MAPS}/impostor`));
    expect(await gone(`${MAPS}/child`)).toBe(false);
  });

  it('keeps what has another owner left, and drops the dead reference', async () => {
    const { body: first } = await client.post(MAPS, configMap('first'));
    const { body: second } = await client.post(MAPS, configMap('second'));
    const reference = (owner: typeof first): object => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: owner.metadata.name,
      uid: owner.metadata.uid,
    });
    await client.post(MAPS, { metadata: { name: 'shared', ownerReferences: [reference(first), reference(second)] } });
    await client.delete(`${MAPS}/first`);
    await eventually(
      'one owner is left',
      async () => (await client.get(`${MAPS}/shared`)).body.metadata.ownerReferences?.length === 1,
    );
  });

  it('waits in the foreground for dependents that block', async () => {
    const { body: owner } = await client.post(MAPS, configMap('fg'));
    await owned('fg-child', owner, { blockOwnerDeletion: true });
    await client.merge(`${MAPS}/fg-child`, { metadata: { finalizers: ['demo.dev/hold'] } });
    const { body } = await client.delete(`${MAPS}/fg`, { propagationPolicy: 'Foreground' });
    expect(body.metadata.finalizers).toEqual(['foregroundDeletion']);
    await eventually(
      'the child is being deleted',
      async () => (await client.get(`${MAPS}/fg-child`)).body.metadata.deletionTimestamp !== undefined,
    );
    expect(await gone(`${MAPS}/fg`)).toBe(false);
    await client.merge(`${MAPS}/fg-child`, { metadata: { finalizers: null } });
    await eventually('the owner is gone', () => gone(`${MAPS}/fg`));
  });

  it('orphans dependents', async () => {
    const { body: owner } = await client.post(MAPS, configMap('lost'));
    await owned('lost-child', owner);
    await client.delete(`${MAPS}/lost?propagationPolicy=Orphan`);
    await eventually('the owner is gone', () => gone(`${MAPS}/lost`));
    expect((await client.get(`${MAPS}/lost-child`)).body.metadata.ownerReferences).toBeUndefined();
  });
});

describe('namespaces', () => {
  it('start with the four of every cluster, each with a default ServiceAccount', async () => {
    const { body } = await client.get('/api/v1/namespaces');
    expect(body.items?.map((item) => item.metadata.name)).toEqual(['default', 'kube-node-lease', 'kube-public', 'kube-system']);
    expect((await client.get(`${NS}/serviceaccounts/default`)).status).toBe(200);
  });

  it('go with their content', async () => {
    const { body: created } = await client.post('/api/v1/namespaces', { metadata: { name: 'team' } });
    expect(created).toMatchObject({
      status: { phase: 'Active' },
      metadata: { labels: { 'kubernetes.io/metadata.name': 'team' } },
    });
    await client.post('/apis/apps/v1/namespaces/team/deployments', deployment('web'));
    await client.post('/api/v1/namespaces/team/configmaps', { metadata: { name: 'held', finalizers: ['demo.dev/hold'] } });
    const { body } = await client.delete('/api/v1/namespaces/team');
    expect(body).toMatchObject({ status: { phase: 'Terminating' } });
    await eventually('the Deployment is gone', () => gone('/apis/apps/v1/namespaces/team/deployments/web'));
    const refused = await client.post('/api/v1/namespaces/team/configmaps', configMap('late'));
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('unable to create new content in namespace team because it is being terminated');
    expect(await gone('/api/v1/namespaces/team')).toBe(false);
    await client.merge('/api/v1/namespaces/team/configmaps/held', { metadata: { finalizers: [] } });
    await eventually('the namespace is gone', () => gone('/api/v1/namespaces/team'));
  });

  it('leaves other namespaces alone', async () => {
    await client.post(DEPLOYMENTS, deployment('stays'));
    await client.post('/api/v1/namespaces', { metadata: { name: 'short' } });
    await client.delete('/api/v1/namespaces/short');
    await eventually('the namespace is gone', () => gone('/api/v1/namespaces/short'));
    expect(await gone(`${DEPLOYMENTS}/stays`)).toBe(false);
  });
});
