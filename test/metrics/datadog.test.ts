import { describe, expect, it } from 'vitest';
import { createDatadogProvider } from '../../src/metrics/datadog/index.js';
import type { ProviderQuery } from '../../src/metrics/provider.js';
import { askOnce, behavesWhenServerDoesNot, discreet, type Subject } from './misbehaving.js';
import { failure, FROM, internet, question, samples, TO, type Reply } from './service.js';

const KEYS = { datadog_api_key: 'api-key-0123456789\n', datadog_application_key: 'application-key-9876543210' };
const ask = (over: Partial<ProviderQuery> = {}, provider = {}) => question({ type: 'datadog', ...provider }, KEYS, { query: 'avg:requests.errors{service:reviews}', ...over });

const series = (points: [ms: number, value: number | null][], tags: string[] = [], interval: number | null = 20) => ({
  metric: 'requests.errors',
  display_name: 'requests.errors',
  expression: 'avg:requests.errors{service:reviews}',
  scope: tags.join(','),
  tag_set: tags,
  interval,
  length: points.length,
  start: FROM,
  end: TO,
  aggr: 'avg',
  unit: null,
  pointlist: points,
});
const ok = (...all: ReturnType<typeof series>[]) => ({ status: 'ok', res_type: 'time_series', query: 'q', from_date: FROM, to_date: TO, message: '', group_by: [], series: all });

async function answers(reply: Reply, query = ask()) {
  const { http, asked } = internet(({ url }) => (url.host === 'api.datadoghq.com' || url.host === 'api.datadoghq.eu' ? reply : undefined));
  const provider = createDatadogProvider({ http, timeoutMs: 1_000, now: () => TO });
  return { answer: await provider.ask(query), asked };
}

describe('Datadog', () => {
  it('is asked over the time of the evidence, with both keys', async () => {
    const { asked } = await answers({ json: ok() });
    expect(asked).toHaveLength(1);
    const [{ url, headers, method } = { url: new URL('x:y'), headers: {}, method: '' }] = asked;
    expect(method).toBe('GET');
    expect(`${url.origin}${url.pathname}`).toBe('https://api.datadoghq.com/api/v1/query');
    expect(Object.fromEntries(url.searchParams)).toEqual({ from: '1700000000', to: '1700000060', query: 'avg:requests.errors{service:reviews}' });
    expect(headers).toMatchObject({ 'dd-api-key': 'api-key-0123456789', 'dd-application-key': 'application-key-9876543210' });
  });

  it('is asked at the site of the organization', async () => {
    const { asked } = await answers({ json: ok() }, ask({}, { datadog: { site: 'datadoghq.eu' } }));
    expect(asked[0]?.url.host).toBe('api.datadoghq.eu');
  });

  it('headers of the template cannot take the place of the keys', async () => {
    const { asked } = await answers({ json: ok() }, ask({}, { headers: { 'DD-Api-Key': 'other', 'X-Team': 'shop' } }));
    expect(asked[0]?.headers).toMatchObject({ 'dd-api-key': 'api-key-0123456789', 'x-team': 'shop' });
  });

  it('gives the newest point that is complete and lies in the evidence', async () => {
    const points: [number, number | null][] = [
      [FROM - 20_000, 1],
      [FROM, 2],
      [FROM + 20_000, 3],
      [FROM + 40_000, null],
      [FROM + 60_000, 5],
    ];
    expect(samples((await answers({ json: ok(series(points, ['env:prod', 'canary'])) })).answer)).toEqual([
      { labels: { expression: 'avg:requests.errors{service:reviews}', env: 'prod', canary: '' }, value: 3 },
    ]);
  });

  it('a point that has not ended is not judged', async () => {
    expect(samples((await answers({ json: ok(series([[FROM + 40_001, 7]])) })).answer)[0]?.value).toBeNaN();
  });

  it('gives every series', async () => {
    const json = ok(series([[FROM, 1]], ['pod:a']), series([[FROM, 2]], ['pod:b']));
    expect(samples((await answers({ json })).answer).map(({ labels, value }) => [labels['pod'], value])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
  });

  it('says how long it wants to be left alone', async () => {
    const { answer } = await answers({ status: 429, json: { errors: ['Rate limit of 300 requests exceeded'] }, headers: { 'x-ratelimit-reset': '17' } });
    expect(failure(answer)).toMatchObject({ permanent: false, message: expect.stringMatching(/429.*Rate limit.*left alone for 17 s/) as string });
  });

  it('keys that it does not take: the Secret is named, what the server repeats of it is not', async () => {
    const { answer } = await answers({ status: 403, json: { errors: ['Forbidden: application-key-9876543210'] } });
    expect(failure(answer)).toEqual({ kind: 'failed', permanent: false, message: 'Datadog at api.datadoghq.com answered 403: Forbidden: ***; look at the Secret "keys"' });
  });

  it('an error with status 200 is an error', async () => {
    const { answer } = await answers({ json: { status: 'error', error: 'Error parsing query: unable to parse avg:' } });
    expect(failure(answer).message).toContain('unable to parse');
  });

  it('a Secret without a key is named, and may be mended', async () => {
    const query = { ...ask(), credentials: { datadog_api_key: 'x' } };
    expect(failure((await answers({ json: ok() }, query)).answer)).toMatchObject({ permanent: false, message: 'the Secret "keys" has no "datadog_application_key"' });
  });

  it('no Secret is a mistake in the template', async () => {
    const query = question({ type: 'datadog' });
    expect(failure((await answers({ json: ok() }, query)).answer)).toMatchObject({ permanent: true, message: expect.stringContaining('spec.provider.secretRef is needed') as string });
  });
});

const subject: Subject = {
  create: createDatadogProvider,
  question: (address) => ask({ address }, { address, headers: { 'x-tenant': 'tenant-of-mine' } }),
  nothing: {
    'no series': { body: ok() },
    'no points': { body: ok(series([])) },
    'only null': { body: ok(series([[FROM, null]])) },
  },
  strange: {
    'text for a value': { body: { ...ok(), series: [{ ...series([]), pointlist: [[FROM, 'many']] }] } },
    'a point without a value': { body: { ...ok(), series: [{ ...series([]), pointlist: [[FROM]] }] } },
    'no list of series': { body: { status: 'ok', series: null } },
  },
  malformed: { 'a query that does not parse': { status: 400, body: { errors: ['Error parsing query'] } } },
};
behavesWhenServerDoesNot(subject);

it('a server that repeats what it was sent gives nothing away', async () => {
  const { result, question: asked } = await askOnce(subject, ({ headers }) => ({ status: 400, body: { errors: [JSON.stringify(headers)] } }));
  discreet(failure(result).message, asked);
});
