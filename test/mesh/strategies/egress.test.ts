/** Scenario 13: a version is judged on how it gets on with a host outside of the cluster. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { canarySpec, type MetricTemplate } from '../../../src/api/index.js';
import type { Measurement } from '../../../src/engine/ports.js';
import type { KubeObject } from '../../../src/kube/types.js';
import { createMetricsSource } from '../../../src/metrics/index.js';
import { startPrometheus, type Prometheus } from '../../../src/sandbox/prometheus/index.js';

const REPO = join(import.meta.dirname, '../../../examples/bookinfo/13-egress/repo');
const read = (file: string): string => readFileSync(join(REPO, file), 'utf8');
const template = parse(read('metrictemplate.yaml')) as MetricTemplate;
const canary = parse(read('canary.yaml')) as { spec: unknown };

const NOW = Date.parse('2030-01-01T12:00:00Z');
const SECONDS = 60;
let prometheus: Prometheus;
beforeAll(async () => {
  prometheus = await startPrometheus({ scrapeIntervalMs: 0, targets: () => [], now: () => NOW });
});
afterAll(() => prometheus.stop());

/** A minute in which the proxies of a slot sent so many requests to the outside host, so many of which failed. */
function sent(slot: string, all: number, failed: number): void {
  const line = (code: string, count: number): string =>
    `istio_requests_total{reporter="source",source_workload="reviews-${slot}",source_workload_namespace="shop",destination_service="prices.books.example",response_code="${code}"} ${count}`;
  for (let second = 0; second <= SECONDS; second += 5) {
    const part = second / SECONDS;
    prometheus.ingest(['# TYPE istio_requests_total counter', line('200', (all - failed) * part), line('503', failed * part), ''].join('\n'), {}, NOW - (SECONDS - second) * 1000);
  }
}

const measure = (slot: string): Promise<Measurement> => {
  const metrics = createMetricsSource({ clock: { now: () => NOW }, gridMs: 5_000 });
  const request = { metric: 'outside-errors', server: prometheus.url, namespace: 'shop', name: 'reviews', target: 'reviews', revision: 'b2', service: `reviews-${slot}`, stableService: 'reviews-blue', from: NOW - SECONDS * 1000, to: NOW };
  return metrics.measure({ ...request, template: { name: 'outside-errors', spec: template.spec, variables: {} } }).finally(() => metrics.close());
};

it('the canary’s own requests to the host count, not those of the stable version', async () => {
  const outside = canarySpec.parse(canary.spec).analysis.metrics.find(({ name }) => name === 'outside-errors');
  expect(await measure('green')).toMatchObject({ kind: 'NoData' });
  expect(outside).toMatchObject({ onNoData: 'pass', thresholdRange: { max: 5 } });
  sent('blue', 600, 300);
  sent('green', 100, 20);
  const measured = await measure('green');
  expect(measured.kind).toBe('Value');
  const { value } = measured as { value: number };
  expect(value).toBeCloseTo(20, 0);
  expect(value).toBeGreaterThan(outside?.thresholdRange?.max ?? 100);
});

it('proxies can see the answers of the host: applications ask by HTTP, and TLS begins behind their proxies', () => {
  const objects = parseAllDocuments(read('egress.yaml')).map((document) => document.toJS() as KubeObject);
  const spec = (kind: string): Record<string, unknown> => objects.find((object) => object.kind === kind)?.['spec'] as Record<string, unknown>;
  const ports = spec('ServiceEntry')['ports'] as { number: number; protocol: string; targetPort?: number }[];
  expect(ports).toMatchObject([{ number: 80, protocol: 'HTTP', targetPort: 443 }]);
  expect(spec('DestinationRule')).toMatchObject({ host: 'prices.books.example', trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, tls: { mode: 'SIMPLE' } }] } });
});
