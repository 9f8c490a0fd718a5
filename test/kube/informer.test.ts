import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createInformer, Resources, type IndexedInformer, type InformerOptions, type KubeObject } from '../../src/kube/index.js';
import { configMap, eventually, reply, startScriptedServer, status, type ScriptedServer } from './server.js';

let server: ScriptedServer;
let abort: AbortController;
let items: KubeObject[];
let version: number;
let watches: ServerResponse[];
let changes: string[];
let errors: unknown[];

beforeEach(async () => {
  server = await startScriptedServer();
  abort = new AbortController();
  items = [configMap('a', 3, { data: { v: '1' } }, { managedFields: [{ manager: 'kubectl' }] })];
  version = 10;
  [watches, changes, errors] = [[], [], []];
  server.handle((request, response) => {
    if (!request.query.get('watch')) return reply(response, { metadata: { resourceVersion: String(version) }, items });
    response.writeHead(200).flushHeaders();
    watches.push(response);
  });
});
afterEach(async () => {
  abort.abort();
  await server.close();
});

async function started(options: InformerOptions<KubeObject> = {}): Promise<IndexedInformer<KubeObject>> {
  const informer = createInformer(server.client(), Resources.ConfigMap, {
    namespace: 'shop',
    random: () => 0,
    onError: (error) => void errors.push(error),
    ...options,
  });
  informer.onChange(({ name }, object, previous) => {
    changes.push(`${name}: ${previous?.metadata.resourceVersion ?? '-'} > ${object?.metadata.resourceVersion ?? '-'}`);
  });
  informer.start(abort.signal);
  await informer.whenSynced();
  await eventually(() => watches.length > 0, 'the first watch');
  return informer;
}

const send = (type: string, object: unknown): void => void watches.at(-1)?.write(`${JSON.stringify({ type, object })}\n`);
const lists = (): number => server.seen.filter((seen) => !seen.query.get('watch')).length;

