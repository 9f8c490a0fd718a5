import { expect, it } from 'vitest';
import type { RequestRecord } from '../../../../src/sandbox/mesh/types.js';
import { call, destinationRule, emptyInput, service, until, virtualService } from '../world.js';
import { BLUE, closedPort, GREEN, type Harness } from './harness.js';

/** What happens when something fails, is slow, or goes away. */
export const resilienceTests = (h: Harness): void => {
  const { program, get, record, tries } = h;

  it('hides a refused connection behind a retry on another endpoint', async () => {
    const dead = await closedPort();
    await program([{ route: [BLUE] }], {
      blue: [
        { name: 'blue-0', real: dead, workload: 'reviews-blue' },
        { name: 'blue-1', real: h.blue.port, workload: 'reviews-blue' },
      ],
    });
    for (let sent = 0; sent < 10; sent += 1) expect((await get()).status).toBe(200);
  });

  it('reports UF and URX when every try was refused', async () => {
    const dead = await closedPort();
    await program([{ route: [BLUE] }], { blue: [{ name: 'blue-0', real: dead }] });
    const reply = await get();
    expect(reply.status).toBe(503);
    expect(reply.body).toMatch(
      /^upstream connect error or disconnect\/reset before headers\. retried and the latest reset reason: remote connection failure/,
    );
    expect(await record()).toMatchObject({ responseCode: 503, responseFlags: 'URX,UF' });
    expect(await tries()).toEqual([
      [0, 'UF', false],
      [0, 'UF', false],
      [0, 'UF', false],
    ]);
  });

  it('does not retry when attempts is 0', async () => {
    const dead = await closedPort();
    await program([{ route: [BLUE], retries: { attempts: 0 } }], { blue: [{ name: 'blue-0', real: dead }] });
    expect((await get()).body).toMatch(/before headers\. reset reason/);
    expect(await record()).toMatchObject({ responseFlags: 'UF' });
  });

  it('retries the statuses it is told to, and no others', async () => {
    await program([{ route: [BLUE], retries: { attempts: 3, retryOn: '5xx' } }], {
      blue: [{ name: 'flaky', real: h.flaky.port }],
    });
    h.flakyAnswers.push(500, 502);
    expect((await get()).status).toBe(200);
    expect(h.flaky.seen).toHaveLength(3);
    await program([{ route: [BLUE], retries: { attempts: 3, retryOn: '502' } }], {
      blue: [{ name: 'flaky', real: h.flaky.port }],
    });
    h.flakyAnswers.push(502, 500);
    expect((await get()).status).toBe(500);
    expect((await record(0)).responseFlags).toBe('-');
  });

  it('counts every try at the destination and one request at the source', async () => {
    await program([{ route: [BLUE], retries: { attempts: 1, retryOn: '5xx' } }], {
      blue: [{ name: 'flaky', real: h.flaky.port }],
    });
    h.flakyAnswers.push(500, 503);
    expect((await get()).status).toBe(503);
    expect(await record()).toMatchObject({ responseCode: 503, responseFlags: 'URX' });
    expect(await tries()).toEqual([
      [500, '-', true],
      [503, '-', true],
    ]);
  });

  it('replays the body on a retry', async () => {
    await program([{ route: [BLUE], retries: { attempts: 1, retryOn: '5xx' } }], {
      blue: [{ name: 'flaky', real: h.flaky.port }],
    });
    h.flakyAnswers.push(500);
    expect((await get('/', { method: 'POST', body: 'hello' })).status).toBe(200);
    expect(h.flaky.seen.map(({ body }) => body)).toEqual(['hello', 'hello']);
  });

  it('gives up after the timeout with 504 and UT', async () => {
    await program([{ route: [BLUE], timeout: '0.1s' }]);
    expect(await get('/slow')).toMatchObject({ status: 504, body: 'upstream request timeout' });
    expect(await record()).toMatchObject({ responseCode: 504, responseFlags: 'UT' });
    expect(await tries()).toEqual([[0, 'DC', true]]);
  });

  it('answers 503 with UC when the application drops the connection', async () => {
    h.flakyAnswers.push(-1);
    await program([{ route: [BLUE] }], { blue: [{ name: 'flaky', real: h.flaky.port }] });
    expect((await get()).body).toBe(
      'upstream connect error or disconnect/reset before headers. reset reason: connection termination',
    );
    expect(await record()).toMatchObject({ responseCode: 503, responseFlags: 'UC' });
    expect(await tries()).toEqual([[0, 'UC', true]]);
  });

  it('forgets a caller that leaves', async () => {
    await program([{ route: [BLUE] }]);
    await expect(get('/slow', { giveUpMs: 100 })).rejects.toThrow('gave up');
    expect(await record()).toMatchObject({ responseCode: 0, responseFlags: 'DC' });
    expect(await tries()).toEqual([[0, 'DC', true]]);
  });

  it('gives up on a try after perTryTimeout', async () => {
    await program([{ route: [BLUE], retries: { attempts: 1, perTryTimeout: '80ms', retryOn: 'gateway-error' } }]);
    expect((await get('/slow')).status).toBe(504);
    expect(h.blue.seen).toHaveLength(2);
    expect(await record()).toMatchObject({ responseFlags: 'URX,UT' });
    expect(await tries()).toEqual([
      [0, 'UT', true],
      [0, 'UT', true],
    ]);
  });

  it('injects aborts and delays by percentage', async () => {
    await program([
      {
        match: [{ uri: { prefix: '/abort' } }],
        route: [BLUE],
        fault: { abort: { percentage: { value: 100 }, httpStatus: 418 } },
      },
      {
        match: [{ uri: { prefix: '/delay' } }],
        route: [BLUE],
        fault: { delay: { percentage: { value: 100 }, fixedDelay: '150ms' } },
      },
      {
        match: [{ uri: { prefix: '/half' } }],
        route: [BLUE],
        fault: { abort: { percentage: { value: 50 }, httpStatus: 500 } },
      },
      { route: [BLUE] },
    ]);
    expect(await get('/abort')).toMatchObject({ status: 418, body: 'fault filter abort' });
    expect(await record()).toMatchObject({ responseCode: 418, responseFlags: 'FI' });
    const began = performance.now();
    expect((await get('/delay')).status).toBe(200);
    expect(performance.now() - began).toBeGreaterThan(140);
    expect(await record(1)).toMatchObject({ responseFlags: 'DI' });
    const replies = await Promise.all(Array.from({ length: 200 }, () => get('/half')));
    const share = replies.filter(({ status }) => status === 500).length / 200;
    expect(Math.abs(share - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / 200));
  });

  it('sends copies aside that the caller does not see', async () => {
    await program([{ route: [BLUE], mirror: { host: 'reviews-green' }, mirrorPercentage: { value: 100 } }]);
    expect((await get('/m?x=1', { method: 'POST', body: 'copied' })).body).toBe('v1');
    const findCopy = (): RequestRecord | undefined =>
      h.records.find(({ requestId, mirrored }) => requestId === `test-${h.test}-0` && mirrored);
    await until(() => h.green.seen.length === 1 && findCopy() !== undefined, 'the copy to arrive and be recorded');
    expect(h.green.seen[0]).toMatchObject({ method: 'POST', url: '/m?x=1', body: 'copied' });
    expect(h.green.seen[0]?.headers.host).toBe('reviews-shadow');
    const copy = findCopy();
    expect(copy).toMatchObject({ source: { workload: 'productpage-v1' }, destinationService: { name: 'reviews-green' } });
    expect(copy?.attempts).toMatchObject([
      { status: 200, reached: true, endpoint: { pod: 'green-1', workload: { workload: 'reviews-green' } } },
    ]);
  });

  it('mirrors a percentage', async () => {
    await program([{ route: [BLUE], mirrors: [{ destination: { host: 'reviews-green' }, percentage: { value: 0 } }] }]);
    for (let sent = 0; sent < 20; sent += 1) await get();
    expect(h.green.seen).toHaveLength(0);
  });

  it('lets requests under way finish when their endpoint vanishes', async () => {
    await program([{ route: [BLUE] }]);
    const slow = get('/slow');
    await until(() => h.blue.seen.length === 1, 'the request to be under way');
    await program([{ route: [GREEN] }], { blue: [] });
    expect((await get()).body).toBe('v2');
    expect(await slow).toMatchObject({ status: 200, body: 'v1' });
    await until(async () => (await h.blue.connections()) === 0, 'idle connections to the vanished endpoint to be closed');
  });

  it('takes a Service, a subset and a mirror that go and come back', async () => {
    const route = { route: [{ destination: { host: 'reviews', subset: 'v2' } }], mirror: { host: 'reviews-blue' } };
    const extra = emptyInput();
    extra.destinationRules.push(
      destinationRule('reviews', { host: 'reviews', subsets: [{ name: 'v2', labels: { version: 'v2' } }] }),
    );
    for (let round = 0; round < 3; round += 1) {
      h.blue.seen.length = 0;
      await program([route], {}, extra);
      expect((await get()).body).toBe('v2');
      await until(() => h.blue.seen.length === 1, 'the copy');
      await program([{ route: [GREEN] }]);
      expect((await get()).body).toBe('v2');
    }
  });

  it('opens to a gateway only the hosts that are bound to it', async () => {
    const extra = emptyInput();
    const bound = {
      hosts: ['shop.example'],
      gateways: ['istio-system/public'],
      http: [{ route: [{ destination: { host: 'reviews-green', port: { number: 9080 } } }] }],
    };
    extra.virtualServices.push(virtualService('shop', bound));
    await program([{ route: [BLUE] }], {}, extra);
    const gateway = await h.mesh.outbound({ workload: 'public', namespace: 'istio-system', gateway: 'istio-system/public' });
    expect((await call(gateway, 'shop.example')).body).toBe('v2');
    expect((await call(gateway, 'shop.example:8080')).body).toBe('v2');
    expect((await call(gateway, 'reviews.default')).status).toBe(502);
    expect((await call(h.url, 'shop.example')).status).toBe(502);
  });

  it('gives each source its own view', async () => {
    const extra = emptyInput();
    extra.services.push(service('elsewhere', 'other'));
    await program([{ match: [{ sourceLabels: { app: 'ratings' } }], route: [GREEN] }, { route: [BLUE] }], {}, extra);
    const ratings = await h.mesh.outbound({ workload: 'ratings-v1', namespace: 'other', labels: { app: 'ratings' } });
    expect((await call(ratings, 'reviews.default')).body).toBe('v2');
    expect((await call(ratings, 'reviews')).status).toBe(502);
    expect((await get()).body).toBe('v1');
  });
};
