import { describe, expect, it } from 'vitest';
import { createNewRelicProvider } from '../../src/metrics/newrelic/index.js';
import { behavesWhenServerDoesNot } from './misbehaving.js';
import { failure, FROM, internet, question, samples, TO, type Reply } from './service.js';

const KEYS = { newrelic_account_id: '1234567', newrelic_query_key: 'NRAK-0123456789ABCDEF' };
const NRQL = "SELECT percentage(count(*), WHERE error IS true) FROM Transaction WHERE appName = 'reviews'";
const ask = (query = NRQL, provider = {}, credentials: Record<string, string> = KEYS) => question({ type: 'newrelic', ...provider }, credentials, { query });

const ok = (results: unknown[], facets?: string[]) => ({ data: { actor: { account: { nrql: { results, metadata: { facets: facets ?? null } } } } } });
const wrong = (message: string, errorClass: string, errorCode?: string) => ({
  data: { actor: { account: { nrql: null } } },
  errors: [{ message, path: ['actor', 'account', 'nrql'], extensions: { errorClass, ...(errorCode && { errorCode }) }, locations: [{ line: 2, column: 31 }] }],
});

async function answers(reply: Reply, query = ask()) {
  const { http, asked } = internet(() => reply);
  const answer = await createNewRelicProvider({ http, timeoutMs: 1_000, now: () => TO }).ask(query);
  return { answer, asked, sent: JSON.parse(asked[0]?.body ?? 'null') as { variables: { account: number; nrql: string } } | null };
}

