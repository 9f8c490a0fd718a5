import { JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { datadogSamples } from './parse.js';
import { datadogRequest } from './query.js';

/** Datadog: metrics queries of its v1 API. */
export function createDatadogProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('Datadog', options);
  return api.provider(async (query) => {
    const samples = await api.question(datadogRequest(query), (answer) => datadogSamples(answer, query.from, query.to));
    return { kind: 'samples', samples };
  });
}
