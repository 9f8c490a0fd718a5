import { describe, expect, it } from 'vitest';
import { createInfluxdbProvider } from '../../src/metrics/influxdb/index.js';
import { csvLines } from '../../src/metrics/influxdb/csv.js';
import { askOnce, behavesWhenServerDoesNot, QUERY, type Subject } from './misbehaving.js';
import type { Answer } from './scripted-server.js';

const results = (...all: unknown[]): Answer => ({ body: { results: all.map((series, statement_id) => ({ statement_id, ...(series as object) })) } });
const table = (name: string, values: unknown[][], columns = ['time', 'mean'], tags = {}) => ({ series: [{ name, tags, columns, values }] });

const one: Subject = {
  create: createInfluxdbProvider,
  question: (address) => ({
    ...QUERY,
    query: 'SELECT mean("value") FROM "latency"',
    address,
    provider: { type: 'influxdb', address, insecureSkipVerify: false, secretRef: { name: 'influx' }, influxdb: { database: 'mesh' } },
    credentials: { username: 'reader', password: 'influx-pa55' },
  }),
  nothing: { 'no series': results({}), 'only nulls': results(table('latency', [[1, null], [2, null]])), 'no rows': results(table('latency', [])) },
  strange: {
    'text where the number belongs': results(table('latency', [[1, 'slow']])),
    'true where the number belongs': results(table('latency', [[1, true]])),
    'rows that are no rows': { body: { results: [{ series: [{ columns: ['time'], values: 7 }] }] } },
  },
  malformed: {
    'a query that cannot be parsed': { status: 400, body: { error: 'error parsing query: found FORM, expected FROM at line 1, char 22' } },
    'a statement that fails': results({ error: 'database not found: mesh' }),
  },
};

const csv = (...lines: string[]): Answer => ({ body: `${lines.join('\r\n')}\r\n\r\n`, type: 'text/csv; charset=utf-8' });
const HEADER = ['#datatype,string,long,dateTime:RFC3339,double,string', '#group,false,false,false,false,true', '#default,_result,,,,', ',result,table,_time,_value,host'];

const two: Subject = {
  create: createInfluxdbProvider,
  question: (address) => ({
    ...QUERY,
    query: 'from(bucket: "mesh") |> range(start: -1m) |> mean()',
    address,
    provider: { type: 'influxdb', address, insecureSkipVerify: false, secretRef: { name: 'influx' }, influxdb: { org: 'shop' } },
    credentials: { token: 'influx-token-1234\n' },
  }),
  nothing: { 'no tables': { body: '\r\n', type: 'text/csv' }, 'a table without rows': csv(...HEADER), 'a row without a value': csv(...HEADER, ',,0,2023-11-14T22:13:20Z,,a'), NaN: csv(...HEADER, ',,0,2023-11-14T22:13:20Z,NaN,a') },
  strange: {
    'text where the number belongs': csv(...HEADER, ',,0,2023-11-14T22:13:20Z,slow,a'),
    'a row that is too short': csv(...HEADER, ',,0,2023-11-14T22:13:20Z'),
    'a quote without an end': csv(...HEADER, ',,0,"2023'),
    'an error in the middle of the answer': csv(...HEADER, ',,0,2023-11-14T22:13:20Z,1,a', '', '#datatype,string,string', '#group,true,true', '#default,,', ',error,reference', ',"failed to read, sorry",897'),
  },
  malformed: { 'a query that cannot be compiled': { status: 400, body: { code: 'invalid', message: 'compilation failed: error @1:8-1:9: undefined identifier "x"' } } },
};

describe('InfluxQL', () => behavesWhenServerDoesNot(one));
describe('Flux', () => behavesWhenServerDoesNot(two));

