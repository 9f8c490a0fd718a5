import { JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { newrelicSamples } from './parse.js';
import { newrelicRequest } from './query.js';

/** New Relic: NRQL by NerdGraph. */
export function createNewRelicProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('New Relic', options);
  return api.provider(async (query) => {
    const samples = await api.question(newrelicRequest(query), (answer) => newrelicSamples(answer, query.from, query.to));
    return { kind: 'samples', samples };
  });
}
