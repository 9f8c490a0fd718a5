import { stackdriverSettings } from '../../api/metric-providers/stackdriver.js';
import { JsonApi } from '../json-api.js';
import { promqlSamples } from '../prometheus-answer.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { settingsOf } from '../questions.js';
import { GoogleIdentity, keyOf } from './identity.js';
import { mqlSamples } from './parse.js';
import { mqlRequest, projectOf, promqlRequest } from './query.js';

/** Google Cloud Monitoring, which once was Stackdriver: PromQL, and MQL where it is still in use. */
export function createStackdriverProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('Google Cloud Monitoring', options);
  const identity = new GoogleIdentity(options);
  return api.provider(async (query) => {
    const settings = settingsOf(stackdriverSettings, query);
    const key = keyOf(query);
    const project = projectOf(query, settings, key);
    const token = await identity.token(query, key);
    const samples =
      settings.language === 'mql'
        ? await api.question(mqlRequest(query, project, token), (answer) => mqlSamples(answer, query.from, query.to))
        : await api.question(promqlRequest(query, project, settings.location, token), promqlSamples);
    return { kind: 'samples', samples };
  });
}
