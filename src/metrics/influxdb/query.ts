import type { InfluxdbSettings } from '../../api/metric-providers/influxdb.js';
import { Failure, type ApiRequest, type Refusal } from '../json-api.js';
import { authorizationOf } from '../http-auth.js';
import type { ProviderQuery } from '../provider.js';
import { endpoint, fromTemplate } from '../questions.js';
import { fluxRows } from './csv.js';
import { fluxAnswer, influxError, influxqlAnswer, type FluxAnswer, type InfluxqlAnswer } from './schema.js';

/** InfluxQL, of InfluxDB 1. By GET it can only read. @throws Failure */
export function influxqlRequest(query: ProviderQuery, settings: InfluxdbSettings & { database: string }): ApiRequest<InfluxqlAnswer> {
  const url = endpoint(query, '', '/query');
  url.searchParams.set('db', settings.database);
  if (settings.retentionPolicy !== undefined) url.searchParams.set('rp', settings.retentionPolicy);
  url.searchParams.set('q', query.query);
  url.searchParams.set('epoch', 'ms');
  return { url, ...fromTemplate(query), own: authorizationOf(query), answer: influxqlAnswer, refusal };
}

/** Flux, of InfluxDB 2; `now()` is the end of the evidence. @throws Failure */
export function fluxRequest(query: ProviderQuery, settings: InfluxdbSettings): ApiRequest<FluxAnswer> {
  const org = settings.org ?? query.credentials?.['org']?.trim();
  if (!org) throw new Failure('spec.provider.influxdb needs database (for InfluxQL) or org (for Flux); org may be in the Secret, too', true);
  const url = endpoint(query, '', '/api/v2/query');
  url.searchParams.set('org', org);
  const body = { query: query.query, type: 'flux', now: new Date(query.to).toISOString(), dialect: { header: true, delimiter: ',', annotations: ['datatype', 'group', 'default'] } };
  return {
    url,
    body: JSON.stringify(body),
    ...fromTemplate(query),
    own: { ...authorizationOf(query, 'Token'), Accept: 'application/csv', 'Content-Type': 'application/json' },
    answer: fluxAnswer,
    decode: (text) => (/^\s*\{/.test(text) ? (JSON.parse(text) as unknown) : { rows: fluxRows(text) }),
    refusal,
  };
}

function refusal(body: unknown): Refusal | undefined {
  const error = influxError.safeParse(body).data;
  if (!error) return undefined;
  return { message: 'error' in error ? error.error : error.message, ...(error.code === 'too many requests' ? { busy: true } : {}) };
}
