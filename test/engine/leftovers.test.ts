import { describe, expect, it } from 'vitest';
import type { Canary } from '../../src/api/index.js';
import { createCache } from '../../src/engine/cache.js';
import { bereft, removeLeftovers } from '../../src/engine/leftovers.js';
import { Writer } from '../../src/engine/writer.js';
import type { IndexedInformer, KubeClient, KubeObject } from '../../src/kube/index.js';

const object = (kind: string, name: string, more: { labels?: Record<string, string>; annotations?: Record<string, string> } = { labels: { 'sluice.dev/canary': 'reviews' } }): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: '7', ...more },
});
const revision = object('ControllerRevision', 'reviews-a1');
const slot = object('Deployment', 'reviews-blue');
const service = object('Service', 'reviews-blue');
const route = object('VirtualService', 'reviews');
const pod = object('Pod', 'reviews-blue-1', { labels: { 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': 'blue' } });
const overlay = { annotations: { 'sluice.dev/overlay': JSON.stringify({ canary: 'reviews', user: { '/spec/replicas': 2 }, ours: { '/spec/replicas': 0 } }) } };

/** A cluster that holds these objects; the server may know of a Canary that the cache does not. */
function cluster(objects: KubeObject[], onServer?: KubeObject) {
  const deleted: string[] = [];
  const client = {
    list: () => Promise.resolve({ items: onServer ? [onServer] : [], resourceVersion: '9' }),
    patch: (resource: { kind: string }, _namespace: string, name: string, body: unknown) => {
      deleted.push(`${resource.kind} ${name} ${JSON.stringify(body)}`);
      return Promise.resolve(object(resource.kind, name, {}));
    },
    delete: (resource: { kind: string }, _namespace: string, name: string, { uid, resourceVersion }: { uid?: string; resourceVersion?: string }) => {
      if (uid === undefined || resourceVersion === undefined) throw new Error('a delete names what it saw');
      deleted.push(`${resource.kind} ${name}`);
      return Promise.resolve();
    },
  } as unknown as KubeClient;
  const cache = createCache(client);
  const informers: Record<string, IndexedInformer<KubeObject>> = { ControllerRevision: cache.revisions, Deployment: cache.deployments, Service: cache.services, VirtualService: cache.virtualServices, Pod: cache.pods };
  for (const item of objects) informers[item.kind]?.observe(item);
  const remove = async (): Promise<string[]> => {
    await removeLeftovers(cache, new Writer(client, () => undefined), 'shop/reviews');
    return deleted;
  };
  return { cache, remove };
}

describe('what a former leader made for a Canary that is gone', () => {
  it('is removed, what leads callers first', async () => {
    const { cache, remove } = cluster([revision, service, slot, route]);
    expect([...bereft(cache)]).toEqual(['shop/reviews']);
    expect(await remove()).toEqual(['VirtualService reviews', 'Deployment reviews-blue', 'Service reviews-blue', 'ControllerRevision reviews-a1']);
  });

  it('is taken from the pods of the target, too', async () => {
    const mark = object('Pod', 'reviews-5', { labels: { 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': 'target' } });
    expect(await cluster([mark]).remove()).toEqual(['Pod reviews-5 {"metadata":{"labels":{"sluice.dev/canary":null,"sluice.dev/slot":null},"uid":"uid-reviews-5"}}']);
  });

  it('stays while routes of ours lead to pods that may answer', async () => {
    expect(await cluster([revision, service, slot, route, pod]).remove()).toEqual([]);
  });

  it.each([object('Deployment', 'reviews', overlay), object('Service', 'reviews', overlay)])('stays while the user’s $kind carries the overlay: nothing was given back', async (mine) => {
    expect(await cluster([revision, slot, mine]).remove()).toEqual([]);
  });

  it('stays when the server knows the Canary', async () => {
    const canary = { ...object('Canary', 'reviews', {}), spec: {} } as unknown as Canary;
    expect(await cluster([revision, slot], canary).remove()).toEqual([]);
  });

  it('is looked for among what is ours only', async () => {
    const { cache, remove } = cluster([object('Deployment', 'reviews', {}), object('Service', 'reviews', {})]);
    expect([...bereft(cache)]).toEqual([]);
    expect(await remove()).toEqual([]);
  });
});
