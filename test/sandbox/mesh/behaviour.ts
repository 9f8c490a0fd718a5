import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Mesh, RequestRecord } from '../../../src/sandbox/mesh/types.js';
import {
  call,
  destinationRule,
  emptyInput,
  pod,
  service,
  slice,
  startApp,
  TestFeed,
  until,
  virtualService,
  type App,
  type PodSpec,
} from './world.js';

export type StartMesh = (options: { feed: TestFeed; onRequest: (record: RequestRecord) => void }) => Promise<Mesh>;

const HOST = 'reviews';
const BLUE = { destination: { host: 'reviews-blue' } };
const GREEN = { destination: { host: 'reviews-green' } };

/** A port on which nothing listens, for the length of a test. */
const closedPort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
};

/** What any data plane of the sandbox must do, whichever it is. */
export const describeMesh = (name: string, start: StartMesh, enabled = true): void => {
  describe.skipIf(!enabled)(name, () => {
    const feed = new TestFeed();
    const records: RequestRecord[] = [];
    const apps: App[] = [];
    let mesh: Mesh;
    let url: string;
    let blue: App;
    let green: App;
    let flaky: App;
    const flakyAnswers: number[] = [];

    /** Push a world and wait until the proxies obey it. */
    const program = async (
      http: unknown[] | undefined,
      pods: { blue?: PodSpec[]; green?: PodSpec[] } = {},
      extra = emptyInput(),
    ): Promise<void> => {
      const blues = pods.blue ?? [
        { name: 'blue-1', real: blue.port, workload: 'reviews-blue', labels: { app: 'reviews', version: 'v1' } },
      ];
      const greens = pods.green ?? [
        { name: 'green-1', real: green.port, workload: 'reviews-green', labels: { app: 'reviews', version: 'v2' } },
      ];
      const { version } = feed.push({
        virtualServices: [...(http ? [virtualService('reviews', { hosts: ['reviews'], http })] : []), ...extra.virtualServices],
        destinationRules: extra.destinationRules,
        services: [service('reviews'), service('reviews-blue'), service('reviews-green'), ...extra.services],
        endpointSlices: [slice('reviews', [...blues, ...greens]), slice('reviews-blue', blues), slice('reviews-green', greens)],
        pods: [...blues, ...greens].map(pod),
      });
      await until(() => mesh.applied() >= version, `configuration ${version} to be applied`);
    };

    /** Records may come after the next test has begun, so each request carries an id of its own test. */
    let test = 0;
    let sent = 0;
    const get = (path = '/', options: Parameters<typeof call>[3] = {}) =>
      call(url, HOST, path, { ...options, headers: { 'x-request-id': `test-${test}-${sent++}`, ...options.headers } });
    /** The record of the test's n-th request. */
    const record = async (n = 0): Promise<RequestRecord> => {
      const find = (): RequestRecord | undefined =>
        records.find(({ requestId, mirrored }) => requestId === `test-${test}-${n}` && !mirrored);
      await until(() => find() !== undefined, 'the request to be recorded');
      return find() as RequestRecord;
    };

    const tries = async (n = 0): Promise<unknown[]> =>
      (await record(n)).attempts.map(({ status, flags, reached }) => [status, flags, reached]);

    beforeAll(async () => {
      blue = await startApp('v1', (request, response) => {
        if (request.url?.startsWith('/slow') === true) setTimeout(() => response.end('v1'), 400);
        else response.end('v1');
      });
      green = await startApp('v2');
      flaky = await startApp('v9', (_request, response) => {
        const answer = flakyAnswers.shift() ?? 200;
        if (answer < 0) {
          response.destroy();
          return;
        }
        response.statusCode = answer;
        response.end('v9');
      });
      apps.push(blue, green, flaky);
      mesh = await start({ feed, onRequest: (one) => records.push(one) });
      await program(undefined);
      url = await mesh.outbound({ workload: 'productpage-v1', namespace: 'default', app: 'productpage', version: 'v1' });
    });

    afterAll(async () => {
      await mesh?.stop();
      for (const app of apps) await app.stop();
    });

    beforeEach(() => {
      test += 1;
      sent = 0;
      flakyAnswers.length = 0;
      for (const app of apps) app.seen.length = 0;
    });

    it('splits by weight within binomial bounds', async () => {
      await program([
        {
          route: [
            { ...BLUE, weight: 75 },
            { ...GREEN, weight: 25 },
          ],
        },
      ]);
      const total = 800;
      const bodies: string[] = [];
      for (let sent = 0; sent < total; sent += 20) {
        const replies = await Promise.all(Array.from({ length: 20 }, () => get()));
        bodies.push(...replies.map(({ body }) => body));
      }
      const share = bodies.filter((body) => body === 'v2').length / total;
      // Five standard deviations: one false alarm in more than a million runs.
      expect(Math.abs(share - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / total));
    });

    it('sends nothing to a destination of weight 0', async () => {
      await program([
        {
          route: [
            { ...BLUE, weight: 100 },
            { ...GREEN, weight: 0 },
          ],
        },
      ]);
      for (let sent = 0; sent < 50; sent += 1) expect((await get()).body).toBe('v1');
      expect(green.seen).toHaveLength(0);
    });

    it('obeys new weights without failing a request', async () => {
      await program([
        {
          route: [
            { ...BLUE, weight: 100 },
            { ...GREEN, weight: 0 },
          ],
        },
      ]);
      let running = true;
      const statuses: number[] = [];
      const load = (async () => {
        while (running) statuses.push((await get()).status);
      })();
      for (const weight of [10, 50, 100])
        await program([
          {
            route: [
              { ...BLUE, weight: 100 - weight },
              { ...GREEN, weight },
            ],
          },
        ]);
      expect((await get()).body).toBe('v2');
      running = false;
      await load;
      expect(new Set(statuses)).toEqual(new Set([200]));
    });

    it('takes the first route that matches', async () => {
      await program([
        {
          name: 'testers',
          match: [{ headers: { 'end-user': { exact: 'jason' } } }, { uri: { prefix: '/beta' } }],
          route: [GREEN],
        },
        { name: 'rest', match: [{ uri: { prefix: '/' } }], route: [BLUE] },
        { name: 'never', route: [GREEN] },
      ]);
      expect((await get('/x', { headers: { 'end-user': 'jason' } })).body).toBe('v2');
      expect((await get('/beta/1')).body).toBe('v2');
      expect((await get('/x', { headers: { 'end-user': 'jane' } })).body).toBe('v1');
      expect((await record(0)).routeName).toBe('testers');
      expect((await record(2)).routeName).toBe('rest');
    });

    it.each<
      [
        string,
        Record<string, unknown>,
        [string, Record<string, string>?, string?][],
        [string, Record<string, string>?, string?][],
      ]
    >([
      ['uri exact', { uri: { exact: '/a' } }, [['/a'], ['/a?x=1']], [['/a/'], ['/A']]],
      ['uri regex, whole path', { uri: { regex: '/r/[0-9]+' } }, [['/r/12']], [['/r/12/x'], ['/z/r/1']]],
      ['ignoreUriCase', { uri: { prefix: '/a' }, ignoreUriCase: true }, [['/A1'], ['/a']], [['/b']]],
      ['method', { method: { exact: 'POST' } }, [['/', {}, 'POST']], [['/']]],
      [
        'header regex',
        { headers: { cookie: { regex: '.*canary=always.*' } } },
        [['/', { cookie: 'a=1; canary=always' }]],
        [['/'], ['/', { cookie: 'a=1' }]],
      ],
      ['header presence', { headers: { 'x-beta': {} } }, [['/', { 'x-beta': 'anything' }]], [['/']]],
      [
        'header prefix',
        { headers: { 'user-agent': { prefix: 'Moz' } } },
        [['/', { 'user-agent': 'Mozilla' }]],
        [['/', { 'user-agent': 'curl' }]],
      ],
      ['query parameter', { queryParams: { v: { exact: '2' } } }, [['/?v=2']], [['/?v=1'], ['/']]],
      [
        'withoutHeaders',
        { withoutHeaders: { 'x-no': { exact: '1' } } },
        [['/'], ['/', { 'x-no': '2' }]],
        [['/', { 'x-no': '1' }]],
      ],
      ['withoutHeaders presence', { withoutHeaders: { 'x-no': {} } }, [['/']], [['/', { 'x-no': '2' }]]],
      ['authority', { authority: { exact: 'reviews' } }, [['/']], []],
      [
        'two conditions',
        { uri: { prefix: '/a' }, headers: { b: { exact: '1' } } },
        [['/a', { b: '1' }]],
        [['/a'], ['/c', { b: '1' }]],
      ],
      ['source labels of others', { sourceLabels: { app: 'someone-else' } }, [], [['/']]],
      ['source labels', { sourceLabels: { app: 'productpage' } }, [['/']], []],
      ['another port', { port: 81 }, [], [['/']]],
    ])('matches by %s', async (_what, match, inside, outside) => {
      await program([{ match: [match], route: [GREEN] }, { route: [BLUE] }]);
      for (const [path, headers = {}, method = 'GET'] of inside)
        expect([path, (await get(path, { headers, method })).body]).toEqual([path, 'v2']);
      for (const [path, headers = {}, method = 'GET'] of outside)
        expect([path, (await get(path, { headers, method })).body]).toEqual([path, 'v1']);
    });

    it('serves a host without a VirtualService from all its ready endpoints', async () => {
      await program(undefined);
      const bodies = new Set<string>();
      for (let sent = 0; sent < 20; sent += 1) bodies.add((await get()).body);
      expect(bodies).toEqual(new Set(['v1', 'v2']));
    });

    it('knows a host by its short, namespaced and full name, with its port, and in x-sluice-host', async () => {
      await program([{ route: [GREEN] }]);
      for (const host of [
        'reviews',
        'reviews:9080',
        'reviews.default',
        'reviews.default.svc',
        'reviews.default.svc.cluster.local:9080',
      ]) {
        expect([host, (await call(url, host)).body]).toEqual([host, 'v2']);
      }
      expect((await call(url, '127.0.0.1', '/', { headers: { 'x-sluice-host': 'reviews' } })).body).toBe('v2');
    });

    it('refuses hosts that the mesh does not know', async () => {
      await program(undefined);
      expect((await call(url, 'nobody')).status).toBe(502);
    });

    it('answers 404 with NR when no route matches', async () => {
      await program([{ match: [{ uri: { exact: '/only' } }], route: [BLUE] }]);
      expect((await get('/other')).status).toBe(404);
      expect(await record()).toMatchObject({ responseCode: 404, responseFlags: 'NR' });
    });

    it('answers 503 with UH when no endpoint is ready', async () => {
      await program([{ route: [GREEN] }], { green: [{ name: 'green-1', real: green.port, ready: false }] });
      expect(await get()).toMatchObject({ status: 503, body: 'no healthy upstream' });
      expect(await record()).toMatchObject({
        responseCode: 503,
        responseFlags: 'UH',
        destinationService: { name: 'reviews-green', host: 'reviews-green.default.svc.cluster.local' },
      });
    });

    it('answers 503 with NC when the subset does not exist', async () => {
      await program([{ route: [{ destination: { host: 'reviews', subset: 'v7' } }] }]);
      expect((await get()).status).toBe(503);
      expect(await record()).toMatchObject({ responseCode: 503, responseFlags: 'NC', upstreamCluster: '' });
    });

    it('follows subsets of a DestinationRule', async () => {
      const extra = emptyInput();
      extra.destinationRules.push(
        destinationRule('reviews', { host: 'reviews', subsets: [{ name: 'v2', labels: { version: 'v2' } }] }),
      );
      await program([{ route: [{ destination: { host: 'reviews', subset: 'v2' } }] }], {}, extra);
      for (let sent = 0; sent < 6; sent += 1) expect((await get()).body).toBe('v2');
      expect(await record()).toMatchObject({ upstreamCluster: 'outbound|9080|v2|reviews.default.svc.cluster.local' });
    });

    it('hides a refused connection behind a retry on another endpoint', async () => {
      const dead = await closedPort();
      await program([{ route: [BLUE] }], {
        blue: [
          { name: 'blue-0', real: dead, workload: 'reviews-blue' },
          { name: 'blue-1', real: blue.port, workload: 'reviews-blue' },
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
        blue: [{ name: 'flaky', real: flaky.port }],
      });
      flakyAnswers.push(500, 502);
      expect((await get()).status).toBe(200);
      expect(flaky.seen).toHaveLength(3);
      await program([{ route: [BLUE], retries: { attempts: 3, retryOn: '502' } }], {
        blue: [{ name: 'flaky', real: flaky.port }],
      });
      flakyAnswers.push(502, 500);
      expect((await get()).status).toBe(500);
      expect((await record(0)).responseFlags).toBe('-');
    });

    it('counts every try at the destination and one request at the source', async () => {
      await program([{ route: [BLUE], retries: { attempts: 1, retryOn: '5xx' } }], {
        blue: [{ name: 'flaky', real: flaky.port }],
      });
      flakyAnswers.push(500, 503);
      expect((await get()).status).toBe(503);
      expect(await record()).toMatchObject({ responseCode: 503, responseFlags: 'URX' });
      expect(await tries()).toEqual([
        [500, '-', true],
        [503, '-', true],
      ]);
    });

    it('replays the body on a retry', async () => {
      await program([{ route: [BLUE], retries: { attempts: 1, retryOn: '5xx' } }], {
        blue: [{ name: 'flaky', real: flaky.port }],
      });
      flakyAnswers.push(500);
      expect((await get('/', { method: 'POST', body: 'hello' })).status).toBe(200);
      expect(flaky.seen.map(({ body }) => body)).toEqual(['hello', 'hello']);
    });

    it('gives up after the timeout with 504 and UT', async () => {
      await program([{ route: [BLUE], timeout: '0.1s' }]);
      expect(await get('/slow')).toMatchObject({ status: 504, body: 'upstream request timeout' });
      expect(await record()).toMatchObject({ responseCode: 504, responseFlags: 'UT' });
      expect(await tries()).toEqual([[0, 'DC', true]]);
    });

    it('answers 503 with UC when the application drops the connection', async () => {
      flakyAnswers.push(-1);
      await program([{ route: [BLUE] }], { blue: [{ name: 'flaky', real: flaky.port }] });
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
      expect(blue.seen).toHaveLength(2);
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
        records.find(({ requestId, mirrored }) => requestId === `test-${test}-0` && mirrored);
      await until(() => green.seen.length === 1 && findCopy() !== undefined, 'the copy to arrive and be recorded');
      expect(green.seen[0]).toMatchObject({ method: 'POST', url: '/m?x=1', body: 'copied' });
      expect(green.seen[0]?.headers.host).toBe('reviews-shadow');
      const copy = findCopy();
      expect(copy).toMatchObject({ source: { workload: 'productpage-v1' }, destinationService: { name: 'reviews-green' } });
      expect(copy?.attempts).toMatchObject([
        { status: 200, reached: true, endpoint: { pod: 'green-1', workload: { workload: 'reviews-green' } } },
      ]);
    });

    it('mirrors a percentage', async () => {
      await program([{ route: [BLUE], mirrors: [{ destination: { host: 'reviews-green' }, percentage: { value: 0 } }] }]);
      for (let sent = 0; sent < 20; sent += 1) await get();
      expect(green.seen).toHaveLength(0);
    });

    it('rewrites path and authority', async () => {
      await program([
        { match: [{ uri: { prefix: '/old/' } }], rewrite: { uri: '/new/', authority: 'inner.example' }, route: [BLUE] },
        { match: [{ uri: { exact: '/one' } }], rewrite: { uri: '/two' }, route: [BLUE] },
        {
          match: [{ uri: { prefix: '/re/' } }],
          rewrite: { uriRegexRewrite: { match: '/re/([a-z]+)', rewrite: '/\\1/x' } },
          route: [BLUE],
        },
        { route: [BLUE] },
      ]);
      await get('/old/a?b=1');
      await get('/one?q=2');
      await get('/re/abc');
      expect(blue.seen.map(({ url: path }) => path)).toEqual(['/new/a?b=1', '/two?q=2', '/abc/x']);
      expect(blue.seen[0]?.headers.host).toBe('inner.example');
      expect(blue.seen[1]?.headers.host).toBe('reviews');
    });

    it('redirects and answers directly', async () => {
      await program([
        { match: [{ uri: { prefix: '/go' } }], redirect: { uri: '/there', authority: 'else.example', redirectCode: 302 } },
        { directResponse: { status: 418, body: { string: 'teapot' } } },
      ]);
      const moved = await get('/go');
      expect([moved.status, moved.headers.location]).toEqual([302, 'http://else.example/there']);
      expect(await get('/x')).toMatchObject({ status: 418, body: 'teapot' });
    });

    it('sets, adds and removes headers', async () => {
      await program([
        {
          headers: { request: { set: { 'x-a': 'set' }, remove: ['x-b'] }, response: { add: { 'x-c': 'added' } } },
          route: [{ ...BLUE, headers: { response: { set: { 'x-d': 'per destination' } } } }],
        },
      ]);
      const reply = await get('/', { headers: { 'x-a': 'mine', 'x-b': 'secret' } });
      expect(blue.seen[0]?.headers['x-a']).toBe('set');
      expect(blue.seen[0]?.headers['x-b']).toBeUndefined();
      expect(reply.headers).toMatchObject({ 'x-c': 'added', 'x-d': 'per destination' });
    });

    it('records who called whom, and tells the application the request id', async () => {
      await program([{ name: 'primary', route: [GREEN] }]);
      const reply = await get('/reviews/1');
      expect(reply.headers['x-envoy-upstream-service-time']).toMatch(/^[0-9]+$/);
      expect(green.seen[0]?.headers['x-request-id']).toBe(`test-${test}-0`);
      expect(await record()).toMatchObject({
        requestId: `test-${test}-0`,
        method: 'GET',
        path: '/reviews/1',
        authority: 'reviews',
        protocol: 'http',
        responseCode: 200,
        responseFlags: '-',
        routeName: 'primary',
        upstreamCluster: 'outbound|9080||reviews-green.default.svc.cluster.local',
        source: { workload: 'productpage-v1', namespace: 'default', app: 'productpage', version: 'v1' },
        endpoint: { pod: 'green-1', workload: { workload: 'reviews-green', app: 'reviews', version: 'v2' } },
        destinationService: { name: 'reviews-green', namespace: 'default' },
        mirrored: false,
      });
    });

    it('lets requests under way finish when their endpoint vanishes', async () => {
      await program([{ route: [BLUE] }]);
      const slow = get('/slow');
      await until(() => blue.seen.length === 1, 'the request to be under way');
      await program([{ route: [GREEN] }], { blue: [] });
      expect((await get()).body).toBe('v2');
      expect(await slow).toMatchObject({ status: 200, body: 'v1' });
      await until(async () => (await blue.connections()) === 0, 'idle connections to the vanished endpoint to be closed');
    });

    it('takes a Service, a subset and a mirror that go and come back', async () => {
      const route = { route: [{ destination: { host: 'reviews', subset: 'v2' } }], mirror: { host: 'reviews-blue' } };
      const extra = emptyInput();
      extra.destinationRules.push(
        destinationRule('reviews', { host: 'reviews', subsets: [{ name: 'v2', labels: { version: 'v2' } }] }),
      );
      for (let round = 0; round < 3; round += 1) {
        blue.seen.length = 0;
        await program([route], {}, extra);
        expect((await get()).body).toBe('v2');
        await until(() => blue.seen.length === 1, 'the copy');
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
      const gateway = await mesh.outbound({ workload: 'public', namespace: 'istio-system', gateway: 'istio-system/public' });
      expect((await call(gateway, 'shop.example')).body).toBe('v2');
      expect((await call(gateway, 'shop.example:8080')).body).toBe('v2');
      expect((await call(gateway, 'reviews.default')).status).toBe(502);
      expect((await call(url, 'shop.example')).status).toBe(502);
    });

    it('gives each source its own view', async () => {
      const extra = emptyInput();
      extra.services.push(service('elsewhere', 'other'));
      await program([{ match: [{ sourceLabels: { app: 'ratings' } }], route: [GREEN] }, { route: [BLUE] }], {}, extra);
      const ratings = await mesh.outbound({ workload: 'ratings-v1', namespace: 'other', labels: { app: 'ratings' } });
      expect((await call(ratings, 'reviews.default')).body).toBe('v2');
      expect((await call(ratings, 'reviews')).status).toBe(502);
      expect((await get()).body).toBe('v1');
    });
  });
};
