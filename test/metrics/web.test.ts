import { describe, expect, it } from 'vitest';
import { createWebProvider } from '../../src/metrics/web/index.js';
import { parsePath, PathError, select } from '../../src/metrics/web/jsonpath.js';
import type { ProviderQuery } from '../../src/metrics/provider.js';
import { askOnce, behavesWhenServerDoesNot, QUERY, type Subject } from './misbehaving.js';

type Web = NonNullable<ProviderQuery['provider']['web']>;
const subjectFor = (query: string, web?: Partial<Web>, more: Partial<ProviderQuery> = {}): Subject => ({
  create: createWebProvider,
  question: (address) => ({
    ...QUERY,
    query,
    address,
    provider: { type: 'web', address, insecureSkipVerify: false, secretRef: { name: 'web' }, headers: { 'X-Team': 'team-shop' }, ...(web ? { web: { method: 'GET', ...web } } : {}) },
    credentials: { token: 'web-token-0815' },
    ...more,
  }),
  nothing: {},
  strange: {},
});
const subject: Subject = {
  ...subjectFor('$.data.score'),
  nothing: { 'a value that is not there': { body: { data: {} } }, null: { body: { data: { score: null } } }, 'NaN in text': { body: { data: { score: 'NaN' } } }, 'a list where the path wants an object': { body: [1, 2] } },
  strange: { text: { body: { data: { score: 'high' } } }, 'an object': { body: { data: { score: { value: 1 } } } }, 'a list': { body: { data: { score: [1] } } } },
};

behavesWhenServerDoesNot(subject);

describe('web', () => {
  it.each<[string, unknown, number]>([
    ['a number', 0.25, 0.25],
    ['a number in text', ' 99.5 ', 99.5],
    ['true', true, 1],
    ['false', false, 0],
  ])('%s', async (_name, score, value) => {
    expect((await askOnce(subject, { body: { data: { score } } })).result).toEqual({ kind: 'samples', samples: [{ labels: { path: "$['data']['score']" }, value }] });
  });

  it('sends what the template says: path, method, body, headers and credentials', async () => {
    const { asked } = await askOnce(subjectFor('$.ok', { method: 'POST', path: '/v1/score?service=a%2Fb', body: '{"service":"reviews-green"}' }), { body: { ok: 1 } });
    expect(asked[0]).toMatchObject({
      method: 'POST',
      path: '/v1/score?service=a%2Fb',
      body: '{"service":"reviews-green"}',
      headers: { 'content-type': 'application/json', 'x-team': 'team-shop', authorization: 'Bearer web-token-0815' },
    });
  });

  it('keeps the path of the address, and a value cannot lead out of it', async () => {
    const at = (path: string) => {
      const inner = subjectFor('$.ok', { path });
      return askOnce({ ...inner, question: (address) => inner.question(`${address}/tenant-a`) }, { body: { ok: 1 } });
    };
    expect((await at('/v1')).asked[0]?.path).toBe('/tenant-a/v1');
    for (const path of ['/../admin', '/x/../../admin', '/%2e%2e/admin', '@example.com/'])
      expect((await at(path)).result).toMatchObject({ kind: 'failed', permanent: true, message: expect.stringContaining('leads to another address') as string });
  });

  it('keys of the Secret may be headers', async () => {
    const { asked } = await askOnce(subjectFor('$.ok', {}, { credentials: { 'header.X-Api-Key': 'key-4711\n' } }), { body: { ok: 1 } });
    expect(asked[0]?.headers).toMatchObject({ 'x-api-key': 'key-4711' });
    expect(asked[0]?.headers.authorization).toBeUndefined();
  });

  it('a path that cannot be read is wrong before anything is asked', async () => {
    const { result, asked } = await askOnce(subjectFor('$.data..score'), { body: {} });
    expect(result).toMatchObject({ kind: 'failed', permanent: true, message: expect.stringContaining('".." is not supported at character 7') as string });
    expect(asked).toEqual([]);
  });

  it('a whole answer may be the number', async () => {
    expect((await askOnce(subjectFor('$'), { body: '42' })).result).toMatchObject({ kind: 'samples', samples: [{ value: 42 }] });
  });
});

describe('a JSONPath', () => {
  const document = { a: { b: [{ c: 1 }, { c: 2 }, { d: 3 }] }, "it's": { 'x.y': 4, 'ü': 5 } };
  it.each<[string, unknown[]]>([
    ['$.a.b[0].c', [1]],
    ['$.a.b[-1].d', [3]],
    ['$.a.b[*].c', [1, 2]],
    ['$.a.b.*.d', [3]],
    [`$['it\\'s']["x.y"]`, [4]],
    ["$[\"it's\"].ü", [5]],
    ['$.a.b[7].c', []],
    ['$.a.nothing.c', []],
    ['$.a.b.c', []],
    ['$.a.b[0].c.toString', []],
    ['$.constructor', []],
    [' $.a.b[ 1 ].c ', [2]],
  ])('%s', (path, values) => expect(select(document, parsePath(path)).map(({ value }) => value)).toEqual(values));

  it.each(['', 'a.b', '$a', '$.', '$[', "$['a]", '$[a]', '$.a[1:2]', '$.a[?(@.b)]', '$..a', '$.a b'])('%j is refused', (path) => {
    expect(() => parsePath(path)).toThrow(PathError);
  });
});
