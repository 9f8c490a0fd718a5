import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isConflict, isNotFound, KubeError, Resources, type RequestRecord } from '../../src/kube/index.js';
import { configMap, eventually, reply, startScriptedServer, status, type ScriptedServer } from './server.js';

let server: ScriptedServer;
beforeEach(async () => void (server = await startScriptedServer()));
afterEach(() => server.close());

const failure = async (promise: Promise<unknown>): Promise<KubeError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KubeError);
  return error as KubeError;
};

describe('the client', () => {
  it('keeps fields that nobody knows, both ways', async () => {
    server.handle((request, response) => reply(response, { ...(request.body as object), future: { fromServer: [1] } }));
    const sent = configMap('a', 1, { surprise: { deep: null } });
    const got = await server.client().update(Resources.ConfigMap, sent);
    expect(server.seen[0]?.body).toEqual(sent);
    expect(got).toEqual({ ...sent, future: { fromServer: [1] } });
  });

  it('addresses core, grouped, cluster-scoped objects and subresources', async () => {
    server.handle((_request, response) => reply(response, configMap('x', 1)));
    const client = server.client();
    await client.get(Resources.Pod, 'shop', 'p');
    await client.get(Resources.Namespace, 'ignored', 'shop');
    await client.patch(Resources.Deployment, 'shop', 'reviews', { spec: { replicas: 2 } }, 'merge', { subresource: 'scale' });
    expect(server.seen.map((seen) => seen.path)).toEqual([
      '/api/v1/namespaces/shop/pods/p',
      '/api/v1/namespaces/shop',
      '/apis/apps/v1/namespaces/shop/deployments/reviews/scale',
    ]);
  });

  it.each([
    ['merge', 'application/merge-patch+json', null],
    ['json', 'application/json-patch+json', null],
    ['strategic', 'application/strategic-merge-patch+json', null],
    ['apply', 'application/apply-patch+yaml', 'true'],
  ] as const)('sends a %s patch as %s', async (type, contentType, force) => {
    server.handle((_request, response) => reply(response, configMap('x', 1)));
    await server
      .client()
      .patch(Resources.ConfigMap, 'shop', 'x', [], type, { force: true, dryRun: true, fieldValidation: 'Strict' });
    const [seen] = server.seen;
    expect(seen?.headers['content-type']).toBe(contentType);
    expect(seen?.query.get('force')).toBe(force);
    expect(Object.fromEntries(seen?.query ?? [])).toMatchObject({
      fieldManager: 'sluice',
      dryRun: 'All',
      fieldValidation: 'Strict',
    });
  });

  it('lists page by page, gives items their type and forgets managedFields', async () => {
    server.handle((request, response) => {
      const next = request.query.get('continue');
      const {
        apiVersion: _,
        kind: __,
        ...item
      } = configMap(next ? 'b' : 'a', 5, {}, { managedFields: [{ manager: 'kubectl' }] });
      reply(response, { metadata: { resourceVersion: next ? '9' : '7', continue: next ? '' : 'token' }, items: [item] });
    });
    const listed = await server
      .client()
      .list(Resources.ConfigMap, { namespace: 'shop', labelSelector: 'a=b', dropManagedFields: true });
    expect(listed).toEqual({ resourceVersion: '7', items: [configMap('a', 5), configMap('b', 5)] });
    expect(server.seen.map((seen) => [seen.query.get('limit'), seen.query.get('labelSelector')])).toEqual([
      ['500', 'a=b'],
      ['500', 'a=b'],
    ]);
  });

  it('lists in one piece when the pages expired under way', async () => {
    server.handle((request, response) => {
      if (request.query.get('continue')) reply(response, status(410, 'Expired'), 410);
      else
        reply(response, {
          metadata: { resourceVersion: '7', continue: request.query.get('limit') ? 'x' : '' },
          items: [configMap('a', 5)],
        });
    });
    expect((await server.client().list(Resources.ConfigMap)).items).toHaveLength(1);
    expect(server.seen.map((seen) => seen.query.get('limit'))).toEqual(['500', '500', null]);
  });

  it('turns refusals into errors that name the request', async () => {
    server.handle((_request, response) => reply(response, status(409, 'Conflict', 'the object has been modified'), 409));
    const error = await failure(server.client().update(Resources.Deployment, configMap('reviews', 1)));
    expect(isConflict(error)).toBe(true);
    expect(error.message).toBe('update deployments.apps shop/reviews: the object has been modified');
    server.handle((_request, response) => void response.writeHead(404).end('no such page'));
    expect(isNotFound(await failure(server.client().raw('/nothing')))).toBe(true);
  });

  it.each([429, 503])('reads Retry-After of a %i', async (code) => {
    server.handle((_request, response) => reply(response, status(code, 'Busy'), code, { 'retry-after': '7' }));
    expect(await failure(server.client().get(Resources.Pod, 'shop', 'p'))).toMatchObject({ code, retryAfterSeconds: 7 });
  });

  it('reports no answer as code 0: silence, a cut connection, nobody there', async () => {
    server.handle(() => {});
    const client = server.client({ requestTimeoutMs: 50 });
    expect(await failure(client.create(Resources.ConfigMap, configMap('a', 1)))).toMatchObject({ code: 0, reason: 'NoAnswer' });
    server.handle((_request, response) => void response.writeHead(200, { 'content-length': '100' }).write('{"half":'));
    expect(await failure(client.get(Resources.Pod, 'shop', 'p'))).toMatchObject({ code: 0, reason: 'NoAnswer' });
    server.handle((_request, response) => void response.destroy());
    expect(await failure(client.create(Resources.ConfigMap, configMap('a', 1)))).toMatchObject({ code: 0, reason: 'NoAnswer' });
    const writes = server.seen.filter((seen) => seen.method === 'POST');
    expect(writes, 'a write is never sent twice').toHaveLength(2);
    await server.close();
    const gone = await failure(client.get(Resources.Pod, 'shop', 'p'));
    expect(gone).toMatchObject({ code: 0, reason: 'NoAnswer' });
    server = await startScriptedServer();
  });

  it('reads again when an idle connection was closed under it', async () => {
    let first = true;
    server.handle((_request, response) => {
      if (first) response.destroy();
      else reply(response, configMap('a', 1));
      first = false;
    });
    expect((await server.client().get(Resources.ConfigMap, 'shop', 'a')).metadata.name).toBe('a');
  });

  it('does not let a missing namespace or name widen a request', async () => {
    const client = server.client();
    expect(await failure(client.delete(Resources.Pod, undefined, 'p'))).toMatchObject({ code: 400 });
    expect(await failure(client.delete(Resources.Pod, 'shop', ''))).toMatchObject({ code: 400 });
    expect(server.seen).toHaveLength(0);
  });

  it('deletes with preconditions and propagation', async () => {
    server.handle((_request, response) => reply(response, status(200, '')));
    await server.client().delete(Resources.Pod, 'shop', 'p', { uid: 'u', propagationPolicy: 'Foreground' });
    expect(server.seen[0]?.body).toMatchObject({ propagationPolicy: 'Foreground', preconditions: { uid: 'u' } });
  });

  it('bounds the requests under way and counts each for the metrics', async () => {
    let open = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    server.handle((_request, response) => {
      most = Math.max(most, ++open);
      waiting.push(() => {
        open -= 1;
        reply(response, configMap('a', 1));
      });
    });
    const records: RequestRecord[] = [];
    const client = server.client({ maxConcurrent: 3, onRequest: (record) => void records.push(record) });
    const all = Promise.all(Array.from({ length: 9 }, () => client.get(Resources.ConfigMap, 'shop', 'a')));
    for (let done = 0; done < 9; done++) {
      await eventually(() => waiting.length >= Math.min(3, 9 - done), 'as many requests as may be under way');
      waiting.shift()?.();
    }
    await all;
    expect(most).toBe(3);
    expect(records).toHaveLength(9);
    expect(records[0]).toMatchObject({ verb: 'get', resource: 'configmaps', code: 200 });
  });

  it('ignores proxies of the environment', async () => {
    const before = process.env['HTTP_PROXY'];
    process.env['HTTP_PROXY'] = process.env['http_proxy'] = 'http://127.0.0.1:1';
    try {
      server.handle((_request, response) => reply(response, configMap('a', 1)));
      await server.client().get(Resources.ConfigMap, 'shop', 'a');
    } finally {
      delete process.env['http_proxy'];
      if (before === undefined) delete process.env['HTTP_PROXY'];
      else process.env['HTTP_PROXY'] = before;
    }
    expect(server.seen).toHaveLength(1);
  });
});
