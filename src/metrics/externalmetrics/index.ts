import type { KubeClient } from '../../kube/index.js';
import { kubeFailure, NO_CLUSTER } from '../kube-failure.js';
import type { MetricProvider, ProviderAnswer, ProviderOptions, ProviderQuery } from '../provider.js';
import type { Sample } from '../prometheus/client.js';
import { quantityValue } from './quantity.js';
import { externalPath, externalQuery } from './query.js';
import { externalMetrics } from './schema.js';

const FORBIDDEN = 'the chart gives that right, metric by metric, with metrics.externalMetrics';
const NO_ADAPTER = 'no adapter serves this metric (kubectl get apiservice v1beta1.external.metrics.k8s.io)';

/** Metrics that an adapter (KEDA, prometheus-adapter, a cloud's) serves through the API server, by the controller's own account. */
export function createExternalMetricsProvider({ kube, onQuery }: Pick<ProviderOptions, 'onQuery'> & { kube?: KubeClient | undefined }): MetricProvider {
  return {
    async ask(query: ProviderQuery): Promise<ProviderAnswer> {
      if (!kube) return NO_CLUSTER;
      const wanted = externalQuery(query.query, query.namespace);
      if ('problem' in wanted) return { kind: 'failed', message: `spec.query: ${wanted.problem}`, permanent: true };
      const startedAt = performance.now();
      const answer = await read(kube, externalPath(wanted));
      onQuery?.({ server: new URL(kube.server).origin, seconds: (performance.now() - startedAt) / 1000, ok: answer.kind === 'samples' });
      return answer;
    },
  };
}

async function read(kube: KubeClient, path: string): Promise<ProviderAnswer> {
  try {
    const list = externalMetrics.safeParse(await kube.raw(path)).data;
    if (!list) return { kind: 'failed', message: 'the external metrics API answered with something that is not an ExternalMetricValueList', permanent: false };
    const samples: Sample[] = [];
    for (const { metricLabels, value } of list.items ?? []) {
      const number = quantityValue(String(value));
      if (number === undefined) return { kind: 'failed', message: 'the external metrics API answered with a value that is not a quantity', permanent: false };
      samples.push({ labels: metricLabels ?? {}, value: number });
    }
    return { kind: 'samples', samples };
  } catch (error) {
    const answer = kubeFailure(error, FORBIDDEN);
    return answer.kind === 'failed' && /404|not find|not found/i.test(answer.message) ? { ...answer, message: `${answer.message}; ${NO_ADAPTER}` } : answer;
  }
}
