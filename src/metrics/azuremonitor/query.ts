import type { AzureMonitorSettings } from '../../api/metric-providers/azuremonitor.js';
import { Failure, type ApiRequest, type Refusal } from '../json-api.js';
import { promqlAnswer, promqlRefusal } from '../prometheus-answer.js';
import type { ProviderQuery } from '../provider.js';
import { endpoint, fromTemplate } from '../questions.js';
import { CLOUDS, type Cloud } from './clouds.js';
import type { Purpose } from './identity.js';
import { AGGREGATES, azureError, logsAnswer, metricsAnswer, type Aggregate, type LogsAnswer, type MetricsAnswer } from './schema.js';

const API_VERSION = '2023-10-01';

/** A query of the Metrics API, and which of a point's aggregates it asked for. */
export interface MetricsQuery {
  purpose: Purpose;
  aggregate: Aggregate;
}

const timespan = ({ from, to }: ProviderQuery): string => `${new Date(from).toISOString()}/${new Date(to).toISOString()}`;

/** @throws Failure when the query is not one of the Metrics API */
export function metricsQuery(query: ProviderQuery, { cloud: name }: AzureMonitorSettings, resource: string): MetricsQuery {
  const cloud = CLOUDS[name];
  // People write a plus and mean it.
  const asked = new URLSearchParams(query.query.trim().replace(/^\?/, '').replaceAll('+', '%2B'));
  const aggregate = AGGREGATES.find((one) => one === asked.get('aggregation')?.toLowerCase());
  if (!asked.get('metricnames') || !aggregate) {
    throw new Failure('spec.query must be a query of the Metrics API with metricnames and one aggregation, such as metricnames=Http5xx&aggregation=Total', true);
  }
  const url = endpoint(query, cloud.management, `${resource}/providers/Microsoft.Insights/metrics`);
  asked.set('timespan', timespan(query));
  asked.set('api-version', API_VERSION);
  url.search = asked.toString().replaceAll('+', '%20');
  return { purpose: { cloud, audience: cloud.management, url }, aggregate };
}

export const metricsRequest = (query: ProviderQuery, { url }: Purpose, token: string): ApiRequest<MetricsAnswer> => ({
  url,
  ...fromTemplate(query, [token]),
  own: { Authorization: `Bearer ${token}` },
  answer: metricsAnswer,
  refusal,
});

/** @throws Failure */
export function logsPurpose(query: ProviderQuery, { cloud: name }: AzureMonitorSettings, workspace: string): Purpose {
  const cloud = CLOUDS[name];
  return { cloud, audience: cloud.logs, url: endpoint(query, cloud.logs, `/v1/workspaces/${workspace}/query`) };
}

export const logsRequest = (query: ProviderQuery, { url }: Purpose, token: string): ApiRequest<LogsAnswer> => ({
  url,
  body: JSON.stringify({ query: query.query, timespan: timespan(query) }),
  ...fromTemplate(query, [token]),
  own: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
  answer: logsAnswer,
  refusal,
});

/** @throws Failure when no address says which Azure Monitor workspace is meant */
export function prometheusPurpose(query: ProviderQuery, { cloud: name }: AzureMonitorSettings): Purpose {
  if (query.address === '') {
    const choice = 'azuremonitor.resource (metrics of a resource), azuremonitor.workspace (KQL) or address (PromQL of an Azure Monitor workspace)';
    throw new Failure(`spec.provider needs ${choice}`, true);
  }
  const url = endpoint(query, '', '/api/v1/query');
  const ofHost = Object.values(CLOUDS).find((cloud: Cloud) => url.hostname.endsWith(`.${cloud.prometheus}`));
  const cloud = ofHost ?? CLOUDS[name];
  return { cloud, audience: `https://${cloud.prometheus}`, url };
}

export const prometheusRequest = (query: ProviderQuery, { url }: Purpose, token: string): ApiRequest<ReturnType<typeof promqlAnswer.parse>> => ({
  url,
  body: new URLSearchParams({ query: query.query, time: (query.to / 1000).toFixed(3) }).toString(),
  ...fromTemplate(query, [token]),
  own: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/x-www-form-urlencoded' },
  answer: promqlAnswer,
  refusal: (body) => promqlRefusal(body) ?? refusal(body),
});

function refusal(body: unknown): Refusal | undefined {
  const error = azureError.safeParse(body).data?.error;
  if (!error) return undefined;
  const words: string[] = [];
  for (let one: typeof error | undefined = error; one; one = one.innererror) words.push([one.code, one.message].filter(Boolean).join(': '));
  return { message: words.join('; '), busy: /TooManyRequests|Throttl/i.test(error.code ?? '') };
}
