import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startPrometheus, type Prometheus, type ScrapeTarget } from '../../../src/sandbox/prometheus/index.js';

const Json = z.object({
  status: z.string(),
  data: z.unknown().optional(),
  errorType: z.string().optional(),
  error: z.string().optional(),
});
const Vector = z.object({
  result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
});

const START = Date.parse('2024-05-01T12:00:00Z');

describe('the embedded Prometheus', () => {
  let now = START;
  let body = '';
  let status = 200;
  let targets: ScrapeTarget[] = [];
  let exporter: http.Server;
  let prometheus: Prometheus;
  let warnings: string[] = [];

  beforeEach(async () => {
    [now, body, status, warnings] = [START, '', 200, []];
    exporter = http.createServer((_request, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1');
    await once(exporter, 'listening');
    const url = `http://127.0.0.1:${(exporter.address() as AddressInfo).port}/metrics`;
    targets = [{ job: 'pods', instance: 'pod-a', url, labels: { pod: 'a' } }];
    const logger = { warn: (_details: object, message: string) => void warnings.push(message) };
    const options = { scrapeIntervalMs: 0, retentionMs: 60_000, maxSeries: 50, targets: () => targets, now: () => now, logger };
    prometheus = await startPrometheus(options);
  });

  afterEach(async () => {
    await prometheus.stop();
    exporter.close();
  });

  async function get(path: string, params: [string, string][] = []) {
    const response = await fetch(`${prometheus.url}${path}?${new URLSearchParams(params).toString()}`);
    return { httpStatus: response.status, ...Json.parse(await response.json()) };
  }

  async function query(expression: string, time = now): Promise<Record<string, string>> {
    const { data } = await get('/api/v1/query', [
      ['query', expression],
      ['time', String(time / 1000)],
    ]);
    const rows = Vector.parse(data).result;
    return Object.fromEntries(rows.map((row) => [row.metric['pod'] ?? row.metric['exported_pod'] ?? '', row.value[1]]));
  }

  async function scrapeAt(seconds: number): Promise<void> {
    now = START + seconds * 1000;
    await prometheus.scrapeOnce();
  }

  it('ends a series at once when its target disappears', async () => {
    body = 'hits 7\n';
    await scrapeAt(0);
    expect(await query('hits')).toEqual({ a: '7' });
    targets = [];
    await scrapeAt(1);
    expect(await query('hits')).toEqual({});
    expect(await query('up')).toEqual({});
    expect(await query('hits', START + 500)).toEqual({ a: '7' });
  });

  it('reports a target that fails as down, ends its series and takes it up again', async () => {
    body = 'hits 7\n';
    await scrapeAt(0);
    status = 500;
    await scrapeAt(1);
    expect(await query('up')).toEqual({ a: '0' });
    expect(await query('hits')).toEqual({});
    expect(warnings).toHaveLength(1);
    const { data } = await get('/api/v1/targets');
    expect(data).toMatchObject({
      activeTargets: [{ health: 'down', lastError: 'server returned HTTP status 500 Internal Server Error' }],
    });
    status = 200;
    await scrapeAt(2);
    expect(await query('up')).toEqual({ a: '1' });
    expect(await query('hits')).toEqual({ a: '7' });
  });

  it.each([
    '<html><body>hello</body></html>',
    'hits 7\nhits{a=} 1\n',
    'hits seven\n',
    'hits 1 2 3\n',
    'hits{a="x" 1\n',
    '9lives 1\n',
  ])('takes nothing from an exposition that is not valid: %j', async (garbage) => {
    body = garbage;
    await scrapeAt(0);
    expect(await query('up')).toEqual({ a: '0' });
    expect(await query('hits')).toEqual({});
  });

  it('renames an exposed label that clashes with the target, unless the target is to be believed', async () => {
    body = 'hits{pod="mine"} 1\n';
    await scrapeAt(0);
    expect(await query('hits{exported_pod="mine",pod="a"}')).toEqual({ a: '1' });
    targets = [{ ...targets[0]!, instance: 'other', honorLabels: true }];
    await scrapeAt(1);
    expect(await query('hits')).toEqual({ mine: '1' });
  });

  it('refuses more series than its limit and stays alive', async () => {
    body = Array.from({ length: 100 }, (_, index) => `many{n="${index}"} 1`).join('\n');
    await scrapeAt(0);
    const { data } = await get('/api/v1/targets');
    expect(data).toMatchObject({ activeTargets: [{ lastError: expect.stringContaining('limit of 50 series') as string }] });
    expect((await fetch(`${prometheus.url}/-/healthy`)).status).toBe(200);
  });

  it('forgets samples and series after the retention', async () => {
    prometheus.ingest('old 1\n', {}, START);
    await scrapeAt(30);
    expect(await query('old')).toEqual({ '': '1' });
    await scrapeAt(120);
    expect(await query('old')).toEqual({});
    expect((await get('/api/v1/label/__name__/values')).data).not.toContain('old');
  });

  it('reads help, types, escapes, special values and timestamps', async () => {
    const text = [
      '# HELP latency Time\\nspent.',
      '# TYPE latency histogram',
      'latency_bucket{le="1",path="a\\\\b\\"c\\nd"} 3',
      'latency_bucket { le = "+Inf" , path = "x" , } +Inf',
      'stamped NaN 1714564800123',
      '  # an ordinary remark',
    ];
    body = text.join('\n');
    await scrapeAt(1);
    const { data } = await get('/api/v1/series', [['match[]', '{__name__=~"latency_bucket|stamped"}']]);
    const own = { job: 'pods', instance: 'pod-a', pod: 'a' };
    expect(data).toEqual([
      { __name__: 'latency_bucket', le: '1.0', path: 'a\\b"c\nd', ...own },
      { __name__: 'latency_bucket', le: '+Inf', path: 'x', ...own },
      { __name__: 'stamped', ...own },
    ]);
    expect((await get('/api/v1/metadata')).data).toEqual({ latency: [{ type: 'histogram', help: 'Time\nspent.', unit: '' }] });
    expect(await query('stamped')).toEqual({ a: 'NaN' });
    expect(await query('timestamp(stamped)')).toEqual({ a: '1714564800.123' });
  });

  it('lists labels, values and series, narrowed by selectors and time', async () => {
    prometheus.ingest('a{x="1"} 1\nb{y="2"} 1\n', {}, START);
    expect((await get('/api/v1/labels')).data).toEqual(['__name__', 'x', 'y']);
    expect((await get('/api/v1/labels', [['match[]', 'a']])).data).toEqual(['__name__', 'x']);
    expect((await get('/api/v1/label/x/values')).data).toEqual(['1']);
    expect((await get('/api/v1/label/y/values', [['match[]', 'a']])).data).toEqual([]);
    const selectors: [string, string][] = [
      ['match[]', 'a'],
      ['match[]', 'b'],
    ];
    expect((await get('/api/v1/series', selectors)).data).toHaveLength(2);
    expect((await get('/api/v1/series', [...selectors, ['start', '2024-05-01T12:00:01Z']])).data).toEqual([]);
    expect(await get('/api/v1/series')).toMatchObject({
      httpStatus: 400,
      errorType: 'bad_data',
      error: 'no match[] parameter provided',
    });
  });

  it.each([
    [
      'query',
      { query: 'up', time: 'yesterday' },
      'invalid parameter "time": invalid time value for \'time\': cannot parse "yesterday" to a valid timestamp',
    ],
    ['query', { query: 'up', timeout: 'soon' }, 'invalid parameter "timeout": cannot parse "soon" to a valid duration'],
    [
      'query_range',
      { query: 'up', start: '', end: '1', step: '1' },
      'invalid parameter "start": cannot parse "" to a valid timestamp',
    ],
    [
      'query_range',
      { query: 'up', start: '2', end: '1', step: '1' },
      'invalid parameter "end": end timestamp must not be before start time',
    ],
    [
      'query_range',
      { query: 'up', start: '0', end: '1', step: '0' },
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    ],
    [
      'query_range',
      { query: 'up', start: '0', end: '11001', step: '1' },
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    ],
  ])('refuses %s with %j', async (path, params, error) => {
    const answer = await get(`/api/v1/${path}`, Object.entries(params));
    expect(answer).toEqual({ httpStatus: 400, status: 'error', errorType: 'bad_data', error });
  });

  it('takes RFC 3339 times, durations as steps, and exactly 11,000 steps', async () => {
    prometheus.ingest('a 1\n', {}, START);
    const range: [string, string][] = [
      ['query', 'a'],
      ['start', '2024-05-01T14:00:00+02:00'],
      ['end', '2024-05-01T12:01:00.5Z'],
      ['step', '30s'],
    ];
    const first = START / 1000;
    const values = [first, first + 30, first + 60].map((time) => [time, '1']);
    expect((await get('/api/v1/query_range', range)).data).toEqual({
      resultType: 'matrix',
      result: [{ metric: { __name__: 'a' }, values }],
    });
    const most: [string, string][] = [
      ['query', '1'],
      ['start', '0'],
      ['end', '11000'],
      ['step', '1'],
    ];
    expect((await get('/api/v1/query_range', most)).httpStatus).toBe(200);
  });

  it('gives up on a query that outlasts its timeout', async () => {
    prometheus.ingest('a 1\n', {}, START);
    const params: [string, string][] = [
      ['query', 'sum_over_time(a[1y:1ms])'],
      ['time', String(START / 1000)],
      ['timeout', '50ms'],
    ];
    expect(await get('/api/v1/query', params)).toEqual({
      httpStatus: 503,
      status: 'error',
      errorType: 'timeout',
      error: 'query timed out in expression evaluation',
    });
  });

  it('serves a page with a query box, its health, and 404 for what it does not have', async () => {
    const page = await fetch(`${prometheus.url}/`);
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(await page.text()).toContain('<textarea id="query"');
    expect(await (await fetch(`${prometheus.url}/-/ready`)).text()).toBe('Prometheus Server is Ready.\n');
    expect((await fetch(`${prometheus.url}/api/v1/nonsense`)).status).toBe(404);
    expect((await get('/api/v1/status/buildinfo')).data).toMatchObject({ version: expect.stringMatching(/^3\./) as string });
  });
});
