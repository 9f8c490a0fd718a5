import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiServer } from '../../../src/sandbox/apiserver/index.js';
import { Resources } from '../../../src/kube/resources.js';
import { Client, configMap, NS, start, Watch } from './harness.js';

let server: ApiServer;
let client: Client;
beforeAll(async () => {
  ({ server, client } = await start({ watchWindow: 50 }));
});
afterAll(() => server.stop());

const MAPS = `${NS}/configmaps`;
const steps = (watch: Watch): string[] => watch.events.map((event) => `${event.type} ${event.object.metadata?.name ?? ''}`);

describe('list', () => {
  it('selects by labels, equality and sets', async () => {
    for (const [name, labels] of [
      ['sel-a', { app: 'a', tier: 'web' }],
      ['sel-b', { app: 'b', tier: 'web' }],
      ['sel-c', { app: 'c' }],
    ] as const) {
      await client.post(MAPS, configMap(name, {}, labels));
    }
    const names = async (selector: string): Promise<string[]> =>
      ((await client.get(`${MAPS}?labelSelector=${encodeURIComponent(selector)}`)).body.items ?? []).map(
        (item) => item.metadata.name,
      );
    expect(await names('app=a')).toEqual(['sel-a']);
    expect(await names('tier==web,app!=a')).toEqual(['sel-b']);
    expect(await names('app in (a, c)')).toEqual(['sel-a', 'sel-c']);
    expect(await names('app,app notin (a)')).toEqual(['sel-b', 'sel-c']);
    expect(await names('app,!tier')).toEqual(['sel-c']);
    expect((await client.get(`${MAPS}?labelSelector=${encodeURIComponent('a=b=c/d/e(')}`)).status).toBe(400);
  });

  it('selects by fields, and names one that it does not know', async () => {
    const { body } = await client.get(`${MAPS}?fieldSelector=metadata.name=sel-a`);
    expect(body.items?.map((item) => item.metadata.name)).toEqual(['sel-a']);
    const unknown = await client.get(`${MAPS}?fieldSelector=spec.x=y`);
    expect(unknown.status).toBe(400);
    expect(unknown.body.message).toContain('"spec.x" is not a known field selector');
    const event = (name: string, reason: string, about: string): object => ({
      metadata: { name },
      reason,
      type: 'Normal',
      involvedObject: { kind: 'Pod', name: about, namespace: 'default' },
    });
    await client.post(`${NS}/events`, event('e1', 'Started', 'p1'));
    await client.post(`${NS}/events`, event('e2', 'Killed', 'p1'));
    const events = await client.get(`${NS}/events?fieldSelector=involvedObject.name=p1,reason=Killed`);
    expect(events.body.items?.map((item) => item.metadata.name)).toEqual(['e2']);
    const modern = await client.get('/apis/events.k8s.io/v1/namespaces/default/events/e2');
    expect(modern.body).toMatchObject({ apiVersion: 'events.k8s.io/v1', regarding: { name: 'p1' }, reason: 'Killed' });
  });

  it('pages with limit and continue', async () => {
    const first = await client.get(`${MAPS}?limit=2`);
    const metadata = first.body.metadata as unknown as { continue: string; remainingItemCount: number };
    expect(first.body.items).toHaveLength(2);
    expect(metadata.remainingItemCount).toBeGreaterThan(0);
    const second = await client.get(`${MAPS}?limit=500&continue=${metadata.continue}`);
    const all = await client.get(MAPS);
    const names = (items: { metadata: { name: string } }[] | undefined): string[] =>
      (items ?? []).map((item) => item.metadata.name);
    expect([...names(first.body.items), ...names(second.body.items)]).toEqual(names(all.body.items));
    expect((await client.get(`${MAPS}?limit=2&continue=rubbish`)).status).toBe(400);
  });

  it('asks to try again for a version that is not reached yet', async () => {
    const { status, body } = await client.get(`${MAPS}?resourceVersion=99999999`);
    expect(status).toBe(504);
    expect(body).toMatchObject({
      reason: 'Timeout',
      details: { retryAfterSeconds: 1, causes: [{ reason: 'ResourceVersionTooLarge' }] },
    });
  });

  it('leaves kind and apiVersion out of items of built-in kinds, as the real server does', async () => {
    const { body } = await client.get(MAPS);
    expect(body).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1' });
    expect(body.items?.[0]).not.toHaveProperty('kind');
  });
});