describe('New Relic', () => {
  it('is asked by NerdGraph, over the time of the evidence', async () => {
    const { asked, sent } = await answers({ json: ok([]) });
    expect(asked[0]?.url.href).toBe('https://api.newrelic.com/graphql');
    expect(asked[0]).toMatchObject({ method: 'POST', headers: { 'api-key': 'NRAK-0123456789ABCDEF', 'content-type': 'application/json' } });
    expect(sent?.variables).toEqual({ account: 1_234_567, nrql: `${NRQL} SINCE ${FROM} UNTIL ${TO}` });
  });

  it.each([
    ['the time that the query says itself', `${NRQL} since 5 minutes ago`, `${NRQL} since 5 minutes ago`],
    ['the word in quotes is no time', `${NRQL} AND name = 'since then'`, `${NRQL} AND name = 'since then' SINCE ${FROM} UNTIL ${TO}`],
    ['a semicolon at the end', `${NRQL}; `, `${NRQL} SINCE ${FROM} UNTIL ${TO}`],
  ])('%s', async (_name, query, nrql) => {
    expect((await answers({ json: ok([]) }, ask(query))).sent?.variables.nrql).toBe(nrql);
  });

  it('is asked where the account keeps its data, in the account of the template', async () => {
    const { asked, sent } = await answers({ json: ok([]) }, ask(NRQL, { newrelic: { region: 'eu', accountId: 7 } }, { newrelic_api_key: 'NRAK-0123456789ABCDEF' }));
    expect(asked[0]?.url.href).toBe('https://api.eu.newrelic.com/graphql');
    expect(sent?.variables.account).toBe(7);
  });

  it('takes an address with or without the path of the API', async () => {
    for (const address of ['https://proxy.example.com/nr', 'https://proxy.example.com/nr/graphql']) {
      expect((await answers({ json: ok([]) }, ask(NRQL, { address }))).asked[0]?.url.href).toBe('https://proxy.example.com/nr/graphql');
    }
  });

  it('gives the aggregate', async () => {
    expect(samples((await answers({ json: ok([{ percentage: 1.25 }]) })).answer)).toEqual([{ labels: {}, value: 1.25 }]);
  });

  it('gives a percentile, which lies one level deeper', async () => {
    expect(samples((await answers({ json: ok([{ 'percentile.duration': { '99': 0.8 } }]) })).answer)[0]?.value).toBe(0.8);
  });

  it('gives one sample per facet', async () => {
    const results = [
      { facet: ['a', '200'], host: 'a', httpResponseCode: '200', count: 3 },
      { facet: ['b', '200'], host: 'b', httpResponseCode: '200', count: 4 },
    ];
    expect(samples((await answers({ json: ok(results, ['host', 'httpResponseCode']) })).answer)).toEqual([
      { labels: { host: 'a', httpResponseCode: '200' }, value: 3 },
      { labels: { host: 'b', httpResponseCode: '200' }, value: 4 },
    ]);
  });

  it('a facet may be a number, and is no value', async () => {
    expect(samples((await answers({ json: ok([{ facet: 500, statusCode: 500, count: 3 }], ['statusCode']) })).answer)).toEqual([{ labels: { statusCode: '500' }, value: 3 }]);
  });

  it('says how long it wants to be left alone, where it gives the moment of the end', async () => {
    const reply = { status: 429, body: 'slow down', headers: { 'x-ratelimit-reset': String(TO / 1000 + 42) } };
    expect(failure((await answers(reply)).answer).message).toContain('left alone for 42 s');
  });

  it('gives the newest bucket of a TIMESERIES that lies in the evidence', async () => {
    const bucket = (at: number, count: number | null) => ({ beginTimeSeconds: at, endTimeSeconds: at + 20, count });
    const begin = FROM / 1000;
    expect(samples((await answers({ json: ok([bucket(begin - 20, 1), bucket(begin, 2), bucket(begin + 20, 3), bucket(begin + 50, 4)]) })).answer)).toEqual([{ labels: {}, value: 3 }]);
  });

  it('several numbers in a row are an error that names them', async () => {
    expect(failure((await answers({ json: ok([{ count: 3, 'average.duration': 4 }]) })).answer)).toMatchObject({ permanent: true, message: expect.stringContaining('several numbers (count, average.duration)') as string });
  });

  it.each([
    ['a syntax error is for good', wrong("NRQL Syntax Error: Error at line 1 position 8, unexpected 'FROM'", 'INVALID_INPUT', 'NRDB:1102004'), true, /refused the query: NRQL Syntax Error/],
    ['too many queries are not', wrong('You have exceeded the limit', 'TOO_MANY_REQUESTS'), false, /asked too often/],
    ['a query that took too long is not', wrong('Your query timed out', 'TIMEOUT'), false, /timed out/],
    ['an account that the key may not read names the Secret', wrong('Access denied.', 'ACCESS_DENIED'), false, /Access denied.*look at the Secret "keys"/],
  ])('%s, although the status is 200', async (_name, json, permanent, message) => {
    expect(failure((await answers({ json })).answer)).toMatchObject({ permanent, message: expect.stringMatching(message) as string });
  });

  it('an account id that is no number is the fault of the Secret', async () => {
    const { answer } = await answers({ json: ok([]) }, ask(NRQL, {}, { ...KEYS, newrelic_account_id: 'mine' }));
    expect(failure(answer).message).toBe('newrelic_account_id of the Secret "keys" is not the number of an account');
  });
});

behavesWhenServerDoesNot({
  create: createNewRelicProvider,
  question: (address) => ask(NRQL, { address }),
  nothing: {
    'no row': { body: ok([]) },
    'an average of nothing': { body: ok([{ 'average.duration': null }]) },
    'a percentile of nothing': { body: ok([{ 'percentile.duration': { '99': null } }]) },
    'empty buckets': { body: ok([{ beginTimeSeconds: FROM / 1000, endTimeSeconds: FROM / 1000 + 10, 'average.duration': null }]) },
  },
  strange: {
    'an answer without the account': { body: { data: { actor: { account: null } } } },
    'a row that is none': { body: ok([[1]]) },
  },
  malformed: {
    'NRQL that does not parse': { body: wrong('NRQL Syntax Error: unexpected end', 'INVALID_INPUT') },
    'a query of text': { body: ok([{ 'latest.appName': 'reviews' }]) },
  },
});
