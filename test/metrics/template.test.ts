import { afterEach, describe, expect, it } from 'vitest';
import { metricTemplateSpec, type MetricTemplateSpec } from '../../src/api/index.js';
import type { Measurement, MeasureRequest, Windows } from '../../src/engine/ports.js';
import { createMetricsSource } from '../../src/metrics/index.js';
import { reply, startScriptedServer, status } from '../kube/server.js';
import { QUESTION, scriptedServer, vector, type Answer, type Asked } from './scripted-server.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Spec = Omit<Partial<MetricTemplateSpec>, 'provider'> & { provider?: Partial<MetricTemplateSpec['provider']> };
const RELEASE = { revision: 'new1', stable: 'old1', commit: 'c0ffee', stableCommit: 'decade', check: 'run-1/mine/0', uid: 'uid-1' };

async function setUp(answer: (asked: Asked) => Answer, spec: Spec, over: Partial<MeasureRequest> & { variables?: Record<string, string>; now?: number } = {}) {
  const server = await scriptedServer(answer);
  const source = createMetricsSource({ timeoutMs: 2_000, gridMs: 5_000, clock: { now: () => over.now ?? 1_060_500 } });
  closers.push(
    () => server.close(),
    () => source.close(),
  );
  const { variables = {}, now: _, ...rest } = over;
  const template = { name: 'mine', spec: metricTemplateSpec.parse({ provider: {}, ...spec }), variables };
  const request: MeasureRequest = { ...QUESTION, ...RELEASE, metric: 'mine', server: server.url, template, from: 1_000_000, to: 1_060_000, ...rest };
  return { server, source, request };
}

async function measure(...args: Parameters<typeof setUp>): Promise<Measurement & { asked: string[] }> {
  const { server, source, request } = await setUp(...args);
  return { ...(await source.measure(request)), asked: server.asked.map(({ query }) => query).toSorted() };
}

const says = (message: string) => ({ message: expect.stringContaining(message) as string });

describe('several series', () => {
  const three = () => vector([{ a: '1' }, '1'], [{ a: '2' }, '5'], [{ a: '3' }, 'NaN']);
  it.each<[MetricTemplateSpec['fold'], number]>([
    ['sum', 6],
    ['avg', 3],
    ['max', 5],
    ['min', 1],
  ])('are one number with fold: %s, and those without a value take no part', async (fold, value) => {
    expect(await measure(three, { query: 'up', fold })).toMatchObject({ kind: 'Value', value });
  });

  it('are an error without it', async () => {
    expect(await measure(three, { query: 'up' })).toMatchObject({ kind: 'Error', permanent: true, ...says('gives 3 series; it must give one number: set fold') });
  });

  it('that are all NaN are no data, and infinity cannot be judged', async () => {
    expect(await measure(() => vector([{ a: '1' }, 'NaN'], [{}, 'NaN']), { query: 'up', fold: 'max' })).toMatchObject({ kind: 'NoData', ...says('all 2 series are NaN') });
    expect(await measure(() => vector([{ a: '1' }, '+Inf'], [{}, '1']), { query: 'up', fold: 'max' })).toMatchObject({ kind: 'Error', permanent: false, ...says('+Inf') });
    expect(await measure(() => vector([{ a: '1' }, '+Inf'], [{}, '-Inf']), { query: 'up', fold: 'sum' })).toMatchObject({ kind: 'NoData' });
  });
});

describe('placeholders', () => {
  it('tell both versions and their commits', async () => {
    const { asked } = await measure(() => vector([{}, '1']), { query: 'f{r="{{ revision }}",s="{{ stable }}",c="{{ commit }}"}' });
    expect(asked).toEqual(['f{r="new1",s="old1",c="c0ffee"}']);
  });

  it('whose value is not known now say so', async () => {
    expect(await measure(() => vector(), { query: 'f{c="{{ commit }}"}' }, { commit: undefined })).toMatchObject({ kind: 'Error', ...says('the commit that brought revision new1 is not known'), asked: [] });
  });
});

