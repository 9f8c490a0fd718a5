import { cloudwatchSettings } from '../../api/metric-providers/cloudwatch.js';
import { Failure, type ApiRequest } from '../json-api.js';
import type { ProviderQuery } from '../provider.js';
import { endpoint, fromTemplate, settingsOf } from '../questions.js';
import { cloudwatchRefusal } from './errors.js';
import { domain } from './keys.js';
import { cloudwatchAnswer, metricDataQueries, type CloudWatchAnswer, type MetricDataQueries } from './schema.js';
import { signed, type AwsKeys } from './sigv4.js';

/** The region and the address that are asked. @throws Failure */
export function cloudwatchPlace(query: ProviderQuery, env: Record<string, string | undefined>): { region: string; url: URL } {
  const region = settingsOf(cloudwatchSettings, query).region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
  if (!region) throw new Failure('spec.provider.cloudwatch.region is needed, such as eu-central-1', true);
  return { region, url: endpoint(query, `https://monitoring.${region}.${domain(region)}`, '/') };
}

/** What the template asks. @throws Failure when it is not the JSON of `MetricDataQueries` */
export function cloudwatchQueries({ query }: ProviderQuery): MetricDataQueries {
  let json: unknown;
  try {
    json = JSON.parse(query);
  } catch {
    throw new Failure('spec.query is not JSON; it must be the MetricDataQueries of GetMetricData', true);
  }
  const parsed = metricDataQueries.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Failure(`spec.query is not a list of MetricDataQueries (${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''})`, true);
}

/** GetMetricData over the time of the evidence, signed with `keys`. */
export function cloudwatchRequest(
  query: ProviderQuery,
  queries: MetricDataQueries,
  place: { region: string; url: URL },
  keys: AwsKeys,
  now: number,
): ApiRequest<CloudWatchAnswer> {
  const body = JSON.stringify({
    MetricDataQueries: queries,
    StartTime: Math.floor(query.from / 1000),
    EndTime: Math.ceil(query.to / 1000),
    ScanBy: 'TimestampDescending',
  });
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'GraniteServiceVersion20100801.GetMetricData' };
  return {
    url: place.url,
    body,
    ...fromTemplate(query, [keys.secretAccessKey, keys.sessionToken ?? '']),
    own: signed({ method: 'POST', url: place.url, headers, body }, keys, { region: place.region, service: 'monitoring' }, now),
    answer: cloudwatchAnswer,
    refusal: cloudwatchRefusal,
  };
}
