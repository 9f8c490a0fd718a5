import type { AxiosInstance } from 'axios';
import type { MetricsSource, Measurement, MeasureRequest } from '../engine/ports.js';
import type { KubeClient } from '../kube/index.js';
import type { EgressPolicy } from '../net/egress.js';
import { createHttp } from '../net/http.js';
import { PrometheusClient } from './prometheus/client.js';
import { createBuiltinSource } from './prometheus/index.js';
import type { ProviderOptions } from './provider.js';
import { createRegistry } from './registry.js';
import { TemplateMetrics } from './template/index.js';

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
  /** For the providers `externalmetrics` and `job`. */
  kube?: KubeClient;
  /** Before anything is written: throws when somebody else may lead by now. */
  beforeWrite?: () => void;
}

/** The source of all metrics. `close` ends its idle connections. */
export function createMetricsSource(options: MetricsOptions = {}): MetricsSource & { close(): void } {
  const http = createHttp(options.egress, options.axios);
  const { clock = { now: () => Date.now() }, gridMs = 5_000, timeoutMs = 5_000, onQuery, kube, beforeWrite } = options;
  const now = (): number => clock.now();
  const client = new PrometheusClient({ http, timeoutMs, onQuery });
  const asked: ProviderOptions = { http, timeoutMs, now, onQuery };
  const builtin = createBuiltinSource({ client, gridMs, timeoutMs, now });
  const templates = new TemplateMetrics({ provider: createRegistry({ ...asked, prometheus: client, kube, beforeWrite }), client, gridMs, now });
  return {
    measure: (request) => answered(request, () => (request.template ? templates.measure(request.template, request) : builtin.measure(request))),
    windows: (request) => answered(request, () => (request.template ? templates.windows(request.template, request) : builtin.windows(request))),
    close: () => http.close(),
  };
}

/** The port promises an answer, whatever happens; only the kind of the surprise is told, its text might hold anything. */
async function answered<T>({ metric }: MeasureRequest, ask: () => Promise<T>): Promise<T | (Measurement & { kind: 'Error' })> {
  try {
    return await ask();
  } catch (error) {
    const name = error instanceof Error ? error.name : 'an unknown error';
    return { kind: 'Error', query: '', message: `metric "${metric}" could not be measured (${name})`, permanent: false };
  }
}
