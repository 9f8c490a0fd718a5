import { describe, expect, it } from 'vitest';
import { PrometheusClient } from '../../src/metrics/prometheus/client.js';
import { createPrometheusProvider } from '../../src/metrics/prometheus/provider.js';
import type { ProviderQuery } from '../../src/metrics/provider.js';
import { askOnce, behavesWhenServerDoesNot, QUERY, type Subject } from './misbehaving.js';
import { vector, type Answer } from './scripted-server.js';

const subjectFor = (more: Partial<ProviderQuery> = {}): Subject => ({
  create: (options) => createPrometheusProvider(new PrometheusClient(options)),
  question: (address) => ({
    ...QUERY,
    address,
    provider: { type: 'prometheus', insecureSkipVerify: false, secretRef: { name: 'prometheus' }, headers: { 'X-Scope-OrgID': 'tenant-of-shop' } },
    credentials: { token: 'prometheus-token' },
    ...more,
  }),
  nothing: { 'no series': vector(), NaN: vector([{}, 'NaN']) },
  strange: {
    text: vector([{}, 'lots']),
    'a number where text belongs': { body: { status: 'success', data: { resultType: 'vector', result: [{ metric: {}, value: [1, 2] }] } } },
    'a label that is no text': { body: { status: 'success', data: { resultType: 'vector', result: [{ metric: { a: 1 }, value: [1, '2'] }] } } },
    'an error of the server': { status: 422, body: { status: 'error', errorType: 'execution', error: 'too many samples' } },
  },
  malformed: { 'a query that cannot be parsed': { status: 400, body: { status: 'error', errorType: 'bad_data', error: '1:3: parse error: unexpected end' } } },
});

behavesWhenServerDoesNot(subjectFor());

describe('Prometheus', () => {
  it.each<[string, Partial<ProviderQuery>, Record<string, unknown>]>([
    ['a bearer token', { credentials: { token: 'abc\n' } }, { authorization: 'Bearer abc' }],
    ['a user and a password', { credentials: { username: 'joe', password: 'pw' } }, { authorization: `Basic ${Buffer.from('joe:pw').toString('base64')}` }],
    ['the tenant of Mimir', {}, { 'x-scope-orgid': 'tenant-of-shop' }],
    ['the tenant of Thanos', { provider: { type: 'prometheus', insecureSkipVerify: false, headers: { 'THANOS-TENANT': 'shop' } } }, { 'thanos-tenant': 'shop' }],
  ])('%s is sent', async (_name, more, headers) => {
    expect((await askOnce(subjectFor(more), vector([{}, '1']))).asked[0]?.headers).toMatchObject(headers);
  });

  it('the tenant of VictoriaMetrics is part of the address', async () => {
    const subject = subjectFor();
    const { asked } = await askOnce({ ...subject, question: (address) => subject.question(`${address}/select/42/prometheus`) }, vector([{}, '1']));
    expect(asked[0]?.path).toBe('/select/42/prometheus/api/v1/query');
  });
});

describe('a range query', () => {
  const matrix = (...series: unknown[]): Answer => ({ body: { status: 'success', data: { resultType: 'matrix', result: series } } });
  async function range(answer: Answer) {
    let result: unknown;
    const { asked } = await askOnce(
      {
        ...subjectFor(),
        create: (options) => ({
          ask: async ({ address, query, from, to }) => {
            result = await new PrometheusClient(options).queryRange({ server: address, query, start: from, end: to, stepMs: 2_500 });
            return { kind: 'samples', samples: [] };
          },
        }),
      },
      answer,
    );
    return { result, asked };
  }

  it('asks for each step and gives milliseconds', async () => {
    const { result, asked } = await range(matrix({ metric: { a: 'b' }, values: [[1_700_000_000, '1'], [1_700_000_002.5, 'NaN'], [1_700_000_005, '+Inf']] }));
    expect(result).toEqual({ kind: 'series', series: [{ labels: { a: 'b' }, values: [[1_700_000_000_000, 1], [1_700_000_002_500, Number.NaN], [1_700_000_005_000, Number.POSITIVE_INFINITY]] }] });
    expect(asked[0]?.path).toBe('/api/v1/query_range');
    expect(Object.fromEntries(new URLSearchParams(asked[0]?.body))).toEqual({ query: 'up', start: '1700000000.000', end: '1700000060.000', step: '2.500' });
  });

  it.each<[string, Answer, boolean]>([
    ['too many points', { status: 400, body: { status: 'error', errorType: 'bad_data', error: 'exceeded maximum resolution of 11,000 points' } }, true],
    ['an instant vector', { body: '{"status":"success","data":{"resultType":"vector","result":[]}}' }, false],
    ['a value that is no number', matrix({ metric: {}, values: [[1, 'x']] }), false],
    ['values that are no list', matrix({ metric: {}, values: 'x' }), false],
    ['a page', { body: '<html>', type: 'text/html' }, false],
  ])('%s is a failure', async (_name, answer, permanent) => {
    expect((await range(answer)).result).toMatchObject({ kind: 'failed', permanent });
  });
});
