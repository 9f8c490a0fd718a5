import type { MetricProvider, ProviderAnswer, ProviderQuery } from '../provider.js';
import type { PrometheusClient } from './client.js';

/**
 * Servers that speak Prometheus's HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics. The tenant is a header (`THANOS-TENANT`,
 * `X-Scope-OrgID`) or part of the address (`…/select/0/prometheus`).
 */
export function createPrometheusProvider(client: PrometheusClient): MetricProvider {
  return {
    async ask({ provider, query, address, credentials, to }: ProviderQuery): Promise<ProviderAnswer> {
      const { headers, secretRef, insecureSkipVerify } = provider;
      return await client.query({ server: address, query, time: to, headers, credentials, secretName: secretRef?.name, insecureSkipVerify });
    },
  };
}
