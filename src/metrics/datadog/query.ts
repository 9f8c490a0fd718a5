import { datadogSettings } from '../../api/metric-providers/datadog.js';
import type { ApiRequest, Refusal } from '../json-api.js';
import type { ProviderQuery } from '../provider.js';
import { credential, endpoint, fromTemplate, settingsOf } from '../questions.js';
import { datadogAnswer, datadogError, type DatadogAnswer } from './schema.js';

/** The query in the time of the evidence, with the two keys that Datadog wants. @throws Failure */
export function datadogRequest(query: ProviderQuery): ApiRequest<DatadogAnswer> {
  const { site } = settingsOf(datadogSettings, query);
  const url = endpoint(query, `https://api.${site}`, '/api/v1/query');
  url.searchParams.set('from', String(Math.floor(query.from / 1000)));
  url.searchParams.set('to', String(Math.ceil(query.to / 1000)));
  url.searchParams.set('query', query.query);
  return {
    url,
    ...fromTemplate(query),
    own: {
      'DD-API-KEY': credential(query, 'datadog_api_key'),
      'DD-APPLICATION-KEY': credential(query, 'datadog_application_key'),
    },
    answer: datadogAnswer,
    refusal,
  };
}

function refusal(body: unknown): Refusal | undefined {
  const error = datadogError.safeParse(body).data;
  return error && { message: error.error ?? error.errors?.join('; ') ?? '' };
}
