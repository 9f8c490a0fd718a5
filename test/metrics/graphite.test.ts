import { describe, expect, it } from 'vitest';
import { createGraphiteProvider } from '../../src/metrics/graphite/index.js';
import { askOnce, behavesWhenServerDoesNot, QUERY, type Subject } from './misbehaving.js';
import type { Answer } from './scripted-server.js';

const series = (target: string, ...values: (number | null)[]) => ({ target, tags: { name: target }, datapoints: values.map((value, index) => [value, 1_700_000_000 + 10 * index]) });
const answer = (...body: ReturnType<typeof series>[]): Answer => ({ body });

const subject: Subject = {
  create: createGraphiteProvider,
  question: (address) => ({
    ...QUERY,
    query: 'sumSeries(shop.reviews-green.errors)',
    address,
    provider: { type: 'graphite', address, insecureSkipVerify: false, secretRef: { name: 'graphite' } },
    credentials: { username: 'reader', password: 'graphite-pa55' },
  }),
  nothing: { 'no series': answer(), 'only nulls': answer(series('a', null, null)), 'a series without points': answer(series('a')) },
  strange: {
    'text where the number belongs': { body: [{ target: 'a', datapoints: [['12', 1_700_000_000]] }] },
    'an object in place of the list': { body: { target: 'a' } },
    'text in place of JSON': { body: 'not today' },
  },
  malformed: {
    'a target that cannot be parsed': { status: 400, body: { errors: { target: 'Invalid target: "sumSeries(" at character 10' } } },
    'a target that cannot be parsed, in text': { status: 400, body: 'Invalid target: unexpected end' },
  },
};

behavesWhenServerDoesNot(subject);

describe('Graphite', () => {
  it('is asked for the target over the time of the evidence', async () => {
    const { result, asked } = await askOnce(subject, answer(series('sumSeries(a)', 1, 2.5)));
    expect(result).toEqual({ kind: 'samples', samples: [{ labels: { target: 'sumSeries(a)' }, value: 2.5 }] });
    expect(asked[0]).toMatchObject({ method: 'POST', path: '/render', headers: { authorization: `Basic ${Buffer.from('reader:graphite-pa55').toString('base64')}` } });
    expect(Object.fromEntries(new URLSearchParams(asked[0]?.body))).toEqual({ target: 'sumSeries(shop.reviews-green.errors)', from: '1700000000', until: '1700000060', format: 'json' });
  });

  it('takes a query string as Flagger has it, with its own time and several targets', async () => {
    const query = "target=summarize(\n  sumSeries(a),\n  '30s', 'sum')&target=b&from=-5min&format=csv";
    const { asked } = await askOnce(subject, answer(), { query });
    const form = new URLSearchParams(asked[0]?.body);
    expect(form.getAll('target')).toEqual(["summarize(sumSeries(a),'30s', 'sum')", 'b']);
    expect([form.get('from'), form.get('until'), form.get('format')]).toEqual(['-5min', '1700000060', 'json']);
  });

  it('judges the newest point that is not null', async () => {
    expect((await askOnce(subject, answer(series('a', 1, 7, null, null), series('b', 3)))).result).toEqual({
      kind: 'samples',
      samples: [
        { labels: { target: 'a' }, value: 7 },
        { labels: { target: 'b' }, value: 3 },
      ],
    });
  });

  it('says in its own words what Graphite says', async () => {
    const { result, host } = await askOnce(subject, { status: 400, body: { errors: { target: 'unknown function' } } });
    expect(result).toMatchObject({ kind: 'failed', permanent: true, message: `Graphite at ${host} refused the query: {"target":"unknown function"}` });
  });

  it('keeps the path of the address', async () => {
    const { asked } = await askOnce({ ...subject, question: (address) => ({ ...subject.question(`${address}/graphite/`) }) }, answer());
    expect(asked[0]?.path).toBe('/graphite/render');
  });
});
