import type { AxiosInstance } from 'axios';
import type { MetricTemplateSpec } from '../api/index.js';
import type { Measurement, MeasureRequest, MetricsSource } from '../engine/ports.js';
import type { EgressPolicy } from '../net/egress.js';
import { createHttp } from '../net/http.js';
import { createPrometheusSource, type PrometheusOptions } from './prometheus/index.js';

export interface MetricsOptions {
  /** Unix milliseconds; default is the system's clock. */
  clock?: { now(): number };
  /** Length of the windows that evidence is collected in, milliseconds. Default 5000. */
  gridMs?: number;
  /** Longest time for one query, milliseconds. Default 5000. */
  timeoutMs?: number;
  axios?: AxiosInstance;
  egress?: EgressPolicy;
  /** Called after every query that was sent. */
  onQuery?: (query: { server: string; seconds: number; ok: boolean }) => void;
}

type ProviderType = MetricTemplateSpec['provider']['type'];

/** Every provider of metrics; a new one is a folder and a line here. */
const PROVIDERS: Record<ProviderType, (options: PrometheusOptions) => MetricsSource> = {
  prometheus: createPrometheusSource,
};

/** The source of all metrics. `close` ends its idle connections. */
export function createMetricsSource(options: MetricsOptions = {}): MetricsSource & { close(): void } {
  const http = createHttp(options.egress, options.axios);
  const clock = options.clock ?? { now: () => Date.now() };
  const { gridMs = 5_000, timeoutMs = 5_000, onQuery } = options;
  const prometheus = PROVIDERS.prometheus({ http, gridMs, timeoutMs, onQuery, now: () => clock.now() });
  const sources: Record<ProviderType, MetricsSource> = { prometheus };
  return {
    async measure(request: MeasureRequest): Promise<Measurement> {
      try {
        return await sources[request.template?.spec.provider.type ?? 'prometheus'].measure(request);
      } catch (error) {
        // The port promises an answer, whatever happens; only the kind of the surprise is told, its text might hold anything.
        const name = error instanceof Error ? error.name : 'an unknown error';
        return {
          kind: 'Error',
          query: '',
          message: `metric "${request.metric}" could not be measured (${name})`,
          permanent: false,
        };
      }
    },
    close: () => http.close(),
  };
}
