import { afterEach, describe, expect, it } from 'vitest';
import type { MeasureRequest, Measurement } from '../../src/engine/ports.js';
import { SHARE_METRIC } from '../../src/core/share.js';
import { createMetricsSource } from '../../src/metrics/index.js';
import { startPrometheus } from '../../src/sandbox/prometheus/index.js';
import { QUESTION, scriptedServer, vector } from './scripted-server.js';

const T0 = Date.parse('2030-01-01T12:00:00Z');
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Series = [Record<string, string>, string];
const counted = (reporter: 'source' | 'destination', workload: string, more: Record<string, string>, value: number): Series => [
  { destination_workload_namespace: 'default', destination_workload: workload, reporter, ...more },
  String(value),
];

/** Both slots are behind Service `reviews`. */
async function world(...series: Series[]) {
  const server = await scriptedServer(() => vector(...series));
  const source = createMetricsSource({ clock: { now: () => T0 + 60_000 }, timeoutMs: 2_000 });
  closers.push(
    () => server.close(),
    () => source.close(),
  );
  const measure = (over: Partial<MeasureRequest> = {}): Promise<Measurement> =>
    source.measure({
      ...QUESTION,
      server: server.url,
      reporter: 'workload',
      from: T0,
      to: T0 + 5_000,
      ...over,
    });
  return { server, measure };
}

describe('slots behind one Service', () => {
  it('are told apart by the workload that answered, as the callers count', async () => {
    const { measure, server } = await world(
      counted('source', 'reviews-green', { response_code: '200' }, 90),
      counted('source', 'reviews-green', { response_code: '503' }, 10),
      counted('source', 'reviews-blue', { response_code: '200' }, 900),
    );
    const measured = await measure();
    expect(measured).toMatchObject({ kind: 'Value', value: 90, samples: 100 });
    expect(measured.query).toContain('reporter="source",destination_workload_namespace="default",destination_workload="reviews-green"');
    expect(server.asked[0]?.query).not.toContain('destination_service_name');
  });

  it('have their tries beside their requests, though both go by the same labels', async () => {
    const { measure } = await world(
      counted('source', 'reviews-green', { response_code: '200' }, 50),
      counted('destination', 'reviews-green', { response_code: '200' }, 50),
      counted('destination', 'reviews-green', { response_code: '503' }, 25),
    );
    expect(await measure()).toMatchObject({ value: 100, samples: 50, tries: { value: (100 * 50) / 75, samples: 75 } });
  });

  it('are counted by a real query language as they are here', async () => {
    const start = Math.floor(Date.now() / 5_000) * 5_000 - 600_000;
    const prometheus = await startPrometheus({ scrapeIntervalMs: 0, targets: () => [], retentionMs: 3_600_000 });
    const source = createMetricsSource();
    closers.push(() => source.close());
    const count = (second: number, reporter: string, workload: string, code: string, value: number): void =>
      prometheus.ingest(
        `# TYPE istio_requests_total counter\nistio_requests_total{reporter="${reporter}",source_workload="web",destination_service_name="reviews",destination_service_namespace="default",destination_workload="${workload}",destination_workload_namespace="default",response_code="${code}"} ${value}\n`,
        { pod: `${reporter}-${workload}` },
        start + second * 1_000,
      );
    for (const [second, factor] of [[0, 1], [5, 2]] as const) {
      count(second, 'source', 'reviews-green', '200', 10 * factor);
      count(second, 'source', 'reviews-blue', '500', 90 * factor);
      count(second, 'destination', 'reviews-green', '200', 10 * factor);
      count(second, 'destination', 'reviews-green', '503', 30 * factor);
    }
    const request: MeasureRequest = { metric: 'request-success-rate', server: prometheus.url, namespace: 'default', name: 'reviews', target: 'reviews', revision: 'abc', service: 'reviews-green', stableService: 'reviews-blue', reporter: 'workload', from: start, to: start + 5_000 };
    const measured = await source.measure(request);
    await prometheus.stop();
    expect(measured).toMatchObject({ kind: 'Value', value: 100, samples: 10, tries: { value: 25, samples: 40 } });
  });

  it('have latency of their own', async () => {
    const { measure } = await world(
      counted('source', 'reviews-green', { le: '100' }, 0),
      counted('source', 'reviews-green', { le: '500' }, 50),
      counted('source', 'reviews-green', { le: '+Inf' }, 50),
      counted('source', 'reviews-blue', { le: '100' }, 900),
      counted('source', 'reviews-blue', { le: '+Inf' }, 900),
    );
    const measured = await measure({ metric: 'request-duration' });
    expect(measured.kind === 'Value' && measured.value).toBeGreaterThan(100);
  });

  it('have their share of the requests to both', async () => {
    const { measure } = await world(
      counted('source', 'reviews-green', { response_code: '200' }, 20),
      counted('source', 'reviews-blue', { response_code: '200' }, 80),
    );
    expect(await measure({ metric: SHARE_METRIC })).toMatchObject({ kind: 'Value', value: 20, samples: 100 });
  });
});