describe('variables', () => {
  const variables = [{ name: 'code', description: 'status that is bad' }, { name: 'window', default: '2m' }, { name: 'extra', required: false }];
  const query = 'f{c="{{ variables.code }}",e="{{ variables.extra }}"}[{{ variables.window }}]';

  it('have defaults, and those that are not required may be empty', async () => {
    expect((await measure(() => vector([{}, '1']), { query, variables }, { variables: { code: '500' } })).asked).toEqual(['f{c="500",e=""}[2m]']);
    expect((await measure(() => vector([{}, '1']), { query, variables }, { variables: { code: '500', window: '1m', extra: 'x' } })).asked).toEqual(['f{c="500",e="x"}[1m]']);
  });

  it.each<[string, Record<string, string>, string]>([
    ['is missing', {}, 'templateVariables needs "code" (status that is bad)'],
    ['is not declared', { code: '500', cdoe: '1' }, 'templateVariables has "cdoe", which the template does not declare; it declares code, window, extra'],
  ])('one that %s is named before anything is asked', async (_name, given, message) => {
    expect(await measure(() => vector([{}, '1']), { query, variables }, { variables: given })).toMatchObject({ kind: 'Error', permanent: true, ...says(message), asked: [] });
  });
});

describe('compare: stable', () => {
  const by = (values: Record<string, string | undefined>) => ({ query }: Asked) => {
    const value = Object.entries(values).find(([service]) => query.includes(service))?.[1];
    return value === undefined ? vector() : vector([{}, value]);
  };
  const query = 'f{s="{{ service }}",r="{{ revision }}",c="{{ commit }}",other="{{ stableService }}"}';

  it('asks for both sides, and judges the ratio', async () => {
    const result = await measure(by({ '"reviews-green"': '3', 's="reviews-blue"': '2' }), { query, compare: 'stable' });
    expect(result).toMatchObject({ kind: 'Value', value: 1.5, compared: { as: 'ratio', canary: 3, stable: 2 } });
    expect(result.asked).toEqual(['f{s="reviews-blue",r="old1",c="decade",other="reviews-blue"}', 'f{s="reviews-green",r="new1",c="c0ffee",other="reviews-blue"}']);
    expect(result).toHaveProperty('query', result.asked[1]);
  });

  it('or the difference', async () => {
    expect(await measure(by({ '"reviews-green"': '3', 's="reviews-blue"': '5' }), { query, compare: 'stable', compareAs: 'difference' })).toMatchObject({ kind: 'Value', value: -2, compared: { as: 'difference', canary: 3, stable: 5 } });
  });

  it.each<[string, string, number]>([
    ['0', '0', 1],
    ['2', '0', Number.POSITIVE_INFINITY],
    ['0', '2', 0],
  ])('%s against %s is a ratio of %s', async (canary, stable, value) => {
    expect(await measure(by({ '"reviews-green"': canary, 's="reviews-blue"': stable }), { query, compare: 'stable' })).toMatchObject({ kind: 'Value', value });
  });

  it('a side without data is no data, and is named', async () => {
    expect(await measure(by({ '"reviews-green"': '3' }), { query, compare: 'stable' })).toMatchObject({ kind: 'NoData', message: 'MetricTemplate "mine": of the stable version: the query gives no series' });
    expect(await measure(by({ 's="reviews-blue"': '3' }), { query, compare: 'stable' })).toMatchObject({ kind: 'NoData', ...says('of the canary') });
  });

  it('infinity on one side, and ratios of negative numbers, cannot be judged', async () => {
    expect(await measure(by({ '"reviews-green"': '3', 's="reviews-blue"': '+Inf' }), { query, compare: 'stable' })).toMatchObject({ kind: 'Error', permanent: false });
    expect(await measure(by({ '"reviews-green"': '-3', 's="reviews-blue"': '2' }), { query, compare: 'stable' })).toMatchObject({ kind: 'Error', permanent: false, ...says('compareAs: difference') });
  });
});

