import { azuremonitorSettings } from '../../api/metric-providers/azuremonitor.js';
import { Failure, JsonApi } from '../json-api.js';
import { promqlSamples } from '../prometheus-answer.js';
import type { Sample } from '../prometheus/client.js';
import type { MetricProvider, ProviderOptions, ProviderQuery } from '../provider.js';
import { settingsOf } from '../questions.js';
import { systemSurroundings, type Surroundings } from '../surroundings.js';
import { AzureIdentity } from './identity.js';
import { logsSamples, metricsSamples } from './parse.js';
import { logsPurpose, logsRequest, metricsQuery, metricsRequest, prometheusPurpose, prometheusRequest } from './query.js';

/** Azure Monitor: metrics of a resource, KQL of a Log Analytics workspace, or PromQL of an Azure Monitor workspace. */
export function createAzureMonitorProvider(options: ProviderOptions, surroundings: Surroundings = systemSurroundings): MetricProvider {
  const api = new JsonApi('Azure Monitor', options);
  const identity = new AzureIdentity(options, surroundings);
  async function samples(query: ProviderQuery): Promise<Sample[]> {
    const settings = settingsOf(azuremonitorSettings, query);
    const { resource, workspace } = settings;
    if (resource !== undefined && workspace !== undefined) {
      throw new Failure('set spec.provider.azuremonitor.resource or .workspace, not both', true);
    }
    if (resource !== undefined) {
      const { purpose, aggregate } = metricsQuery(query, settings, resource);
      const token = await identity.token(query, purpose);
      return await api.question(metricsRequest(query, purpose, token), (answer) => metricsSamples(answer, aggregate, query.from, query.to));
    }
    if (workspace !== undefined) {
      const purpose = logsPurpose(query, settings, workspace);
      return await api.question(logsRequest(query, purpose, await identity.token(query, purpose)), logsSamples);
    }
    const purpose = prometheusPurpose(query, settings);
    return await api.question(prometheusRequest(query, purpose, await identity.token(query, purpose)), promqlSamples);
  }
  return api.provider(async (query) => ({ kind: 'samples', samples: await samples(query) }));
}
