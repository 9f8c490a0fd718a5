import { describe, expect, it } from 'vitest';
import { createSplunkProvider } from '../../src/metrics/splunk/index.js';
import { behavesWhenServerDoesNot } from './misbehaving.js';
import { failure, FROM, internet, question, samples, TO, type Reply } from './service.js';

const KEYS = { sf_token_key: 'sf-token-0123456789' };
const PROGRAM = "data('requests.errors', filter=filter('service', 'reviews')).sum().publish(label='errors')";
const ask = (provider: object = { splunk: { realm: 'eu0' } }, credentials = KEYS) => question({ type: 'splunk', ...provider }, credentials, { query: PROGRAM });

/** As the service writes them: the JSON of a message over several data lines. */
const message = (event: string, data: unknown): string =>
  `event: ${event}\n${JSON.stringify(data, undefined, 2)
    .split('\n')
    .map((line) => `data: ${line}`)
    .join('\n')}\n\n`;
const start = message('control-message', { event: 'STREAM_START', timestampMs: TO }) + message('control-message', { event: 'JOB_START', handle: 'AAAA', timestampMs: TO });
const end = message('control-message', { event: 'END_OF_CHANNEL', timestampMs: TO });
const metadata = (tsId: string, more: Record<string, unknown> = {}) =>
  message('metadata', { tsId, properties: { sf_key: ['sf_metric', 'host'], sf_metric: '_SF_COMP_1', sf_streamLabel: 'errors', sf_resolutionMs: 20_000, jobId: 'x', ...more } });
const data = (at: number, ...values: [tsId: string, value: unknown][]) => message('data', { data: values.map(([tsId, value]) => ({ tsId, value })), logicalTimestampMs: at });
const stream = (...parts: string[]): Reply => ({ body: [start, ...parts, end].join(''), headers: { 'content-type': 'text/event-stream' } });

async function answers(reply: Reply, query = ask()) {
  const { http, asked } = internet(() => reply);
  return { answer: await createSplunkProvider({ http, timeoutMs: 1_000, now: () => TO }).ask(query), asked };
}

describe('Splunk', () => {
  it('computes the program over the time of the evidence, at once', async () => {
    const { asked } = await answers(stream(), ask({ splunk: { realm: 'eu0', resolution: '10s' } }));
    const { url, headers, body } = asked[0] ?? { url: new URL('x:y'), headers: {} };
    expect(`${url.origin}${url.pathname}`).toBe('https://stream.eu0.signalfx.com/v2/signalflow/execute');
    expect(Object.fromEntries(url.searchParams)).toEqual({ start: String(FROM), stop: String(TO), immediate: 'true', resolution: '10000' });
    expect(headers).toMatchObject({ 'x-sf-token': 'sf-token-0123456789', 'content-type': 'text/plain' });
    expect(body).toBe(PROGRAM);
  });

  it('understands the address of the API, which Flagger has in its templates', async () => {
    const { asked } = await answers(stream(), ask({ address: 'https://api.us1.signalfx.com' }));
    expect(asked[0]?.url.host).toBe('stream.us1.signalfx.com');
  });

  it('gives the newest complete point of each time series', async () => {
    const reply = stream(
      metadata('A', { host: 'a' }),
      metadata('B', { host: 'b' }),
      data(FROM - 20_000, ['A', 1], ['B', 1]),
      data(FROM, ['A', 2], ['B', 3]),
      data(FROM + 20_000, ['A', 4], ['B', null]),
      data(FROM + 41_000, ['A', 5], ['B', 5]),
    );
    expect(samples((await answers(reply)).answer)).toEqual([
      { labels: { sf_streamLabel: 'errors', host: 'a' }, value: 4 },
      { labels: { sf_streamLabel: 'errors', host: 'b' }, value: 3 },
    ]);
  });

  it('lines may end as they like, and comments mean nothing', async () => {
    const { body = '' } = stream(metadata('A'), data(FROM, ['A', 7]));
    expect(samples((await answers({ body: `: hello\r\n\r\n${body.replaceAll('\n', '\r\n')}` })).answer)[0]?.value).toBe(7);
  });

  it('a computation that broke off has no result', async () => {
    const reply = { body: start + metadata('A') + data(FROM, ['A', 7]) };
    expect(failure((await answers(reply)).answer)).toMatchObject({ permanent: false, message: 'the stream of Splunk broke off before the computation was at its end' });
  });

  it('a computation that was given up has none, either', async () => {
    const reply = stream(metadata('A'), data(FROM, ['A', 7]), message('control-message', { event: 'CHANNEL_ABORT', abortInfo: { sf_job_abortReason: 'x' } }));
    expect(failure((await answers(reply)).answer)).toMatchObject({ permanent: false, message: 'Splunk gave the computation up' });
  });

  it('says what is wrong with the program, in a stream as well', async () => {
    const text = "ANALYTICS_PROGRAM_NAME_ERROR: 'dat' is not defined";
    for (const reply of [{ status: 400, json: { code: 400, message: text } }, { body: message('error', { error: 400, errors: [{ code: 'X', message: text }], message: null }) }]) {
      expect(failure((await answers(reply)).answer)).toMatchObject({ permanent: true, message: `Splunk at stream.eu0.signalfx.com refused the query: ${text}` });
    }
  });

  it('needs to be told where', async () => {
    expect(failure((await answers(stream(), ask({}))).answer)).toMatchObject({ permanent: true, message: expect.stringContaining('spec.provider.splunk.realm') as string });
  });
});

behavesWhenServerDoesNot({
  create: createSplunkProvider,
  question: (address) => ask({ address }),
  nothing: {
    'nothing published': { body: stream().body ?? '' },
    'a series without points': { body: stream(metadata('A')).body ?? '' },
    'only null': { body: stream(metadata('A'), data(FROM, ['A', null])).body ?? '' },
    NaN: { body: stream(metadata('A'), data(FROM, ['A', 'NaN'])).body ?? '' },
  },
  strange: {
    'text for a value': { body: stream(metadata('A'), data(FROM, ['A', 'many'])).body ?? '' },
    'data that are no JSON': { body: `${start}event: data\ndata: {"data": [\n\n${end}` },
  },
  malformed: { 'a program that does not parse': { status: 400, body: { code: 400, message: 'syntax error' } } },
});
