import { JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { systemSurroundings, type Surroundings } from '../surroundings.js';
import { AwsIdentity } from './keys.js';
import { cloudwatchSamples } from './parse.js';
import { cloudwatchPlace, cloudwatchQueries, cloudwatchRequest } from './query.js';

/** Amazon CloudWatch: GetMetricData. */
export function createCloudWatchProvider(options: ProviderOptions, surroundings: Surroundings = systemSurroundings): MetricProvider {
  const api = new JsonApi('CloudWatch', options);
  const identity = new AwsIdentity(options, surroundings);
  return api.provider(async (query) => {
    const queries = cloudwatchQueries(query);
    const place = cloudwatchPlace(query, surroundings.env);
    const keys = await identity.keys(query, place.region, place.url);
    const request = cloudwatchRequest(query, queries, place, keys, options.now());
    const samples = await api.question(request, (answer) => cloudwatchSamples(answer, queries, query.from, query.to));
    return { kind: 'samples', samples };
  });
}