describe('counts', () => {
  const counts = { bad: 'sum(bad{s="{{ service }}"})', total: 'sum(total{s="{{ service }}"})' };
  const of = (bad: string | undefined, total: string | undefined) => ({ query }: Asked) => {
    const value = query.includes('bad') ? bad : total;
    return value === undefined ? vector() : vector([{}, value]);
  };

  it('are a percentage with its number of requests', async () => {
    expect(await measure(of('3', '200'), { counts })).toMatchObject({ kind: 'Value', value: 1.5, samples: 200, query: '100 * (sum(bad{s="reviews-green"})) / (sum(total{s="reviews-green"}))' });
  });

  it('without any bad request are 0 percent', async () => {
    expect(await measure(of(undefined, '200'), { counts })).toMatchObject({ kind: 'Value', value: 0, samples: 200 });
    expect(await measure(of('NaN', '200'), { counts })).toMatchObject({ kind: 'Value', value: 0 });
  });

  it('without requests are no data', async () => {
    expect(await measure(of('1', '0'), { counts })).toMatchObject({ kind: 'NoData', ...says('no requests were counted') });
    expect(await measure(of('1', undefined), { counts })).toMatchObject({ kind: 'NoData', ...says('spec.counts.total') });
  });

  it('that are no counts are an error', async () => {
    expect(await measure(of('-1', '10'), { counts })).toMatchObject({ kind: 'Error', permanent: false, ...says('-1 of 10') });
    expect(await measure(of('1', '+Inf'), { counts })).toMatchObject({ kind: 'Error', permanent: false });
  });

  it('compare the two versions with the smaller number of requests', async () => {
    const answer = ({ query }: Asked) => vector([{}, query.includes('bad') ? (query.includes('green') ? '4' : '10') : query.includes('green') ? '100' : '1000']);
    expect(await measure(answer, { counts, compare: 'stable' })).toMatchObject({ kind: 'Value', value: 4, samples: 100, compared: { canary: 4, stable: 1 } });
  });
});

describe('windows', () => {
  const counts = { bad: 'sum(increase(bad{s="{{ service }}"}[{{ interval }}]))', total: 'sum(increase(total{s="{{ service }}"}[{{ interval }}]))' };
  const matrix = (...values: [number, string][]): Answer => ({ body: { status: 'success', data: { resultType: 'matrix', result: values.length === 0 ? [] : [{ metric: {}, values }] } } });
  const form = ({ body }: Asked) => Object.fromEntries(new URLSearchParams(body));
  async function windows(answer: (asked: Asked) => Answer, spec: Spec = { counts }, over: Parameters<typeof setUp>[2] = {}): Promise<Windows & { asked: Record<string, string>[] }> {
    const { server, source, request } = await setUp(answer, spec, { from: 1_000_000, to: 1_015_000, ...over });
    return { ...(await source.windows(request)), asked: server.asked.map(form) };
  }

  it('are read for both versions with one query per version and count', async () => {
    const answer = ({ query }: Asked) => {
      if (query.includes('bad')) return query.includes('green') ? matrix([1_010, '2']) : matrix();
      return query.includes('green') ? matrix([1_005, '10'], [1_010, '20'], [1_015, 'NaN']) : matrix([1_005, '90'], [1_015, '80']);
    };
    const { asked, ...result } = await windows(answer);
    expect(result).toEqual({
      kind: 'Windows',
      gridMs: 5_000,
      bounds: [0],
      query: counts.bad,
      windows: [
        { to: 1_005_000, stable: { total: 90, bad: [0] }, canary: { total: 10, bad: [0] } },
        { to: 1_010_000, stable: { total: 0, bad: [0] }, canary: { total: 20, bad: [2] } },
        { to: 1_015_000, stable: { total: 80, bad: [0] }, canary: { total: 0, bad: [0] } },
      ],
    });
    expect(asked).toHaveLength(4);
    expect(asked[0]).toMatchObject({ query: 'sum(increase(bad{s="reviews-blue"}[5s]))', start: '1005.000', end: '1015.000', step: '5.000' });
  });

  it('end where the clock is, and hold no more bad requests than there were', async () => {
    const result = await windows(() => matrix([1_005, '3'], [1_010, '4']), { counts: { bad: '3 * total{s="{{ service }}"}', total: 'total{s="{{ service }}"}' } }, { now: 1_010_600 });
    expect(result).toMatchObject({ kind: 'Windows', windows: [{ to: 1_005_000, canary: { total: 3, bad: [3] } }, { to: 1_010_000 }] });
    expect(result.kind === 'Windows' && result.windows).toHaveLength(2);
  });

  it.each<[string, Spec, (asked: Asked) => Answer, object]>([
    ['nothing counted', { counts }, () => matrix(), { kind: 'NoData', ...says('--metrics-grid') }],
    ['no counts', { query: 'up' }, () => matrix(), { kind: 'Error', permanent: true, ...says('give counts in place of query') }],
    ['another provider', { counts, provider: { type: 'graphite', address: 'http://127.0.0.1:1' } }, () => matrix(), { kind: 'Error', permanent: true, ...says('not from graphite') }],
    ['a refusal', { counts }, () => ({ status: 500, body: 'no' }), { kind: 'Error', permanent: false }],
    ['several series', { counts }, () => ({ body: { status: 'success', data: { resultType: 'matrix', result: [{ metric: { a: '1' }, values: [] }, { metric: {}, values: [] }] } } }), { kind: 'Error', permanent: true, ...says('2 series') }],
  ])('%s is said', async (_name, spec, answer, expected) => {
    expect(await windows(answer, spec)).toMatchObject(expected);
  });

  it('of which none is complete yet are no data', async () => {
    expect(await windows(() => matrix(), { counts }, { from: 1_000_000, to: 1_004_000 })).toMatchObject({ kind: 'NoData', ...says('no window of 5 s is complete yet'), asked: [] });
  });
});

