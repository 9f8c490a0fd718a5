import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPrometheus, type Prometheus } from '../../src/sandbox/prometheus/index.js';
import { Draws } from '../../src/simulate/random.js';
import { Running } from './world.js';

/** The clock of the commands stands at noon; the release began half an hour before. */
const NOON = Date.parse('2026-03-02T12:00:00.000Z');
const BEGIN = NOON - 30 * 60_000;
const SCRAPE_MS = 5_000;

interface Version {
  service: string;
  /** Requests per second at an instant. */
  rps: (at: number) => number;
  errorRate: number;
  /** Share of the requests that take longer than 250 ms; none longer than 1 s. */
  slow: number;
}

/** What a Prometheus has scraped of two versions, from half an hour before the release until its end. */
function record(prometheus: Prometheus, namespace: string, versions: Version[], until: number, scrapeMs = SCRAPE_MS): void {
  const draws = Draws.seeded(7, 0);
  const counters = versions.map(() => ({ good: 0, bad: 0, slow: 0 }));
  for (let at = BEGIN - 15 * 60_000; at <= until; at += scrapeMs)
    for (const [index, { service, rps, errorRate, slow }] of versions.entries()) {
      const counter = counters[index];
      if (!counter) continue;
      const total = draws.poisson((rps(at - 1) * scrapeMs) / 1000);
      const bad = draws.binomial(total, errorRate);
      counter.good += total - bad;
      counter.bad += bad;
      counter.slow += draws.binomial(total, slow);
      if (counter.good + counter.bad === 0) continue;
      const labels = { reporter: 'source', destination_service_name: service, destination_service_namespace: namespace };
      const all = counter.good + counter.bad;
      const buckets = [`{le="250"} ${all - counter.slow}`, `{le="1000"} ${all}`, `{le="+Inf"} ${all}`].map((bucket) => `istio_request_duration_milliseconds_bucket${bucket}\n`);
      prometheus.ingest(`istio_requests_total{response_code="200"} ${counter.good}\nistio_requests_total{response_code="503"} ${counter.bad}\n${buckets.join('')}`, labels, at);
    }
}

/** 10 % for four minutes, then 30 % for four. */
const share = (at: number): number => (at < BEGIN ? 0 : at < BEGIN + 240_000 ? 0.1 : at < BEGIN + 480_000 ? 0.3 : 0);
const END = BEGIN + 480_000;

const CANARY = (analysis: string, name = 'reviews'): string => `apiVersion: sluice.dev/v1beta1
kind: Canary
metadata: {name: ${name}, namespace: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: ${name}}
  service: {port: 9080}
  analysis:
    interval: 1m
    stepWeights: [10, 20, 30, 40, 50]
    metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]
    ${analysis}
`;

