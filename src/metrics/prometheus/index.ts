import type { Measurement, MeasureRequest, MetricsSource, Windows } from '../../engine/ports.js';
import { SHARE_METRIC } from '../../core/share.js';
import { BuiltinMetrics } from './builtin.js';
import type { PrometheusClient } from './client.js';
import { BUILTIN_METRICS, isBuiltin } from './queries.js';

export interface BuiltinSourceOptions {
  client: PrometheusClient;
  gridMs: number;
  /** Longest time for one query, milliseconds; the client keeps it. */
  timeoutMs: number;
  now: () => number;
}

/** The metrics that need no template: Istio's, as Prometheus has them. */
export function createBuiltinSource(options: BuiltinSourceOptions): MetricsSource {
  const builtin = new BuiltinMetrics(options);
  const unknown = (metric: string): Measurement & { kind: 'Error' } => {
    const message = `metric "${metric}" is not built in (${BUILTIN_METRICS.join(', ')} are); give it a templateRef`;
    return { kind: 'Error', query: '', message, permanent: true };
  };
  return {
    async measure(request: MeasureRequest): Promise<Measurement> {
      if (request.metric === SHARE_METRIC) return await builtin.share(request);
      return isBuiltin(request.metric) ? await builtin.measure(request.metric, request) : unknown(request.metric);
    },
    async windows(request: MeasureRequest): Promise<Windows> {
      return isBuiltin(request.metric) ? await builtin.windows(request.metric, request) : unknown(request.metric);
    },
  };
}
