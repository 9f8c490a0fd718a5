import { expect, it } from 'vitest';
import { call, destinationRule, emptyInput } from '../world.js';
import { BLUE, GREEN, type Harness } from './harness.js';

/** Which requests go where, and as what. */
export const routingTests = (h: Harness): void => {
  const { program, get, record } = h;

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
    expect(h.green.seen).toHaveLength(0);
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
    [string, Record<string, unknown>, [string, Record<string, string>?, string?][], [string, Record<string, string>?, string?][]]
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
    ['withoutHeaders', { withoutHeaders: { 'x-no': { exact: '1' } } }, [['/'], ['/', { 'x-no': '2' }]], [['/', { 'x-no': '1' }]]],
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
      expect([host, (await call(h.url, host)).body]).toEqual([host, 'v2']);
    }
    expect((await call(h.url, '127.0.0.1', '/', { headers: { 'x-sluice-host': 'reviews' } })).body).toBe('v2');
  });

  it('refuses hosts that the mesh does not know', async () => {
    await program(undefined);
    expect((await call(h.url, 'nobody')).status).toBe(502);
  });

  it('answers 404 with NR when no route matches', async () => {
    await program([{ match: [{ uri: { exact: '/only' } }], route: [BLUE] }]);
    expect((await get('/other')).status).toBe(404);
    expect(await record()).toMatchObject({ responseCode: 404, responseFlags: 'NR' });
  });

  it('answers 503 with UH when no endpoint is ready', async () => {
    await program([{ route: [GREEN] }], { green: [{ name: 'green-1', real: h.green.port, ready: false }] });
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
    expect(h.blue.seen.map(({ url: path }) => path)).toEqual(['/new/a?b=1', '/two?q=2', '/abc/x']);
    expect(h.blue.seen[0]?.headers.host).toBe('inner.example');
    expect(h.blue.seen[1]?.headers.host).toBe('reviews');
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
    expect(h.blue.seen[0]?.headers['x-a']).toBe('set');
    expect(h.blue.seen[0]?.headers['x-b']).toBeUndefined();
    expect(reply.headers).toMatchObject({ 'x-c': 'added', 'x-d': 'per destination' });
  });

  it('records who called whom, and tells the application the request id', async () => {
    await program([{ name: 'primary', route: [GREEN] }]);
    const reply = await get('/reviews/1');
    expect(reply.headers['x-envoy-upstream-service-time']).toMatch(/^[0-9]+$/);
    expect(h.green.seen[0]?.headers['x-request-id']).toBe(`test-${h.test}-0`);
    expect(await record()).toMatchObject({
      requestId: `test-${h.test}-0`,
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
};
