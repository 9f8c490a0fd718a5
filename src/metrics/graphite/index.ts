import { JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { graphiteSamples } from './parse.js';
import { graphiteRequest } from './query.js';

/** Graphite and what speaks its render API (carbonapi, go-graphite). */
export function createGraphiteProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('Graphite', options);
  return api.provider(async (query) => ({ kind: 'samples', samples: await api.question(graphiteRequest(query), graphiteSamples) }));
}
