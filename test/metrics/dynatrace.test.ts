import { describe, expect, it } from 'vitest';
import { createDynatraceProvider } from '../../src/metrics/dynatrace/index.js';
import { behavesWhenServerDoesNot } from './misbehaving.js';
import { failure, FROM, internet, question, samples, TO, type Reply } from './service.js';

const KEYS = { dynatrace_token: 'dt0c01.ABCDEF.0123456789' };
const ADDRESS = 'https://abc12345.live.dynatrace.com';
const SELECTOR = 'builtin:service.errors.total.rate:filter(eq("dt.entity.service","SERVICE-1"))';
const ask = (dynatrace?: { resolution?: string; entitySelector?: string }, address = ADDRESS) =>
  question({ type: 'dynatrace', address, dynatrace: dynatrace && { resolution: '1m', ...dynatrace } }, KEYS, { query: SELECTOR });

const series = (values: (number | null)[], dimensions: Record<string, string> = {}, ends = values.map((_, index) => FROM + (index + 1) * 20_000)) => ({
  dimensions: Object.values(dimensions),
  dimensionMap: dimensions,
  timestamps: ends,
  values,
});
const ok = (data: unknown[], more = {}) => ({
  totalCount: data.length,
  nextPageKey: null,
  resolution: '20s',
  result: [{ metricId: SELECTOR, dataPointCountRatio: 0.001, dimensionCountRatio: 0.001, data }],
  ...more,
});

async function answers(reply: Reply, query = ask()) {
  const { http, asked } = internet(() => reply);
  return { answer: await createDynatraceProvider({ http, timeoutMs: 1_000, now: () => TO }).ask(query), asked };
}

describe('Dynatrace', () => {
  it('is asked over the time of the evidence', async () => {
    const { asked } = await answers({ json: ok([]) }, ask({ resolution: 'Inf', entitySelector: 'type(SERVICE)' }, `${ADDRESS}/e/1/`));
    const { url, headers } = asked[0] ?? { url: new URL('x:y'), headers: {} };
    expect(`${url.origin}${url.pathname}`).toBe(`${ADDRESS}/e/1/api/v2/metrics/query`);
    expect(Object.fromEntries(url.searchParams)).toEqual({ metricSelector: SELECTOR, from: String(FROM), to: String(TO), resolution: 'Inf', entitySelector: 'type(SERVICE)' });
    expect(headers).toMatchObject({ authorization: 'Api-Token dt0c01.ABCDEF.0123456789' });
  });

  it('asks for points of a minute where the template says nothing', async () => {
    expect((await answers({ json: ok([]) })).asked[0]?.url.searchParams.get('resolution')).toBe('1m');
  });

  it('gives the newest point that ended in the evidence, every series of it', async () => {
    const data = [series([1, 2, null], { 'dt.entity.host': 'HOST-1' }), series([4, 5, 6], { 'dt.entity.host': 'HOST-2' }, [FROM, FROM + 60_000, FROM + 120_000])];
    expect(samples((await answers({ json: ok(data, { resolution: '1m' }) })).answer)).toEqual([
      { labels: { metric: SELECTOR, 'dt.entity.host': 'HOST-1' }, value: Number.NaN },
      { labels: { metric: SELECTOR, 'dt.entity.host': 'HOST-2' }, value: 5 },
    ]);
  });

  it('takes the distance of the points where the answer does not say how long they are', async () => {
    const at = (...ends: number[]) => answers({ json: ok([series([1, null], {}, ends)], { resolution: null }) });
    expect(samples((await at(FROM + 20_000, FROM + 40_000)).answer)[0]?.value).toBe(1);
    expect(samples((await at(FROM + 19_999, FROM + 39_999)).answer)[0]?.value).toBeNaN();
  });

  it('an aggregate of the whole interval is taken as it is', async () => {
    expect(samples((await answers({ json: ok([series([9], {}, [TO + 1])], { resolution: 'Inf' }) })).answer)[0]?.value).toBe(9);
  });

  it('more series than one answer holds are an error', async () => {
    expect(failure((await answers({ json: ok([], { nextPageKey: 'abc' }) })).answer)).toMatchObject({ permanent: true, message: expect.stringContaining(':splitBy()') as string });
  });

  it('says what is wrong with the selector', async () => {
    const error = { code: 400, message: 'Constraints violated.', constraintViolations: [{ path: 'metricSelector', message: 'could not be parsed: unexpected end', parameterLocation: 'QUERY', location: null }] };
    expect(failure((await answers({ status: 400, json: { error } })).answer)).toMatchObject({
      permanent: true,
      message: 'Dynatrace at abc12345.live.dynatrace.com refused the query: Constraints violated.; could not be parsed: unexpected end',
    });
  });

  it('says which right the token lacks', async () => {
    const error = { code: 403, message: 'Token is missing required scope. Use one of: metrics.read' };
    expect(failure((await answers({ status: 403, json: { error } })).answer)).toMatchObject({
      permanent: false,
      message: 'Dynatrace at abc12345.live.dynatrace.com answered 403: Token is missing required scope. Use one of: metrics.read; look at the Secret "keys"',
    });
  });

  it('has no address of its own', async () => {
    expect(failure((await answers({ json: ok([]) }, question({ type: 'dynatrace' }, KEYS))).answer)).toMatchObject({ permanent: true, message: expect.stringContaining('spec.provider.address is needed') as string });
  });
});

behavesWhenServerDoesNot({
  create: createDynatraceProvider,
  question: (address) => ask(undefined, address),
  nothing: { 'no metric': { body: ok([], { result: [] }) }, 'no series': { body: ok([]) }, 'only null': { body: ok([series([null, null])]) } },
  strange: {
    'text for a value': { body: ok([{ ...series([]), timestamps: [FROM], values: ['many'] }]) },
    'fewer values than timestamps': { body: ok([{ ...series([]), timestamps: [FROM, TO], values: [1] }]) },
  },
  malformed: { 'a selector that does not parse': { status: 400, body: { error: { code: 400, message: 'Constraints violated.' } } } },
});
