import { webSettings } from '../../api/metric-providers/web.js';
import { Failure, JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions, ProviderQuery } from '../provider.js';
import { settingsOf } from '../questions.js';
import { parsePath, PathError, type Step } from './jsonpath.js';
import { webSamples } from './parse.js';
import { webRequest } from './query.js';

/** Anything that answers JSON; the query is a JSONPath to the number. */
export function createWebProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('the web API', options);
  return api.provider(async (query) => {
    const steps = stepsOf(query);
    const samples = await api.question(webRequest(query, settingsOf(webSettings, query), steps), (document) => webSamples(document, steps));
    return { kind: 'samples', samples };
  });
}

function stepsOf(query: ProviderQuery): Step[] {
  try {
    return parsePath(query.query);
  } catch (error) {
    if (error instanceof PathError) throw new Failure(`spec.query: ${error.message}`, true);
    throw error;
  }
}
