import { afterEach, describe, expect, it } from 'vitest';
import { createMetricsSource } from '../../src/metrics/index.js';
import type { MeasureRequest, Measurement } from '../../src/engine/ports.js';
import { QUESTION, requests, scriptedServer, vector, type Answer, type Asked } from './scripted-server.js';

const T0 = Date.parse('2030-01-01T12:00:00Z');
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Windows that were asked for, by their ends. */
const times = (server: { asked: Asked[] }) => server.asked.flatMap((one) => one.times).toSorted((a, b) => a - b);

async function world(answer: (asked: Asked) => Answer) {
  const server = await scriptedServer(answer);
  const clock = { at: T0 + 60_000, now: () => clock.at };
  const queries: { server: string; seconds: number; ok: boolean }[] = [];
  const source = createMetricsSource({ clock, timeoutMs: 2_000, onQuery: (query) => queries.push(query) });
  closers.push(
    () => server.close(),
    () => source.close(),
  );
  const measure = (over: Partial<MeasureRequest> = {}): Promise<Measurement> =>
    source.measure({
      ...QUESTION,
      server: server.url,
      from: T0,
      to: T0 + 10_000,
      ...over,
    });
  return { server, clock, queries, measure };
}

describe('request-success-rate', () => {
  it('is the share of the requests that were answered without a server error, over all windows', async () => {
    const { measure } = await world(({ time }) =>
      time === T0 + 5_000
        ? vector(requests('reviews-green', '200', 90), requests('reviews-green', '503', 5), requests('reviews-blue', '500', 900))
        : vector(requests('reviews-green', '200', 50), requests('reviews-green', '404', 50), requests('reviews-green', '0', 5)),
    );
    expect(await measure()).toMatchObject({ kind: 'Value', value: 95, samples: 200, from: T0, to: T0 + 10_000 });
  });

  it('counts only whole windows of the shared grid that lie inside the time asked about', async () => {
    const { measure, server } = await world(() => vector(requests('reviews-green', '200', 1)));
    const result = await measure({ from: T0 + 1, to: T0 + 19_999 });
    expect(times(server)).toEqual([T0 + 10_000, T0 + 15_000]);
    expect(result).toMatchObject({ samples: 2, from: T0 + 5_000, to: T0 + 15_000 });
  });

  it('asks for a window only when its last samples have had time to be stored', async () => {
    const { measure, server, clock } = await world(() => vector(requests('reviews-green', '200', 1)));
    clock.at = T0 + 4_999;
    expect(await measure({ to: T0 + 4_999 })).toMatchObject({
      kind: 'NoData',
      message: 'no window of 5 s is complete yet between 12:00:00 and 12:00:04',
    });
    // The second window has ended and its samples are still on their way; the first is enough.
    clock.at = T0 + 10_400;
    expect(await measure({ to: T0 + 10_400 })).toMatchObject({ kind: 'Value', samples: 1 });
    expect(times(server)).toEqual([T0 + 5_000]);
  });

  it('waits for the samples of the only window that has ended, rather than for the next check', async () => {
    const { measure, server, clock } = await world(() => vector(requests('reviews-green', '200', 1)));
    clock.at = T0 + 5_100;
    const measured = measure({ to: T0 + 5_100 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.asked).toEqual([]);
    expect(await measured).toMatchObject({ kind: 'Value', samples: 1 });
    expect(times(server)).toEqual([T0 + 5_000]);
  });

  it('says which service had no requests, and when', async () => {
    const { measure } = await world(() => vector(requests('reviews-blue', '200', 7), requests('reviews-green', '200', 0)));
    expect(await measure()).toMatchObject({
      kind: 'NoData',
      message: 'no requests to reviews-green.default were seen between 12:00:00 and 12:00:10',
    });
  });

  it('gives a query that a person can paste', async () => {
    const { measure } = await world(() => vector(requests('reviews-green', '200', 1)));
    const { query } = await measure();
    expect(query).toBe(
      '100 * sum(increase(istio_requests_total{reporter="source",destination_service_namespace="default",destination_service_name="reviews-green",response_code!~"5..|0"}[10s] @ 1893499210.000))' +
        ' / sum(increase(istio_requests_total{reporter="source",destination_service_namespace="default",destination_service_name="reviews-green"}[10s] @ 1893499210.000))',
    );
  });
});

describe('tries', () => {
  const tries = (workload: string, code: string, value: number): [Record<string, string>, string] => [
    { destination_workload_namespace: 'default', destination_workload: workload, response_code: code },
    String(value),
  ];

  it('come beside the requests from the proxies of the pods, in the same query', async () => {
    const { measure, server } = await world(() =>
      vector(requests('reviews-green', '200', 50), tries('reviews-green', '200', 50), tries('reviews-green', '503', 25), tries('reviews-blue', '500', 900)),
    );
    const measured = await measure();
    expect(measured).toMatchObject({ kind: 'Value', value: 100, samples: 100, tries: { value: (100 * 100) / 150, samples: 150 } });
    expect(measured.kind === 'Value' && measured.tries?.query).toContain(
      'istio_requests_total{reporter="destination",source_workload!="unknown",destination_workload_namespace="default",destination_workload="reviews-green",response_code!~"5..|0"}[10s]',
    );
    expect(server.asked).toHaveLength(1);
  });

  it('are absent where pods have no proxies, and change nothing then', async () => {
    const { measure } = await world(() => vector(requests('reviews-green', '200', 50)));
    const measured = await measure();
    expect(measured).toMatchObject({ kind: 'Value', value: 100, samples: 100 });
    expect(measured).not.toHaveProperty('tries');
  });

  it('are no requests: without a caller whose proxy counts there is nothing to judge', async () => {
    const { measure } = await world(() => vector(tries('reviews-green', '503', 25)));
    expect(await measure()).toMatchObject({ kind: 'NoData' });
  });

  it('are not asked for where the own proxies are the ones that judge, nor of latency', async () => {
    const { measure, server } = await world(() => vector());
    await measure({ reporter: 'destination' });
    await measure({ metric: 'request-duration' });
    expect(server.asked.filter(({ query }) => query.includes('source_workload'))).toEqual([]);
  });
});

describe('shared evidence', () => {
  it('one query for all windows that are missing serves every canary that asks the same question', async () => {
    const { measure, server } = await world(() =>
      vector(...Array.from({ length: 100 }, (_, i) => requests(`svc-${i}`, '200', i + 1))),
    );
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => measure({ service: `svc-${i}` })));
    expect(answers.map((one) => one.kind === 'Value' && one.samples)).toEqual(Array.from({ length: 100 }, (_, i) => 2 * (i + 1)));
    expect(server.asked).toHaveLength(1);
    expect(server.asked[0]?.path).toBe('/api/v1/query_range');
  });

  it('a later look asks only for the windows that are new', async () => {
    const { measure, server } = await world(() => vector(requests('reviews-green', '200', 1)));
    await measure();
    const result = await measure({ to: T0 + 15_000 });
    expect(result).toMatchObject({ samples: 3 });
    expect(times(server)).toEqual([T0 + 5_000, T0 + 10_000, T0 + 15_000]);
    expect(server.asked).toHaveLength(2);
  });

  it('leaves out what is known in the middle of what is missing', async () => {
    const { measure, server } = await world(() => vector(requests('reviews-green', '200', 1)));
    await measure({ from: T0 + 10_000, to: T0 + 20_000 });
    expect(await measure({ to: T0 + 30_000 })).toMatchObject({ samples: 6 });
    expect(times(server)).toEqual([5, 10, 15, 20, 25, 30].map((second) => T0 + second * 1_000));
  });

  it('both metrics come from one query', async () => {
    const { measure, server } = await world(() =>
      vector(
        requests('reviews-green', '200', 3),
        [{ destination_service_namespace: 'default', destination_service_name: 'reviews-green', le: '100' }, '3'],
        [{ destination_service_namespace: 'default', destination_service_name: 'reviews-green', le: '+Inf' }, '3'],
      ),
    );
    const both = await Promise.all([measure(), measure({ metric: 'request-duration' })]);
    expect(both).toMatchObject([{ value: 100, samples: 6 }, { value: 99, samples: 6 }]);
    expect(server.asked).toHaveLength(1);
    // From now on they are asked for together, whoever comes first.
    await measure({ to: T0 + 15_000 });
    await measure({ metric: 'request-duration', to: T0 + 15_000 });
    expect(server.asked).toHaveLength(2);
  });

  it('asks for services by name: a namespace may have thousands of others', async () => {
    const { measure, server } = await world(() => vector());
    await Promise.all(['b-green', 'a-green'].map((service) => measure({ service, to: T0 + 5_000 })));
    expect(server.asked).toHaveLength(1);
    expect(server.asked[0]?.query).toContain('destination_service_name=~"a-green|b-green"');
  });

  it('a service that joins later is asked for alone in the windows that are known without it, and with the others in those that follow', async () => {
    const { measure, server } = await world(() => vector(requests('reviews-green', '200', 1), requests('ratings-green', '200', 4)));
    await measure();
    expect(await measure({ service: 'ratings-green' })).toMatchObject({ kind: 'Value', samples: 8 });
    expect(server.asked).toHaveLength(2);
    expect(server.asked[1]?.query).toContain('destination_service_name="ratings-green"');
    await measure({ to: T0 + 15_000 });
    await measure({ service: 'ratings-green', to: T0 + 15_000 });
    expect(server.asked).toHaveLength(3);
    expect(server.asked[2]?.query).toContain('destination_service_name=~"ratings-green|reviews-green"');
  });

  it('canaries of other namespaces join the query', async () => {
    const { measure, server } = await world(() => vector(requests('a', '200', 1, 'one'), requests('a', '200', 2, 'two')));
    const answers = await Promise.all([measure({ namespace: 'one', service: 'a' }), measure({ namespace: 'two', service: 'a' })]);
    expect(answers.map((one) => one.kind === 'Value' && one.samples)).toEqual([2, 4]);
    const later = await measure({ namespace: 'two', service: 'a', to: T0 + 15_000 });
    expect(later).toMatchObject({ samples: 6 });
    expect(server.asked.at(-1)?.query).toContain('destination_service_namespace=~"one|two"');
  });

  it('a restarted controller asks again for what lies behind', async () => {
    const answer = () => vector(requests('reviews-green', '200', 3));
    const first = await world(answer);
    const before = await first.measure();
    const second = await world(answer);
    expect({ ...(await second.measure()), query: '' }).toEqual({ ...before, query: '' });
  });

  it('a failed window is not remembered as empty', async () => {
    let broken = true;
    const { measure, clock } = await world(() =>
      broken
        ? { status: 503, body: { status: 'error', errorType: 'timeout', error: 'too slow' } }
        : vector(requests('reviews-green', '200', 1)),
    );
    expect(await measure()).toMatchObject({ kind: 'Error', permanent: false });
    broken = false;
    clock.at += 1_000;
    expect(await measure()).toMatchObject({ kind: 'Value', samples: 2 });
  });

  it('a broken server is not asked again by every canary', async () => {
    const { measure, server } = await world(() => ({ status: 500, body: 'oops', type: 'text/plain' }));
    for (let i = 0; i < 20; i++) await measure({ service: `svc-${i}` });
    expect(server.asked.length).toBeLessThanOrEqual(2);
  });

  it('tells about every query that was sent', async () => {
    let broken = false;
    const { measure, queries, server } = await world(() => (broken ? { status: 500, body: 'no' } : vector()));
    await measure();
    broken = true;
    await measure({ to: T0 + 15_000 });
    expect(queries.filter((query) => query.ok)).toMatchObject([{ server: server.url }]);
    expect(queries.filter((query) => !query.ok)).toMatchObject([{ server: server.url }]);
  });
});