describe('a job', () => {
  const spec: Spec = { provider: { type: 'job', job: { spec: { template: { spec: { containers: [{ name: 'smoke', image: 'smoke:1', args: ['{{ service }}', '{{ variables.path }}'] }] } } } } } };

  it('is made once per check, with placeholders filled in, and is waited for', async () => {
    const api = await startScriptedServer();
    const jobs = new Map<string, Record<string, unknown>>();
    api.handle(({ method, path, body }, response) => {
      const name = path.split('/').at(-1) ?? '';
      if (method === 'GET') return jobs.has(name) ? reply(response, jobs.get(name)) : reply(response, status(404, 'NotFound'), 404);
      const made = body as { metadata: { name: string } };
      jobs.set(made.metadata.name, made as Record<string, unknown>);
      return reply(response, made, 201);
    });
    const source = createMetricsSource({ kube: api.client() });
    closers.push(() => source.close(), () => void api.close());
    const template = { name: 'smoke', spec: metricTemplateSpec.parse({ ...spec }), variables: { path: '/health' } };
    const request: MeasureRequest = { ...QUESTION, ...RELEASE, metric: 'smoke', server: '', template, from: 0, to: 60_000 };
    expect(await source.measure(request)).toMatchObject({ kind: 'NoData', pending: true, ...says('MetricTemplate "smoke": Job default/smoke-') });
    // Later, so about another time, but the same check.
    expect(await source.measure({ ...request, from: 5_000, to: 65_000 })).toMatchObject({ kind: 'NoData', pending: true });
    const [job] = [...jobs.values()];
    expect(job).toMatchObject({ metadata: { ownerReferences: [{ kind: 'Canary', name: 'reviews', uid: 'uid-1' }] }, spec: { template: { spec: { containers: [{ args: ['reviews-green', '/health'] }] } } } });
    Object.assign(job ?? {}, { status: { conditions: [{ type: 'Complete', status: 'True' }] } });
    expect(await source.measure({ ...request, to: 70_000 })).toMatchObject({ kind: 'Value', value: 1 });
    expect(jobs.size).toBe(1);
    await source.measure({ ...request, check: 'run-1/mine/1' });
    expect(jobs.size).toBe(2);
  });

  it('cannot be made where there is no cluster', async () => {
    expect(await measure(() => vector(), spec, { variables: { path: '/' } })).toMatchObject({ kind: 'Error', permanent: true, ...says('no Kubernetes API server') });
  });
});

describe('settings', () => {
  it('of a provider have placeholders, too, and values in a path are escaped', async () => {
    const { server, source, request } = await setUp(() => ({ body: { ok: 1 } }), {}, {});
    const spec = metricTemplateSpec.parse({
      provider: { type: 'web', address: server.url, web: { method: 'POST', path: '/v1/{{ variables.what }}?s={{ service }}', body: '{"r":"{{ revision }}"}' } },
      query: '$.ok',
    });
    const asked = { ...request, template: { name: 'mine', spec, variables: { what: 'a/b c' } } };
    expect(await source.measure(asked)).toMatchObject({ kind: 'Value', value: 1 });
    expect(server.asked[0]).toMatchObject({ path: '/v1/a%2Fb%20c?s=reviews-green', body: '{"r":"new1"}' });
  });

  it('a provider without an address is not asked at the metrics server of the Canary', async () => {
    const result = await measure(() => ({ body: { ok: 1 } }), { provider: { type: 'web' }, query: '$.ok' });
    expect(result).toMatchObject({ kind: 'Error', permanent: true, asked: [] });
  });
});
