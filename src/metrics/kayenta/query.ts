import { kayentaSettings, type KayentaSettings } from '../../api/metric-providers/kayenta.js';
import { authorizationOf } from '../http-auth.js';
import { Failure, type ApiRequest, type Refusal } from '../json-api.js';
import type { ProviderQuery } from '../provider.js';
import { endpoint, fromTemplate, settingsOf } from '../questions.js';
import { configList, execution, kayentaError, kayentaScopes, started, type ConfigList, type Execution, type KayentaScopes, type Started } from './schema.js';

/** Seconds between the points that Kayenta compares, where the query says nothing. */
const DEFAULT_STEP_SECONDS = 60;

/** What is asked of Kayenta. */
export interface Analysis {
  query: ProviderQuery;
  settings: KayentaSettings;
  scopes: KayentaScopes;
}

/** @throws Failure when settings or query are not as they must be */
export function analysisOf(query: ProviderQuery): Analysis {
  const settings = settingsOf(kayentaSettings, query);
  if (query.address === '') throw new Failure('spec.provider.address is needed: that of Kayenta', true);
  let json: unknown;
  try {
    json = JSON.parse(query.query);
  } catch {
    throw new Failure('spec.query is not JSON; it must be the scopes, such as {"default": {"controlScope": {"scope": …}, "experimentScope": {"scope": …}}}', true);
  }
  const parsed = kayentaScopes.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Failure(`spec.query is not the scopes of a canary analysis (${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''})`, true);
  }
  return { query, settings, scopes: parsed.data };
}

export const configsRequest = ({ query, settings }: Analysis): ApiRequest<ConfigList> =>
  request(query, '/canaryConfig', { application: settings.application, configurationAccountName: settings.configurationAccountName }, configList);

/** Begins an analysis of the time of the evidence. */
export function startRequest({ query, settings, scopes }: Analysis, configId: string): ApiRequest<Started> {
  const { application, metricsAccountName, configurationAccountName, storageAccountName, thresholds } = settings;
  const time = { start: new Date(query.from).toISOString(), end: new Date(query.to).toISOString(), step: DEFAULT_STEP_SECONDS };
  const timed = Object.entries(scopes).map(([name, { controlScope, experimentScope, ...more }]) => [
    name,
    { ...more, controlScope: { ...time, ...controlScope }, experimentScope: { ...time, ...experimentScope } },
  ]);
  const parameters = { application, metricsAccountName, configurationAccountName, storageAccountName };
  return {
    ...request(query, `/canary/${encodeURIComponent(configId)}`, parameters, started),
    body: JSON.stringify({ scopes: Object.fromEntries(timed) as unknown, thresholds }),
  };
}

export const resultRequest = ({ query, settings }: Analysis, executionId: string): ApiRequest<Execution> =>
  request(query, `/canary/${encodeURIComponent(executionId)}`, { storageAccountName: settings.storageAccountName }, execution);

function request<T>(query: ProviderQuery, path: string, parameters: Record<string, string>, answer: ApiRequest<T>['answer']): ApiRequest<T> {
  const url = endpoint(query, '', path);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  // Kayenta itself knows no users; a gateway before it may.
  const authorization = authorizationOf(query);
  return {
    url,
    ...fromTemplate(query, Object.values(authorization)),
    own: { 'Content-Type': 'application/json', ...authorization },
    answer,
    refusal,
  };
}

function refusal(body: unknown): Refusal | undefined {
  const error = kayentaError.safeParse(body).data;
  return error && { message: error.message ?? error.error ?? '' };
}