describe('watch', () => {
  it('sends what changes after a resourceVersion, in order', async () => {
    const list = await client.get(MAPS);
    const watch = await Watch.open(server, `${MAPS}?watch=1&resourceVersion=${list.body.metadata.resourceVersion}`);
    await client.post(MAPS, configMap('w1'));
    await client.merge(`${MAPS}/w1`, { data: { a: '1' } });
    const gone = await client.delete(`${MAPS}/w1`);
    expect(gone.status).toBe(200);
    await watch.until(3);
    expect(steps(watch)).toEqual(['ADDED w1', 'MODIFIED w1', 'DELETED w1']);
    const versions = watch.events.map((event) => Number(event.object.metadata.resourceVersion));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(new Set(versions).size).toBe(3);
    watch.close();
  });

  it('replays history for a resourceVersion in the past', async () => {
    const { body } = await client.get(MAPS);
    await client.post(MAPS, configMap('past'));
    await client.merge(`${MAPS}/past`, { data: { a: '1' } });
    const watch = await Watch.open(server, `${MAPS}?watch=true&resourceVersion=${body.metadata.resourceVersion}`);
    await watch.until(2);
    expect(steps(watch)).toEqual(['ADDED past', 'MODIFIED past']);
    watch.close();
  });

  it('starts with the present state without resourceVersion and with 0', async () => {
    for (const query of ['', '&resourceVersion=0']) {
      const watch = await Watch.open(server, `${MAPS}?watch=1&fieldSelector=metadata.name=past${query}`);
      await watch.until(1);
      expect(steps(watch)).toEqual(['ADDED past']);
      watch.close();
    }
  });

  it('sends an object that stops matching as DELETED, and one that starts as ADDED', async () => {
    await client.post(MAPS, configMap('turn', {}, { on: 'yes' }));
    const watch = await Watch.open(server, `${MAPS}?watch=1&labelSelector=on=yes`);
    await watch.until(1);
    await client.merge(`${MAPS}/turn`, { metadata: { labels: { on: 'no' } } });
    await client.merge(`${MAPS}/turn`, { data: { a: '1' } });
    await client.merge(`${MAPS}/turn`, { metadata: { labels: { on: 'yes' } } });
    await watch.until(3);
    expect(steps(watch)).toEqual(['ADDED turn', 'DELETED turn', 'ADDED turn']);
    watch.close();
  });

  it('ends the initial events with an annotated bookmark', async () => {
    const query =
      'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name=past';
    const watch = await Watch.open(server, `${MAPS}?${query}`);
    const [, bookmark] = await watch.until(2);
    expect(bookmark).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'ConfigMap', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
    expect(bookmark?.object.metadata.resourceVersion).toBe(server.store.resourceVersion);
    watch.close();
    const refused = await client.get(`${MAPS}?watch=1&sendInitialEvents=true`);
    expect(refused.status).toBe(422);
  });

  it('answers 410 Expired when the history is forgotten', async () => {
    const { body } = await client.get(MAPS);
    for (let index = 0; index < 60; index++) await client.merge(`${MAPS}/past`, { data: { a: String(index) } });
    const watch = await Watch.open(server, `${MAPS}?watch=1&resourceVersion=${body.metadata.resourceVersion}`);
    const [event] = await watch.until(1);
    expect(event).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
    expect(String(event?.object['message'])).toMatch(/^too old resource version: \d+ \(\d+\)$/);
  });

  it('ends after timeoutSeconds', async () => {
    const watch = await Watch.open(server, `${MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${server.store.resourceVersion}`);
    await expect.poll(() => watch.ended, { timeout: 5000 }).toBe(true);
  });

  it('watches across namespaces and keeps others out of one', async () => {
    const since = server.store.resourceVersion;
    const all = await Watch.open(server, `/api/v1/configmaps?watch=1&resourceVersion=${since}`);
    const one = await Watch.open(server, `${MAPS}?watch=1&resourceVersion=${since}`);
    await client.post('/api/v1/namespaces/kube-public/configmaps', configMap('elsewhere'));
    await client.post(MAPS, configMap('here'));
    await all.until(2);
    await one.until(1);
    expect(steps(all)).toEqual(['ADDED elsewhere', 'ADDED here']);
    expect(steps(one)).toEqual(['ADDED here']);
    all.close();
    one.close();
  });

  it('sends tables, with columns in the first event only', async () => {
    const watch = await Watch.open(
      server,
      `${MAPS}?watch=1&resourceVersion=${server.store.resourceVersion}`,
      'application/json;as=Table;v=v1;g=meta.k8s.io',
    );
    await client.post(MAPS, configMap('t1'));
    await client.post(MAPS, configMap('t2'));
    const [first, second] = await watch.until(2);
    expect(first?.object['columnDefinitions']).toHaveLength(3);
    expect(second?.object['columnDefinitions']).toBeNull();
    expect(second?.object['rows']).toMatchObject([{ cells: ['t2', 0, expect.any(String)] }]);
    watch.close();
  });
});

describe('the store in this process', () => {
  it('sees what HTTP wrote, and tells its own watchers', async () => {
    const seen: string[] = [];
    const stop = server.store.watch(
      Resources.ConfigMap,
      (event) => seen.push(`${event.type} ${'metadata' in event.object ? event.object.metadata.name : ''}`),
      {
        namespace: 'default',
        labelSelector: 'local=yes',
      },
    );
    await client.post(MAPS, configMap('local', {}, { local: 'yes' }));
    expect(server.store.get(Resources.ConfigMap, 'default', 'local')?.metadata.name).toBe('local');
    server.store.patch(Resources.ConfigMap, 'default', 'local', { data: { a: '1' } }, 'merge', { fieldManager: 'inside' });
    server.store.delete(Resources.ConfigMap, 'default', 'local');
    stop();
    expect(seen).toEqual(['ADDED local', 'MODIFIED local', 'DELETED local']);
    expect(server.store.list(Resources.ConfigMap, { labelSelector: 'local=yes' })).toEqual([]);
  });
});
