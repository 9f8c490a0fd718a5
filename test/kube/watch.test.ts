import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeError, Resources, type WatchEvent, type KubeObject } from '../../src/kube/index.js';
import { configMap, eventually, reply, startScriptedServer, status, type ScriptedServer } from './server.js';

let server: ScriptedServer;
let abort: AbortController;
beforeEach(async () => {
  server = await startScriptedServer();
  abort = new AbortController();
});
afterEach(() => server.close());

const watch = (events: WatchEvent<KubeObject>[], watchIdleTimeoutMs?: number): Promise<void> =>
  server
    .client({ watchIdleTimeoutMs })
    .watch(
      Resources.ConfigMap,
      { namespace: 'shop', resourceVersion: '5', signal: abort.signal },
      (event) => void events.push(event),
    );

describe('a watch', () => {
  it('puts events together from any cuts of the stream, through the middle of a character', async () => {
    const bytes = Buffer.from(
      ['grün', '日本', '🚀']
        .map((text) => `${JSON.stringify({ type: 'ADDED', object: configMap('a', 6, { data: { text } }) })}\n`)
        .join(''),
    );
    server.handle(async (_request, response) => {
      response.writeHead(200);
      for (const byte of bytes) {
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    const events: WatchEvent<KubeObject>[] = [];
    await watch(events);
    expect(events.map((event) => ((event.object as KubeObject)['data'] as { text: string }).text)).toEqual([
      'grün',
      '日本',
      '🚀',
    ]);
  });

  it('asks for bookmarks and a bounded, spread life', async () => {
    server.handle((_request, response) => void response.writeHead(200).end());
    await watch([]);
    const query = server.seen[0]?.query;
    expect(Object.fromEntries(query ?? [])).toMatchObject({ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: '5' });
    expect(Number(query?.get('timeoutSeconds'))).toBeGreaterThanOrEqual(260);
    expect(Number(query?.get('timeoutSeconds'))).toBeLessThanOrEqual(320);
  });

  it('delivers an event while the stream stays open, and resolves when aborted', async () => {
    server.handle(
      (_request, response) =>
        void response.writeHead(200).write(`${JSON.stringify({ type: 'ADDED', object: configMap('a', 6) })}\n`),
    );
    const events: WatchEvent<KubeObject>[] = [];
    const done = watch(events);
    await eventually(() => events.length === 1, 'the event arrives');
    abort.abort();
    await done;
  });

  it('breaks off a peer that fell silent', async () => {
    server.handle((_request, response) => response.writeHead(200).flushHeaders());
    await expect(watch([], 30)).rejects.toMatchObject({ code: 0, reason: 'NoAnswer' });
  });

  it('rejects when the stream is cut, refused, or carries an error or nonsense', async () => {
    server.handle((_request, response) => {
      response.writeHead(200).write('{"type":');
      setImmediate(() => response.destroy());
    });
    await expect(watch([])).rejects.toMatchObject({ code: 0, reason: 'NoAnswer' });
    server.handle((_request, response) => reply(response, status(403, 'Forbidden'), 403));
    await expect(watch([])).rejects.toMatchObject({ code: 403, reason: 'Forbidden' });
    server.handle(
      (_request, response) =>
        void response.writeHead(200).end(`${JSON.stringify({ type: 'ERROR', object: status(410, 'Expired') })}\n`),
    );
    const events: WatchEvent<KubeObject>[] = [];
    await expect(watch(events)).rejects.toMatchObject({ code: 410, reason: 'Expired' });
    expect(events.map((event) => event.type)).toEqual(['ERROR']);
    server.handle((_request, response) => void response.writeHead(200).end('<html>\n'));
    await expect(watch([])).rejects.toBeInstanceOf(KubeError);
  });
});
