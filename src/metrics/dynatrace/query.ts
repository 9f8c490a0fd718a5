import { dynatraceSettings } from '../../api/metric-providers/dynatrace.js';
import { Failure, type ApiRequest, type Refusal } from '../json-api.js';
import type { ProviderQuery } from '../provider.js';
import { credential, endpoint, fromTemplate, settingsOf } from '../questions.js';
import { dynatraceAnswer, dynatraceError, type DynatraceAnswer } from './schema.js';

/** The metric selector in the time of the evidence. @throws Failure */
export function dynatraceRequest(query: ProviderQuery): ApiRequest<DynatraceAnswer> {
  const { resolution, entitySelector } = settingsOf(dynatraceSettings, query);
  if (query.address === '') {
    const example = 'https://abc12345.live.dynatrace.com';
    throw new Failure(`spec.provider.address is needed: that of the environment, such as ${example}`, true);
  }
  const url = endpoint(query, '', '/api/v2/metrics/query');
  url.searchParams.set('metricSelector', query.query.trim());
  url.searchParams.set('from', String(query.from));
  url.searchParams.set('to', String(query.to));
  url.searchParams.set('resolution', resolution);
  if (entitySelector !== undefined) url.searchParams.set('entitySelector', entitySelector);
  return {
    url,
    ...fromTemplate(query),
    own: { Authorization: `Api-Token ${credential(query, 'dynatrace_token')}` },
    answer: dynatraceAnswer,
    refusal,
  };
}

function refusal(body: unknown): Refusal | undefined {
  const error = dynatraceError.safeParse(body).data?.error;
  return error && { message: [error.message, ...(error.constraintViolations ?? []).map((one) => one.message)].join('; ') };
}