let prometheus: Prometheus;
let folder: string;
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-backtest-'));
  prometheus = await startPrometheus({ scrapeIntervalMs: 0, targets: () => [], now: () => NOON });
  const ofSlots = (stable: string, canary: string, errorRate: number, slow = 0.005): Version[] => [
    { service: stable, rps: (at) => 100 * (1 - share(at)), errorRate: 0.001, slow: 0.005 },
    { service: canary, rps: (at) => 100 * share(at), errorRate, slow },
  ];
  record(prometheus, 'shop', [...ofSlots('reviews-green', 'reviews-blue', 0.05), ...ofSlots('ratings-blue', 'ratings-green', 0.001)], END + 60_000);
  record(prometheus, 'shop', ofSlots('slow-blue', 'slow-green', 0.001, 0.2), END + 60_000);
  record(prometheus, 'shop', ofSlots('seldom-blue', 'seldom-green', 0.05), END + 60_000, 15_000);
});
afterAll(async () => {
  await prometheus.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function call(argv: string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number; out: string; err: string }> {
  const running = new Running(['backtest', ...argv], false, env);
  return { code: await running.code, out: running.out, err: running.err };
}
const times = ['--from', new Date(BEGIN - 60_000).toISOString(), '--to', new Date(END + 60_000).toISOString()];
const against = (path: string, ...more: string[]): string[] => [path, '--metrics-server', prometheus.url, ...times, ...more];

interface Result {
  rolledBack: boolean;
  reason?: string;
  at?: string;
  stableService: string;
  canaryService: string;
  begin: string;
  end: string;
  segments: { from: string; to: string; weight: number }[];
  requests: { canary: { requests: number; failed: number } };
  badUntilThen?: { requests: number; failed: number };
  looks: { strength: number; needed: number }[];
  checks: { verdict: string }[];
  notes: string[];
}
const json = async (...argv: string[]): Promise<Result> => {
  const { code, out, err } = await call([...argv, '--output', 'json']);
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out) as Result;
};

describe('a release in the record', () => {
  it('would have been taken back by the verdict within half a minute', async () => {
    const result = await json(...against(file('verdict.yaml', CANARY('verdict: {}'))));
    expect(result).toMatchObject({ rolledBack: true, reason: 'Regression', stableService: 'reviews-green', canaryService: 'reviews-blue' });
    const after = (Date.parse(result.at ?? '') - BEGIN) / 1000;
    expect(after).toBeGreaterThan(5);
    expect(after).toBeLessThan(60);
    expect(result.badUntilThen?.failed).toBeGreaterThan(1);
    expect(result.badUntilThen?.failed).toBeLessThan(result.requests.canary.failed / 5);
    expect(result.looks.at(-1)?.strength).toBeGreaterThanOrEqual(result.looks.at(-1)?.needed ?? Infinity);
  });

  it('has the weights that the requests were divided by, from when they were', async () => {
    const { segments, begin, end } = await json(...against(file('segments.yaml', CANARY('threshold: 100'))));
    expect(segments.map(({ weight }) => Math.round(weight / 5) * 5)).toEqual([10, 30]);
    expect(Math.abs(Date.parse(begin) - BEGIN)).toBeLessThanOrEqual(2 * SCRAPE_MS);
    expect(Math.abs(Date.parse(segments[1]?.from ?? '') - (BEGIN + 240_000))).toBeLessThanOrEqual(2 * SCRAPE_MS);
    expect(Math.abs(Date.parse(end) - END)).toBeLessThanOrEqual(2 * SCRAPE_MS);
  });

  it('would have been taken back by thresholds minutes later', async () => {
    const result = await json(...against(file('threshold.yaml', CANARY('threshold: 3'))));
    expect(result).toMatchObject({ rolledBack: true, reason: 'ChecksFailed', looks: [] });
    expect((Date.parse(result.at ?? '') - BEGIN) / 1000).toBeCloseTo(180, -1);
    expect(result.checks.map(({ verdict }) => verdict)).toEqual(['Fail', 'Fail', 'Fail']);
  });

  it('is left alone when it was as good as the stable one', async () => {
    const path = file('good.yaml', CANARY('verdict: {}', 'ratings'));
    const result = await json(...against(path));
    expect(result.rolledBack).toBe(false);
    expect(result.looks.length).toBeGreaterThan(20);
    expect(result.checks.every(({ verdict }) => verdict === 'Pass')).toBe(true);
    const { out } = await call(against(path));
    expect(out).toContain('would not have been taken back');
  });

  it('is told in words, with a drawing of the evidence', async () => {
    const { out } = await call(against(file('words.yaml', CANARY('verdict: {}'))));
    expect(out).toMatch(/It would have been taken back at 11:30:\d\d/);
    expect(out).toMatch(/Bad requests of the canary until then: \d+ of \d+ in the record; \d+ spared/);
    expect(out).toMatch(/[▁▂▃▄▅▆▇]█/);
    expect(out).toContain('Weights are those of the record');
  });

  it('is told by its latency, which counts after the warm-up', async () => {
    const analysis = 'verdict: {}\n    warmup: 30s';
    const text = CANARY(analysis, 'slow').replace('{min: 99}}]', '{min: 99}}, {name: request-duration}]');
    const { at, reason, looks } = await json(...against(file('slow.yaml', text)));
    expect(reason).toBe('Regression');
    expect(looks.at(-1)).toMatchObject({ metric: 'request-duration', bound: 250 });
    const after = (Date.parse(at ?? '') - BEGIN) / 1000;
    expect(after).toBeGreaterThan(30);
    expect(after).toBeLessThan(90);
  });

  it('is told where scrapes are far apart', async () => {
    const path = file('seldom.yaml', CANARY('verdict: {}', 'seldom'));
    for (const grid of ['5s', '15s', '30s']) {
      const { at, reason } = await json(...against(path, '--metrics-grid', grid));
      expect(reason).toBe('Regression');
      expect((Date.parse(at ?? '') - BEGIN) / 1000).toBeLessThan(120);
    }
  });

  it('is judged by templates of the same file: by their value, and by their counts', async () => {
    const metrics = (extra: string): string => CANARY(`verdict: {}\n    threshold: 2`).replace('[{name: request-success-rate, thresholdRange: {min: 99}}]', `[${extra}]`);
    const template = (spec: string): string => `---\napiVersion: sluice.dev/v1beta1\nkind: MetricTemplate\nmetadata: {name: failed, namespace: shop}\nspec:\n  provider: {type: prometheus, address: "http://nowhere.invalid"}\n${spec}`;
    const of = (more: string): string => `sum(increase(istio_requests_total{destination_service_name="{{ service }}"${more}}[{{ interval }}]))`;
    const value = metrics('{name: request-success-rate}, {name: failed, templateRef: {name: failed}, thresholdRange: {max: 1}}').replace('verdict: {}', 'warmup: 0s');
    const byValue = await json(...against(file('value.yaml', value + template(`  query: '100 * ${of(',response_code="503"')} / ${of('')}'`))));
    expect(byValue).toMatchObject({ rolledBack: true, reason: 'ChecksFailed' });
    expect((Date.parse(byValue.at ?? '') - BEGIN) / 1000).toBeCloseTo(120, -1);
    const counts = metrics('{name: failed, templateRef: {name: failed}}') + template(`  counts:\n    bad: '${of(',response_code="503"')}'\n    total: '${of('')}'`);
    const tooShort = await json(...against(file('counts.yaml', counts)));
    expect(tooShort.rolledBack).toBe(false);
    expect(tooShort.notes[0]).toMatch(/could not be compared by failed: .*must not be shorter than two scrapes/);
    const byCounts = await json(...against(file('counts.yaml', counts), '--metrics-grid', '10s'));
    expect(byCounts).toMatchObject({ rolledBack: true, reason: 'Regression' });
    expect(byCounts.looks.at(-1)).toMatchObject({ metric: 'failed' });
  });

  it('is found by the names of other Services', async () => {
    const path = file('named.yaml', CANARY('verdict: {}', 'details'));
    const { canaryService, rolledBack } = await json(...against(path, '--stable', 'reviews-green', '--canary', 'reviews-blue'));
    expect({ canaryService, rolledBack }).toEqual({ canaryService: 'reviews-blue', rolledBack: true });
  });
});

describe('what cannot be replayed', () => {
  it('is said of webhooks, templates and steps that would have ended early', async () => {
    const webhooks = 'verdict: {fast: true}\n    webhooks: [{name: load, url: "http://load.shop/"}]';
    const text = CANARY(webhooks).replace('thresholdRange: {min: 99}}]', 'thresholdRange: {min: 99}}, {name: basket, templateRef: {name: basket}, thresholdRange: {min: 1}}]');
    const { notes } = await json(...against(file('notes.yaml', text)));
    expect(notes.join('\n')).toContain('Not replayed: basket');
    expect(notes.join('\n')).toContain('Webhooks are not asked');
    expect(notes.join('\n')).toContain('fast has no effect');
  });

  it('are times and Services without requests', async () => {
    const path = file('none.yaml', CANARY('verdict: {}', 'nobody'));
    const { code, err } = await call(against(path));
    expect(code).toBe(1);
    expect(err).toContain('no requests to nobody-blue or nobody-green in namespace shop');
    const early = await call([file('early.yaml', CANARY('verdict: {}')), '--metrics-server', prometheus.url, '--from', new Date(BEGIN - 240_000).toISOString(), '--to', new Date(BEGIN - 60_000).toISOString()]);
    expect(early.code).toBe(1);
    expect(early.err).toContain('no release can be seen');
  });

  it('are times in the wrong order', async () => {
    const path = file('order.yaml', CANARY('verdict: {}'));
    const { code, err } = await call([path, '--metrics-server', prometheus.url, '--from', '10m', '--to', '20m']);
    expect(code).toBe(2);
    expect(err).toContain('--from');
  });
});

describe('credentials', () => {
  it('come by the environment, go to the server, and are never printed', async () => {
    const seen: (string | undefined)[] = [];
    const tenants: (string | string[] | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      tenants.push(request.headers['x-scope-orgid']);
      response.statusCode = 401;
      response.end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const path = file('token.yaml', CANARY('verdict: {}'));
    const { code, out, err } = await call([path, '--metrics-server', url, ...times, '--header', 'X-Scope-OrgID: shop'], { SLUICE_METRICS_TOKEN: 'a-very-secret-token' });
    server.close();
    expect(code).toBe(1);
    expect(seen[0]).toBe('Bearer a-very-secret-token');
    expect(tenants[0]).toBe('shop');
    expect(err).toContain('401');
    expect(out + err).not.toContain('a-very-secret-token');
  });

  it('are refused in flags', async () => {
    const { code, err } = await call(against(file('flag.yaml', CANARY('verdict: {}')), '--header', 'Authorization: Bearer abc'));
    expect(code).toBe(2);
    expect(err).toContain('SLUICE_METRICS_TOKEN');
  });
});