describe('request-duration', () => {
  const bucket = (le: string, value: number): [Record<string, string>, string] => [
    { destination_service_namespace: 'default', destination_service_name: 'reviews-green', le },
    String(value),
  ];

  it('is the 99th percentile in milliseconds, over all windows', async () => {
    const { measure } = await world(() => vector(bucket('100', 40), bucket('200', 50), bucket('+Inf', 50)));
    const result = await measure({ metric: 'request-duration' });
    // 100 requests, 80 of them within 100 ms: the 99th lies 19/20 into the second bucket.
    expect(result).toMatchObject({ kind: 'Value', value: 195, samples: 100 });
    expect(result.query).toContain('histogram_quantile(0.99, sum by (le) (increase(istio_request_duration_milliseconds_bucket{');
  });

  it('is no data without requests', async () => {
    const { measure } = await world(() => vector(bucket('100', 0), bucket('+Inf', 0)));
    expect(await measure({ metric: 'request-duration' })).toMatchObject({ kind: 'NoData' });
  });
});

it('a name that is not built in and has no template is named', async () => {
  const { measure } = await world(() => vector());
  expect(await measure({ metric: 'error-rate' })).toMatchObject({
    kind: 'Error',
    permanent: true,
    message: 'metric "error-rate" is not built in (request-success-rate, request-duration are); give it a templateRef',
  });
});
