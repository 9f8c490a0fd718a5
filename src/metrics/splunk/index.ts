import { JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { splunkSamples } from './parse.js';
import { splunkRequest } from './query.js';

/** Splunk Observability Cloud: SignalFlow programs. */
export function createSplunkProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('Splunk', options);
  return api.provider(async (query) => {
    const samples = await api.question(splunkRequest(query), (answer) => splunkSamples(answer, query.from, query.to));
    return { kind: 'samples', samples };
  });
}
