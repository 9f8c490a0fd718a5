import { afterEach, describe, expect, it } from 'vitest';
import { createMetricsSource } from '../../src/metrics/index.js';
import type { Measurement } from '../../src/engine/ports.js';
import type { MetricTemplateSpec } from '../../src/api/index.js';
import { scriptedServer, vector, type Answer } from './scripted-server.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Over {
  query?: string;
  provider?: Partial<MetricTemplateSpec['provider']>;
  credentials?: Record<string, string>;
  variables?: Record<string, string>;
  server?: string;
  timeoutMs?: number;
}

async function ask(answer: Answer | (() => Answer), over: Over = {}) {
  const server = await scriptedServer(() => (typeof answer === 'function' ? answer() : answer));
  const source = createMetricsSource({ timeoutMs: over.timeoutMs ?? 2_000 });
  closers.push(
    () => server.close(),
    () => source.close(),
  );
  const measure = (): Promise<Measurement> =>
    source.measure({
      metric: 'latency',
      server: over.server ?? server.url,
      template: {
        name: 'mine',
        spec: { provider: { type: 'prometheus', insecureSkipVerify: false, ...over.provider }, query: over.query ?? 'up' },
        credentials: over.credentials,
        variables: over.variables ?? {},
      },
      namespace: 'default',
      name: 'reviews',
      target: 'reviews-deployment',
      revision: 'abc',
      service: 'reviews-green',
      stableService: 'reviews-blue',
      from: 1_000_000,
      to: 1_030_000,
    });
  return { server, measure, result: await measure(), host: new URL(server.url).host };
}

const success = (data: unknown): Answer => ({ body: { status: 'success', data } });

describe('a template query', () => {
  it('gives the value of one series, asked at the end of the evidence', async () => {
    const { result, server } = await ask(vector([{ pod: 'a' }, '42.5']));
    expect(result).toEqual({ kind: 'Value', value: 42.5, query: 'up', from: 1_000_000, to: 1_030_000 });
    expect(server.asked[0]).toMatchObject({ method: 'POST', path: '/api/v1/query', time: 1_030_000 });
  });

  it('gives a scalar', async () => {
    expect((await ask(success({ resultType: 'scalar', result: [1, '7'] }))).result).toMatchObject({ kind: 'Value', value: 7 });
  });

  it('keeps the path of the address', async () => {
    const { server, measure } = await ask(vector());
    server.asked.length = 0;
    const prefixed = await ask(vector(), { provider: { address: `${server.url}/prom/` } });
    expect(prefixed.result.kind).toBe('NoData');
    expect(server.asked[0]?.path).toBe('/prom/api/v1/query');
    await measure();
  });

  it.each<[string, Answer, Measurement['kind'], string, boolean | undefined]>([
    ['an empty answer', vector(), 'NoData', 'the query gives no series', undefined],
    ['NaN', vector([{}, 'NaN']), 'NoData', 'the query gives NaN', undefined],
    ['+Inf', vector([{}, '+Inf']), 'Error', 'the query gives +Inf, which cannot be judged', false],
    ['-Inf', success({ resultType: 'scalar', result: [1, '-Inf'] }), 'Error', 'the query gives -Inf', false],
    [
      'several series',
      vector([{ a: '1' }, '1'], [{ a: '2' }, '2'], [{ a: '3' }, '3']),
      'Error',
      'the query gives 3 series; it must give one number',
      true,
    ],
    ['a range', success({ resultType: 'matrix', result: [] }), 'Error', 'the query gives a range of values', true],
    ['something that is no number', vector([{}, 'lots']), 'Error', 'answered "lots" where a number belongs', false],
    [
      'HTML',
      { body: '<!doctype html><p>Log in', type: 'text/html' },
      'Error',
      'answered 200 with an HTML page; is the address that of a Prometheus?',
      false,
    ],
    [
      'other JSON',
      { body: { status: 'success', data: [1] } },
      'Error',
      'answered 200 with something that is not a Prometheus answer',
      false,
    ],
    ['broken JSON', { body: '{"status":' }, 'Error', 'answered 200 with something that is not a Prometheus answer', false],
    [
      'a redirect',
      { status: 302, body: '', headers: { location: 'http://sso.example.org/?secret' } },
      'Error',
      'answered 302, a redirect',
      false,
    ],
    ['404', { status: 404, body: '404 page not found', type: 'text/plain' }, 'Error', 'answered 404', false],
    ['401', { status: 401, body: 'no' }, 'Error', 'answered 401: it wants credentials', false],
    [
      'a query that does not parse',
      { status: 400, body: { status: 'error', errorType: 'bad_data', error: '1:3: parse error: unexpected <eof>' } },
      'Error',
      'refused the query: 1:3: parse error: unexpected <eof>',
      true,
    ],
    [
      'an overloaded server',
      { status: 503, body: { status: 'error', errorType: 'timeout', error: 'query timed out' } },
      'Error',
      'failed: query timed out',
      false,
    ],
    ['a broken connection', 'reset', 'Error', 'closed the connection before it answered', false],
  ])('%s', async (_name, answer, kind, message, permanent) => {
    const { result } = await ask(answer);
    expect(result).toMatchObject({ kind, ...(permanent === undefined ? {} : { permanent }) });
    expect(result.kind === 'Value' ? '' : result.message).toContain(message);
    expect(result.kind === 'Value' ? '' : result.message).toContain('MetricTemplate "mine"');
  });

  it('a server that hangs is given up on', async () => {
    const { result, host } = await ask('hang', { timeoutMs: 200 });
    expect(result).toMatchObject({
      kind: 'Error',
      permanent: false,
      message: `MetricTemplate "mine": the metrics server ${host} did not answer within 0.2 s`,
    });
  });

  it('a server that is not there is named', async () => {
    const { result } = await ask(vector(), { server: 'http://127.0.0.1:1' });
    expect(result).toMatchObject({
      kind: 'Error',
      permanent: false,
      message: 'MetricTemplate "mine": the metrics server 127.0.0.1:1 refused the connection',
    });
  });

  it.each(['', 'prometheus:9090', 'ftp://prometheus'])('the address "%s" is refused', async (server) => {
    const { result } = await ask(vector(), { server });
    expect(result).toMatchObject({
      kind: 'Error',
      permanent: true,
      message: expect.stringContaining('--metrics-server') as string,
    });
  });
});

