import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEventRecorder, type EventRecorder } from '../../src/kube/index.js';
import { configMap, reply, startScriptedServer, status, type ScriptedServer } from './server.js';

let server: ScriptedServer;
let now: number;
let recorder: EventRecorder;
beforeEach(async () => {
  server = await startScriptedServer();
  server.handle((request, response) => reply(response, request.body));
  now = Date.parse('2026-01-02T03:04:05Z');
  recorder = createEventRecorder({
    client: server.client(),
    component: 'sluice',
    instance: 'pod-1',
    perObjectPerMinute: 3,
    now: () => now,
  });
});
afterEach(() => server.close());

const object = configMap('reviews', 7);

describe('the event recorder', () => {
  it('creates an event that kubectl describe shows', async () => {
    recorder.event(object, 'Warning', 'MetricsUnavailable', 'no answer');
    await recorder.flush();
    expect(server.seen[0]).toMatchObject({
      method: 'POST',
      path: '/api/v1/namespaces/shop/events',
      body: {
        type: 'Warning',
        reason: 'MetricsUnavailable',
        message: 'no answer',
        involvedObject: { kind: 'ConfigMap', name: 'reviews', namespace: 'shop', uid: 'uid-reviews' },
        source: { component: 'sluice' },
        firstTimestamp: '2026-01-02T03:04:05Z',
        count: 1,
      },
    });
  });

  it('sums repeats into the count of one event', async () => {
    for (let times = 0; times < 5; times++) recorder.event(object, 'Normal', 'Held', 'waiting');
    await recorder.flush();
    now += 11_000;
    recorder.event(object, 'Normal', 'Held', 'waiting');
    await recorder.flush();
    expect(server.seen.map((seen) => [seen.method, (seen.body as { count: number }).count])).toEqual([
      ['POST', 1],
      ['PATCH', 5],
      ['PATCH', 6],
    ]);
    expect(server.seen[2]?.path).toMatch(/^\/api\/v1\/namespaces\/shop\/events\/reviews\./);
  });

  it('drops what one object says beyond its share of a minute', async () => {
    for (let index = 0; index < 9; index++) recorder.event(object, 'Normal', 'Step', `step ${index}`);
    recorder.event(configMap('ratings', 1), 'Normal', 'Step', 'another object');
    await recorder.flush();
    expect(server.seen).toHaveLength(4);
    now += 60_000;
    recorder.event(object, 'Normal', 'Step', 'a minute later');
    await recorder.flush();
    expect(server.seen).toHaveLength(5);
  });

  it('starts afresh when the server forgot the event', async () => {
    server.handle((request, response) =>
      request.method === 'PATCH' ? reply(response, status(404, 'NotFound'), 404) : reply(response, request.body),
    );
    recorder.event(object, 'Normal', 'Held', 'waiting');
    recorder.event(object, 'Normal', 'Held', 'waiting');
    await recorder.flush();
    recorder.event(object, 'Normal', 'Held', 'waiting');
    await recorder.flush();
    expect(server.seen.map((seen) => seen.method)).toEqual(['POST', 'PATCH', 'POST']);
  });

  it('never throws, and reports what was refused', async () => {
    server.handle((_request, response) => reply(response, status(403, 'Forbidden'), 403));
    const errors: unknown[] = [];
    const quiet = createEventRecorder({
      client: server.client(),
      component: 's',
      instance: 'i',
      onError: (error) => void errors.push(error),
    });
    quiet.event(object, 'Normal', 'Step', 'x'.repeat(5_000));
    await quiet.flush();
    expect(errors).toHaveLength(1);
    expect(server.seen[0]?.body).toMatchObject({ message: 'x'.repeat(1_024) });
  });
});
