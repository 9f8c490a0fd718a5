import { JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { dynatraceSamples } from './parse.js';
import { dynatraceRequest } from './query.js';

/** Dynatrace: metric selectors of its Metrics API v2. */
export function createDynatraceProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('Dynatrace', options);
  return api.provider(async (query) => {
    const samples = await api.question(dynatraceRequest(query), (answer) => dynatraceSamples(answer, query.from, query.to));
    return { kind: 'samples', samples };
  });
}
