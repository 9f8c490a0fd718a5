import type { Measurement, MeasureRequest, MetricsSource } from '../../engine/ports.js';
import { SHARE_METRIC } from '../../core/share.js';
import { BuiltinMetrics } from './builtin.js';
import { PrometheusClient, type PrometheusClientOptions } from './client.js';
import { BUILTIN_METRICS, isBuiltin } from './queries.js';
import { TemplateMetrics } from './template.js';

export interface PrometheusOptions extends PrometheusClientOptions {
  gridMs: number;
  now: () => number;
}

/** The provider `prometheus`: built-in metrics of Istio, and queries that users wrote. */
export function createPrometheusSource(options: PrometheusOptions): MetricsSource {
  const client = new PrometheusClient(options);
  const builtin = new BuiltinMetrics({ client, gridMs: options.gridMs, now: options.now });
  const templates = new TemplateMetrics(client);
  return {
    async measure(request: MeasureRequest): Promise<Measurement> {
      if (request.template) return await templates.measure(request.template, request);
      if (request.metric === SHARE_METRIC) return await builtin.share(request);
      if (isBuiltin(request.metric)) return await builtin.measure(request.metric, request);
      const message = `metric "${request.metric}" is not built in (${BUILTIN_METRICS.join(', ')} are); give it a templateRef`;
      return { kind: 'Error', query: '', message, permanent: true };
    },
  };
}