describe('credentials', () => {
  it('in the address that are not percent-encoded are refused, not sent', async () => {
    const { result } = await ask(vector(), { server: 'http://joe:s3cr3t%@127.0.0.1:1' });
    expect(result).toMatchObject({ kind: 'Error', permanent: true, message: expect.stringContaining('write %25 for a "%"') as string });
    expect(JSON.stringify(result)).not.toContain('s3cr3t');
  });

  it('are sent, and the Secret is named when they are refused', async () => {
    const { result, server } = await ask(
      { status: 403, body: 'no' },
      { credentials: { token: 's3cr3t\n' }, provider: { secretRef: { name: 'prom' }, headers: { 'X-Scope-OrgID': 'team' } } },
    );
    expect(server.asked[0]?.headers).toMatchObject({ authorization: 'Bearer s3cr3t', 'x-scope-orgid': 'team' });
    expect(result).toMatchObject({
      kind: 'Error',
      message: expect.stringContaining('answered 403: look at the Secret "prom"') as string,
    });
  });

  it('may be a user name and a password', async () => {
    const { server } = await ask(vector(), { credentials: { username: 'joe', password: 'pw' } });
    expect(server.asked[0]?.headers.authorization).toBe(`Basic ${Buffer.from('joe:pw').toString('base64')}`);
  });

  it.each<[string, Over]>([
    ['a token that is no header', { credentials: { token: 'to\nken-s3cr3t' } }],
    ['a header that is none', { provider: { headers: { 'X Y': 's3cr3t' } } }],
    ['a password in the address', { server: 'http://joe:s3cr3t@127.0.0.1:1/s3cr3t?s3cr3t' }],
    ['an address that is none', { server: 'http://joe:s3cr3t@[' }],
  ])('never reach a message: %s', async (_name, over) => {
    const { result } = await ask({ status: 401, body: 's3cr3t' }, over);
    expect(result.kind).toBe('Error');
    expect(JSON.stringify(result)).not.toContain('s3cr3t');
  });
});

describe('placeholders', () => {
  it('are filled in', async () => {
    const query =
      'f{n="{{ name }}",ns="{{namespace}}",t="{{ target }}",s="{{ service }}",b="{{ stableService }}",r="{{ revision }}",c=~"{{ variables.code }}"}[{{ interval }}]';
    const { server } = await ask(vector(), { query, variables: { code: '5..|429' } });
    expect(server.asked[0]?.query).toBe(
      'f{n="reviews",ns="default",t="reviews-deployment",s="reviews-green",b="reviews-blue",r="abc",c=~"5..|429"}[30s]',
    );
  });

  it.each([
    ['up{a="{{ nmae }}"}', {}, '"{{ nmae }}" is not known; known are {{ name }}, {{ namespace }}'],
    ['up{a="{{ variables.code }}"}', { other: 'x' }, '"{{ variables.code }}" is not known'],
    ['up{a="{{ name }"}', {}, 'a "{{" has no "}}"'],
    ['up{a="{{ variables.v }}"}', { v: 'x"} or vector(1) #' }, 'the value of "{{ variables.v }}" holds a quote'],
    [
      'up{a="{{ variables.v }}"}',
      { v: 'x\ny' },
      'the value of "{{ variables.v }}" holds a quote, a brace, a backslash or a control character',
    ],
  ])('%s %o is refused before anything is asked', async (query, variables, message) => {
    const { result, server } = await ask(vector([{}, '1']), { query, variables: variables as Record<string, string> });
    expect(result).toMatchObject({
      kind: 'Error',
      permanent: true,
      message: expect.stringContaining(`MetricTemplate "mine": spec.query: ${message}`) as string,
    });
    expect(server.asked).toEqual([]);
  });
});

it('the same question at the same moment is asked once, a failed one again', async () => {
  const good = await ask(vector([{}, '1']));
  await Promise.all([good.measure(), good.measure()]);
  expect(good.server.asked).toHaveLength(1);
  const bad = await ask({ status: 500, body: 'no' });
  await bad.measure();
  expect(bad.server.asked).toHaveLength(2);
});