describe('InfluxDB 1', () => {
  it('is asked by GET, which cannot write, for the newest value', async () => {
    const { result, asked } = await askOnce(one, results(table('latency', [[1, 10], [3, 30], [2, 20], [4, null]], ['time', 'mean'], { host: 'a' })));
    expect(result).toEqual({ kind: 'samples', samples: [{ labels: { host: 'a', name: 'latency', column: 'mean' }, value: 30 }] });
    const url = new URL(asked[0]?.path ?? '', 'http://x');
    expect([asked[0]?.method, url.pathname, Object.fromEntries(url.searchParams)]).toEqual(['GET', '/query', { db: 'mesh', q: 'SELECT mean("value") FROM "latency"', epoch: 'ms' }]);
    expect(asked[0]?.headers.authorization).toMatch(/^Basic /);
  });

  it('several columns and statements are several series', async () => {
    const { result } = await askOnce(one, results(table('a', [[1, 2, 3]], ['time', 'min', 'max']), table('b', [[1, 4]])));
    expect(result.kind === 'samples' && result.samples.map(({ value }) => value)).toEqual([2, 3, 4]);
  });
});

describe('InfluxDB 2', () => {
  it('is asked with the end of the evidence as now', async () => {
    const { result, asked } = await askOnce(two, csv(...HEADER, ',,0,2023-11-14T22:13:20Z,1.5,a'));
    expect(result).toEqual({ kind: 'samples', samples: [{ labels: { host: 'a' }, value: 1.5 }] });
    expect(asked[0]).toMatchObject({ method: 'POST', path: '/api/v2/query?org=shop', headers: { authorization: 'Token influx-token-1234', accept: 'application/csv' } });
    expect(JSON.parse(asked[0]?.body ?? '')).toMatchObject({ query: 'from(bucket: "mesh") |> range(start: -1m) |> mean()', type: 'flux', now: '2023-11-14T22:14:20.000Z' });
  });

  it('each table is a series, and its newest value counts', async () => {
    const answer = csv(...HEADER, ',,0,2023-11-14T22:13:20Z,1,a', ',,0,2023-11-14T22:14:00Z,3,a', ',,0,2023-11-14T22:13:40Z,2,a', ',,1,2023-11-14T22:13:20Z,+Inf,b', '', ...HEADER, ',,2,2023-11-14T22:13:20Z,9,c');
    expect((await askOnce(two, answer)).result).toEqual({
      kind: 'samples',
      samples: [
        { labels: { host: 'a' }, value: 3 },
        { labels: { host: 'b' }, value: Number.POSITIVE_INFINITY },
        { labels: { host: 'c' }, value: 9 },
      ],
    });
  });

  it('a table without _value has to be mended', async () => {
    const { result } = await askOnce(two, csv(',result,table,count', ',_result,0,3'));
    expect(result).toMatchObject({ kind: 'failed', permanent: true, message: expect.stringContaining('_value') as string });
  });

  it('takes the organisation from the Secret as well, and says when there is none', async () => {
    const question = two.question('');
    const provider = { ...question.provider, influxdb: {} };
    const there = { ...two, question: (address: string) => ({ ...two.question(address), provider: { ...provider, address }, credentials: { token: 't', org: 'from secret' } }) };
    expect((await askOnce(there, csv(...HEADER))).asked[0]?.path).toBe('/api/v2/query?org=from+secret');
    const missing = { ...two, question: (address: string) => ({ ...two.question(address), provider: { ...provider, address } }) };
    expect((await askOnce(missing, csv(...HEADER))).result).toMatchObject({ kind: 'failed', permanent: true, message: expect.stringContaining('database (for InfluxQL) or org (for Flux)') as string });
  });
});

describe('CSV', () => {
  it.each<[string, string[][]]>([
    ['a,b\r\nc,d\n', [['a', 'b'], ['c', 'd']]],
    ['"x ""y"", z",\n', [['x "y", z', '']]],
    ['"two\nlines",1', [['two\nlines', '1']]],
    [',', [['', '']]],
    ['\n\na', [[''], [''], ['a']]],
    ['', []],
  ])('%j', (text, lines) => expect(csvLines(text)).toEqual(lines));
});