describe('an informer', () => {
  it('lists, then follows the watch from the version of the list', async () => {
    const informer = await started();
    expect(informer.synced).toBe(true);
    expect(informer.get('shop', 'a')).toEqual(configMap('a', 3, { data: { v: '1' } }));
    expect(server.seen.at(-1)?.query.get('resourceVersion')).toBe('10');
    send('ADDED', configMap('b', 11));
    send('MODIFIED', configMap('a', 12));
    send('DELETED', configMap('b', 13));
    await eventually(() => changes.length === 4, 'all changes');
    expect(changes).toEqual(['a: - > 3', 'b: - > 11', 'a: 3 > 12', 'b: 11 > -']);
  });

  it('follows the newest version of a kind that is served, and another one when that is not served any more', async () => {
    let served = 'v1beta1';
    server.handle((request, response) => {
      if (!request.path.includes(`/${served}/`)) return reply(response, status(404, 'NotFound'), 404);
      if (!request.query.get('watch')) return reply(response, { metadata: { resourceVersion: '10' }, items: [{ apiVersion: `mesh.io/${served}`, kind: 'Route', metadata: { name: 'a', namespace: 'shop', resourceVersion: '3' } }] });
      response.writeHead(200).flushHeaders();
      watches.push(response);
    });
    const resource = { group: 'mesh.io', version: 'v1', plural: 'routes', kind: 'Route', namespaced: true };
    const sleeps: number[] = [];
    const clock = { monotonic: () => 0, sleep: (ms: number) => Promise.resolve(void sleeps.push(ms)) };
    const informer = createInformer(server.client(), resource, { namespace: 'shop', versions: ['v1', 'v1beta1', 'v1alpha3'], clock });
    informer.start(abort.signal);
    await informer.whenSynced();
    expect([informer.resource.version, informer.get('shop', 'a')?.apiVersion, sleeps]).toEqual(['v1beta1', 'mesh.io/v1beta1', []]);
    await eventually(() => watches.length === 1, 'the watch');
    served = 'v1';
    watches[0]?.end();
    await eventually(() => informer.get('shop', 'a')?.apiVersion === 'mesh.io/v1', 'the other version');
    expect(informer.resource.version).toBe('v1');
  });

  it('of a kind that need not be there takes its absence for none, without a word, and asks again a minute later', async () => {
    let served = false;
    server.handle((request, response) => {
      if (!served) return reply(response, status(404, 'NotFound'), 404);
      if (!request.query.get('watch')) return reply(response, { metadata: { resourceVersion: '10' }, items });
      response.writeHead(200).flushHeaders();
      watches.push(response);
    });
    const sleeps: { ms: number; wake: () => void }[] = [];
    const clock = { monotonic: () => 0, sleep: (ms: number) => new Promise<void>((wake) => void sleeps.push({ ms, wake })) };
    const informer = createInformer(server.client(), Resources.ConfigMap, { namespace: 'shop', optional: true, clock, onError: (error) => void errors.push(error) });
    informer.start(abort.signal);
    await informer.whenSynced();
    await eventually(() => sleeps.length === 1, 'the wait');
    expect([informer.list(), errors, sleeps[0]?.ms, lists()]).toEqual([[], [], 60_000, 1]);
    served = true;
    sleeps[0]?.wake();
    await eventually(() => informer.list().length === 1, 'the objects');
  });

  it('drops managedFields unless told to keep them, after transform saw them', async () => {
    expect((await started({ keepManagedFields: true })).get('shop', 'a')?.metadata.managedFields).toHaveLength(1);
    abort.abort();
    abort = new AbortController();
    const informer = await started({
      transform: (object) => ({ ...object, lastManager: object.metadata.managedFields?.[0]?.manager }),
    });
    expect(informer.get('shop', 'a')).toMatchObject({ lastManager: 'kubectl' });
    expect(informer.get('shop', 'a')?.metadata.managedFields).toBeUndefined();
  });

  it('resumes at the last bookmark when the server ends the watch', async () => {
    await started();
    send('BOOKMARK', { kind: 'ConfigMap', metadata: { resourceVersion: '40' } });
    watches.at(-1)?.end();
    await eventually(() => watches.length === 2, 'the second watch');
    expect(server.seen.at(-1)?.query.get('resourceVersion')).toBe('40');
    expect(lists()).toBe(1);
    expect(errors).toEqual([]);
  });

  it('lists again when its version expired, and tells what vanished meanwhile', async () => {
    const informer = await started();
    [items, version] = [[configMap('c', 21)], 30];
    send('ERROR', status(410, 'Expired'));
    await eventually(() => watches.length === 2, 'the second watch');
    expect(informer.list().map((object) => object.metadata.name)).toEqual(['c']);
    expect(changes).toEqual(['a: - > 3', 'c: - > 21', 'a: 3 > -']);
  });

  it('believes a server whose versions went back', async () => {
    const informer = await started();
    [items, version] = [[configMap('a', 1)], 2];
    send('ERROR', status(410, 'Expired'));
    await eventually(() => watches.length === 2, 'the second watch');
    expect(informer.get('shop', 'a')?.metadata.resourceVersion).toBe('1');
  });

  it('goes on for ever through outages, refusals and nonsense', async () => {
    const answers = [
      (response: ServerResponse) => reply(response, status(500, 'InternalError'), 500),
      (response: ServerResponse) => void response.destroy(),
      (response: ServerResponse) => void response.writeHead(200).end('not json'),
      (response: ServerResponse) => reply(response, status(403, 'Forbidden'), 403),
    ];
    server.handle((request, response) => {
      const answer = answers.shift();
      if (answer) return answer(response);
      if (!request.query.get('watch')) return reply(response, { metadata: { resourceVersion: '10' }, items });
      response.writeHead(200).flushHeaders();
      watches.push(response);
    });
    const informer = await started();
    expect(informer.list()).toHaveLength(1);
    // The cut connection of a read is tried again by the client itself.
    expect(errors.length).toBeGreaterThanOrEqual(3);
  });

  it('survives listeners that throw', async () => {
    const informer = await started();
    const unsubscribe = informer.onChange(() => {
      throw new Error('mine');
    });
    send('MODIFIED', configMap('a', 11));
    await eventually(() => errors.length === 1, 'the report');
    unsubscribe();
    send('MODIFIED', configMap('a', 12));
    await eventually(() => informer.get('shop', 'a')?.metadata.resourceVersion === '12', 'the next change');
    expect(errors).toHaveLength(1);
  });

  it('shows our own write at once and is not set back by older news', async () => {
    const informer = await started();
    // More digits than another number of the same leading digits: strings would compare wrongly.
    informer.observe(configMap('a', 100));
    send('MODIFIED', configMap('a', 99));
    send('MODIFIED', configMap('b', 101));
    await eventually(() => informer.get('shop', 'b') !== undefined, 'the later event');
    expect(informer.get('shop', 'a')?.metadata.resourceVersion).toBe('100');
    informer.observe(configMap('a', 98));
    expect(informer.get('shop', 'a')?.metadata.resourceVersion).toBe('100');
  });

  it('does not bring back what was deleted, nor take in what it does not select', async () => {
    const informer = await started({ labelSelector: 'app=reviews' });
    send('DELETED', configMap('a', 20));
    await eventually(() => informer.get('shop', 'a') === undefined, 'the deletion');
    informer.observe(configMap('a', 15, {}, { labels: { app: 'reviews' } }));
    informer.observe(configMap('d', 25, {}, { labels: { app: 'details' } }));
    informer.observe(configMap('e', 25, {}, { namespace: 'other', labels: { app: 'reviews' } }));
    expect(informer.list()).toEqual([]);
    informer.observe(configMap('a', 25, {}, { labels: { app: 'reviews' } }));
    expect(informer.list()).toHaveLength(1);
  });

  it('keeps a fresh write of ours through a list that is older', async () => {
    const informer = await started();
    informer.observe(configMap('new', 35));
    version = 30;
    send('ERROR', status(410, 'Expired'));
    await eventually(() => watches.length === 2, 'the second watch');
    expect(informer.get('shop', 'new')).toBeDefined();
  });

  it('finds objects by secondary indexes, kept through changes', async () => {
    const informer = (await started()).index(
      'owner',
      (object) => object.metadata.ownerReferences?.map((owner) => owner.uid) ?? [],
    );
    const owned = (v: number, uid: string) =>
      configMap('o', v, {}, { ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'x', uid }] });
    send('ADDED', owned(11, 'one'));
    await eventually(() => informer.byIndex('owner', 'one').length === 1, 'the first owner');
    send('MODIFIED', owned(12, 'two'));
    await eventually(() => informer.byIndex('owner', 'two').length === 1, 'the second owner');
    expect(informer.byIndex('owner', 'one')).toEqual([]);
    send('DELETED', owned(13, 'two'));
    await eventually(() => informer.byIndex('owner', 'two').length === 0, 'nobody');
    expect(() => informer.byIndex('unknown', 'x')).toThrow('there is no index unknown');
  });
});
