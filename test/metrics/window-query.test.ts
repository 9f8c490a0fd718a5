import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMetricsSource } from '../../src/metrics/index.js';
import { startPrometheus, type Prometheus } from '../../src/sandbox/prometheus/index.js';
import { QUESTION } from './scripted-server.js';

const T0 = Math.floor(Date.now() / 5_000) * 5_000 - 600_000;

/** The PromQL of the built-in metrics, answered by a Prometheus that holds exactly these samples. */
describe('the counters behind the built-in metrics', () => {
  let prometheus: Prometheus;
  let source: ReturnType<typeof createMetricsSource>;
  beforeEach(async () => {
    prometheus = await startPrometheus({ scrapeIntervalMs: 0, targets: () => [], retentionMs: 3_600_000 });
    source = createMetricsSource();
  });
  afterEach(async () => {
    source.close();
    await prometheus.stop();
  });

  const labels = 'reporter="source",destination_service_namespace="default",destination_service_name="reviews-green"';
  const count = (second: number, value: number | string, { code = '200', pod = 'a' } = {}) =>
    prometheus.ingest(
      `# TYPE istio_requests_total counter\nistio_requests_total{${labels},response_code="${code}"} ${value}\n`,
      { pod },
      T0 + second * 1000,
    );
  const measure = (from: number, to: number, metric = 'request-success-rate', server = prometheus.url) =>
    source.measure({
      ...QUESTION,
      metric,
      server,
      from: T0 + from * 1000,
      to: T0 + to * 1000,
    });

  it('count what was added between two grid points', async () => {
    for (const [second, value] of [
      [0, 100],
      [5, 110],
      [10, 125],
    ] as const)
      count(second, value);
    expect(await measure(0, 10)).toMatchObject({ kind: 'Value', samples: 25 });
  });

  it('count a series that was born during the run from zero', async () => {
    count(0, 100);
    count(5, 110);
    count(5, 4, { code: '503' });
    expect(await measure(0, 5)).toMatchObject({ samples: 14, value: (100 * 10) / 14 });
  });

  it('count the new value after a counter was reset', async () => {
    count(0, 100);
    count(5, 7);
    expect(await measure(0, 5)).toMatchObject({ samples: 7 });
  });

  it('do not count a proxy that missed some scrapes from zero again', async () => {
    let exposition: string | undefined = `istio_requests_total{${labels},response_code="200"} 1000\n`;
    let second = 0;
    const proxy = createServer((_request, response) => {
      response.statusCode = exposition === undefined ? 503 : 200;
      response.end(exposition);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/metrics`;
    const scraping = await startPrometheus({
      scrapeIntervalMs: 0,
      targets: () => [{ job: 'proxies', instance: 'a', url }],
      now: () => T0 + second * 1000,
    });
    const scrapeAt = async (at: number, text: string | undefined) => {
      [second, exposition] = [at, text];
      await scraping.scrapeOnce();
    };
    await scrapeAt(0, exposition);
    await scrapeAt(4, undefined);
    await scrapeAt(12, `istio_requests_total{${labels},response_code="200"} 1003\n`);
    const result = await measure(5, 15, 'request-success-rate', scraping.url);
    await scraping.stop();
    proxy.closeAllConnections();
    proxy.close();
    expect(result).toMatchObject({ kind: 'Value', samples: 3 });
  });

  it('add up the proxies and leave out what was reported elsewhere', async () => {
    for (const pod of ['a', 'b'])
      for (const [second, value] of [
        [0, 10],
        [5, 20],
      ] as const)
        count(second, value, { pod });
    const elsewhere = labels.replace('source', 'destination');
    for (const second of [0, 5])
      prometheus.ingest(`istio_requests_total{${elsewhere},response_code="500"} ${second * 10}\n`, {}, T0 + second * 1000);
    expect(await measure(0, 5)).toMatchObject({ samples: 20, value: 100 });
  });

  it('give the tries that the pods counted beside what callers got, without what no proxy sent', async () => {
    const called = 'destination_workload_namespace="default",destination_workload="reviews-green"';
    const tried = (second: number, caller: string, code: string, value: number) =>
      prometheus.ingest(
        `istio_requests_total{reporter="destination",source_workload="${caller}",${called},response_code="${code}"} ${value}\n`,
        {},
        T0 + second * 1000,
      );
    for (const second of [0, 5]) {
      count(second, second * 12);
      tried(second, 'productpage', '200', second * 12);
      tried(second, 'productpage', '503', second * 4);
      tried(second, 'unknown', '500', second * 100);
    }
    expect(await measure(0, 5)).toMatchObject({ value: 100, samples: 60, tries: { value: 75, samples: 80 } });
  });

  it('give the 99th percentile of a histogram', async () => {
    const histogram = (second: number, counts: Record<string, number>) => {
      const rows = Object.entries(counts).map(
        ([le, value]) => `istio_request_duration_milliseconds_bucket{${labels},le="${le}"} ${value}`,
      );
      prometheus.ingest(`${rows.join('\n')}\n`, {}, T0 + second * 1000);
    };
    histogram(0, { '25': 10, '50': 10, '+Inf': 10 });
    histogram(5, { '25': 10, '50': 110, '+Inf': 110 });
    expect(await measure(0, 5, 'request-duration')).toMatchObject({ kind: 'Value', value: 49.75, samples: 100 });
  });

  it('give both slots window by window, through births and resets, as the sum over all windows does', async () => {
    const stable = labels.replace('green', 'blue');
    const seen = (second: number, series: string, value: number) => prometheus.ingest(`istio_requests_total{${series}} ${value}\n`, {}, T0 + second * 1000);
    for (const [second, total, failed] of [
      [0, 1_000, 3],
      [5, 1_090, 3],
      [10, 1_180, 7],
      [15, 20, 7],
      [20, 20, 7],
    ] as const) {
      seen(second, `${stable},response_code="200"`, total);
      seen(second, `${stable},response_code="503"`, failed);
      if (second >= 10) seen(second, `${labels},response_code="0"`, second / 5);
    }
    const answer = await source.windows({ ...QUESTION, server: prometheus.url, from: T0, to: T0 + 20_000 });
    expect(answer).toMatchObject({
      kind: 'Windows',
      gridMs: 5_000,
      bounds: [0],
      windows: [
        { to: T0 + 5_000, stable: { total: 90, bad: [0] }, canary: { total: 0, bad: [0] } },
        { to: T0 + 10_000, stable: { total: 94, bad: [4] }, canary: { total: 2, bad: [2] } },
        { to: T0 + 15_000, stable: { total: 20, bad: [0] }, canary: { total: 1, bad: [1] } },
        { to: T0 + 20_000, stable: { total: 0, bad: [0] }, canary: { total: 1, bad: [1] } },
      ],
    });
    expect(await source.measure({ ...QUESTION, service: 'reviews-blue', server: prometheus.url, from: T0, to: T0 + 20_000 })).toMatchObject({ samples: 204, value: (100 * 200) / 204 });
  });

  it('give the requests that were slower than each bound, of both slots', async () => {
    const histogram = (second: number, slot: string, counts: Record<string, number>) => {
      const rows = Object.entries(counts).map(([le, value]) => `istio_request_duration_milliseconds_bucket{${labels.replace('green', slot)},le="${le}"} ${value}`);
      prometheus.ingest(`# TYPE istio_request_duration_milliseconds histogram\n${rows.join('\n')}\n`, {}, T0 + second * 1000);
    };
    for (const [second, factor] of [[0, 0], [5, 1], [10, 3]] as const) {
      histogram(second, 'green', { '25': 5 * factor, '500': 20 * factor, '+Inf': 22 * factor });
      histogram(second, 'blue', { '25': 100 * factor, '500': 100 * factor, '+Inf': 100 * factor });
    }
    expect(await source.windows({ ...QUESTION, metric: 'request-duration', server: prometheus.url, from: T0, to: T0 + 10_000 })).toMatchObject({
      bounds: [25, 500],
      windows: [
        { canary: { total: 22, bad: [17, 2] }, stable: { total: 100, bad: [0, 0] } },
        { canary: { total: 44, bad: [34, 4] }, stable: { total: 200, bad: [0, 0] } },
      ],
    });
  });

  it('come with a query that this server understands and answers alike', async () => {
    for (let second = 0; second <= 60; second += 5) {
      count(second, second * 9);
      count(second, second, { code: '500' });
    }
    const measured = await measure(0, 60);
    expect(measured).toMatchObject({ value: 90 });
    const pasted = await source.measure({
      ...QUESTION,
      metric: 'mine',
      server: prometheus.url,
      template: {
        name: 'pasted',
        spec: { provider: { type: 'prometheus', insecureSkipVerify: false }, query: measured.query },
        variables: {},
      },
      from: T0,
      to: T0 + 60_000,
    });
    expect(pasted.kind === 'Value' && pasted.value).toBeCloseTo(90, 6);
  });
});
