import { createVerify, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createStackdriverProvider } from '../../src/metrics/stackdriver/index.js';
import type { ProviderQuery } from '../../src/metrics/provider.js';
import { createHttp, type HttpRequest } from '../../src/net/http.js';
import { behavesWhenServerDoesNot } from './misbehaving.js';
import { failure, FROM, internet, question, samples, TO, type Reply } from './service.js';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const KEY = {
  type: 'service_account',
  project_id: 'shop-1',
  private_key_id: 'key-1',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  client_email: 'sluice@shop-1.iam.gserviceaccount.com',
  token_uri: 'https://oauth2.googleapis.com/token',
};
const PROMQL = 'sum(rate(istio_io:service_server_request_count{monitored_resource="istio_canonical_service"}[1m]))';
const secret = (key: object = KEY, more = {}) => ({ serviceAccountKey: JSON.stringify(key), ...more });
const ask = (provider = {}, credentials: Record<string, string> | undefined = secret()) => question({ type: 'stackdriver', ...provider }, credentials, { query: PROMQL });

const vector = (...series: [labels: Record<string, string>, value: string][]) => ({
  status: 'success',
  data: { resultType: 'vector', result: series.map(([metric, value]) => ({ metric, value: [TO / 1000, value] })) },
});
const googleError = (code: number, status: string, message: string) => ({ status: code, json: { error: { code, message, status } } });

const METADATA = 'metadata.google.internal';
function google(monitoring: Reply, token: Reply = { json: { access_token: 'ya29.first', expires_in: 3599, token_type: 'Bearer' } }) {
  const hosts: Record<string, Reply> = { 'monitoring.googleapis.com': monitoring, 'oauth2.googleapis.com': token, [METADATA]: token };
  const { http, asked } = internet(({ url }: HttpRequest) => hosts[url.host]);
  const clock = { now: TO };
  const provider = createStackdriverProvider({ http, timeoutMs: 1_000, now: () => clock.now });
  return { ask: (query: ProviderQuery) => provider.ask(query), asked, clock, of: (host: string) => asked.filter(({ url }) => url.host === host), hosts };
}
const decodedPart = (jwt: string, part: number): unknown => JSON.parse(Buffer.from(jwt.split('.')[part] ?? '', 'base64url').toString());

describe('Google Cloud Monitoring', () => {
  it('is asked PromQL at the end of the evidence', async () => {
    const { ask: send, of } = google({ json: vector([{}, '1.5']) });
    expect(samples(await send(ask()))).toEqual([{ labels: {}, value: 1.5 }]);
    const [request] = of('monitoring.googleapis.com');
    expect(request?.url.href).toBe('https://monitoring.googleapis.com/v1/projects/shop-1/location/global/prometheus/api/v1/query');
    expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({ query: PROMQL, time: '1700000060.000' });
    expect(request?.headers).toMatchObject({ authorization: 'Bearer ya29.first' });
  });

  it.each([
    ['of the template', { stackdriver: { project: 'of-template', language: 'promql', location: 'europe-west1' } }, { project: 'of-secret' }, 'of-template/location/europe-west1'],
    ['of the Secret', {}, { project: 'of-secret' }, 'of-secret/location/global'],
    ['of the key', {}, {}, 'shop-1/location/global'],
  ])('reads the project %s', async (_name, provider, more, path) => {
    const { ask: send, of } = google({ json: vector() });
    await send(ask(provider, secret(KEY, more)));
    expect(of('monitoring.googleapis.com')[0]?.url.pathname).toBe(`/v1/projects/${path}/prometheus/api/v1/query`);
  });

  it('gives every series, and NaN as a value that means none', async () => {
    const { ask: send } = google({ json: vector([{ pod: 'a' }, '1'], [{ pod: 'b' }, 'NaN']) });
    expect(samples(await send(ask()))).toEqual([
      { labels: { pod: 'a' }, value: 1 },
      { labels: { pod: 'b' }, value: Number.NaN },
    ]);
  });

  it('the project is no secret, although it is in one', async () => {
    const { ask: send } = google(googleError(403, 'PERMISSION_DENIED', 'Permission denied on project of-secret'));
    expect(failure(await send(ask({}, secret(KEY, { project: 'of-secret' })))).message).toContain('on project of-secret;');
  });

  it.each<[string, Reply, boolean, RegExp]>([
    ['a query that does not parse', { status: 400, json: { status: 'error', errorType: 'bad_data', error: 'parse error: unexpected <EOF>' } }, true, /refused the query: parse error/],
    ['a metric that it does not know', googleError(400, 'INVALID_ARGUMENT', 'could not find metric'), true, /could not find metric/],
    ['rights that are missing', googleError(403, 'PERMISSION_DENIED', "Permission 'monitoring.timeSeries.list' denied"), false, /monitoring\.timeSeries\.list.*look at the Secret "keys"/],
    ['a quota', googleError(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded'), false, /asked too often \(429\): Quota exceeded/],
    ['a range in place of a number', { json: { status: 'success', data: { resultType: 'matrix', result: [] } } }, true, /gives a range of values/],
  ])('says %s', async (_name, reply, permanent, says) => {
    expect(failure(await google(reply).ask(ask()))).toMatchObject({ permanent, message: expect.stringMatching(says) as string });
  });
});

describe('the identity that Google is asked with', () => {
  it('is shown by a statement that is signed with the key', async () => {
    const { ask: send, of } = google({ json: vector() });
    await send(ask());
    const form = new URLSearchParams(of('oauth2.googleapis.com')[0]?.body);
    expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    const jwt = form.get('assertion') ?? '';
    expect(decodedPart(jwt, 0)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'key-1' });
    expect(decodedPart(jwt, 1)).toEqual({ iss: KEY.client_email, scope: 'https://www.googleapis.com/auth/monitoring.read', aud: KEY.token_uri, iat: TO / 1000, exp: TO / 1000 + 3600 });
    const [head, claims, signature] = jwt.split('.');
    expect(createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(publicKey, signature ?? '', 'base64url')).toBe(true);
  });

  it('is exchanged once, and again a minute before the token expires', async () => {
    const { ask: send, of, clock } = google({ json: vector() });
    await Promise.all([send(ask()), send(ask()), send(ask())]);
    clock.now += 3_599_000 - 60_001;
    await send(ask());
    expect(of('oauth2.googleapis.com')).toHaveLength(1);
    clock.now += 1;
    await send(ask());
    expect(of('oauth2.googleapis.com')).toHaveLength(2);
  });

  it('is another one for another key', async () => {
    const { ask: send, of } = google({ json: vector() });
    await send(ask());
    await send(ask({}, secret({ ...KEY, client_email: 'other@shop-1.iam.gserviceaccount.com' })));
    expect(of('oauth2.googleapis.com')).toHaveLength(2);
  });

  it('a key that is not taken any more is the fault of the Secret, and nothing of it is told', async () => {
    const { ask: send } = google({ json: vector() }, { status: 400, json: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } });
    expect(failure(await send(ask()))).toEqual({
      kind: 'failed',
      permanent: false,
      message: 'the token service of Google at oauth2.googleapis.com answered 400: invalid_grant: Invalid JWT Signature.; look at the Secret "keys"',
    });
  });

  it.each([
    ['no JSON', 'nonsense', /not the JSON key of a service account/],
    ['credentials of another kind, which may name files', JSON.stringify({ ...KEY, type: 'external_account' }), /look at "type"/],
    ['no key inside', JSON.stringify({ ...KEY, private_key: 'nonsense-in-place-of-a-key' }), /private_key in serviceAccountKey of the Secret "keys" is not a private key/],
  ])('a Secret with %s is named', async (_name, serviceAccountKey, says) => {
    const { message, permanent } = failure(await google({ json: vector() }).ask(ask({}, { serviceAccountKey })));
    expect(message).toMatch(says);
    expect(message).not.toContain('nonsense');
    expect(permanent).toBe(false);
  });

  it('is that of the pod where no Secret is named', async () => {
    const { ask: send, of } = google({ json: vector([{}, '3']) });
    const query = question({ type: 'stackdriver', stackdriver: { project: 'shop-1', language: 'promql', location: 'global' } }, undefined, { query: PROMQL });
    expect(samples(await send(query))[0]?.value).toBe(3);
    expect(of(METADATA)[0]?.headers).toMatchObject({ 'metadata-flavor': 'Google' });
  });

  it('of the pod is never shown to another address', async () => {
    const { ask: send, asked } = google({ json: vector() });
    for (const more of [{ address: 'https://metrics.example.com' }, { insecureSkipVerify: true }, { headers: { host: 'metrics.example.com' } }]) {
      const query = question({ type: 'stackdriver', stackdriver: { project: 'shop-1', language: 'promql', location: 'global' }, ...more });
      expect(failure(await send(query))).toMatchObject({ permanent: true, message: expect.stringContaining('shown to Google only') as string });
    }
    expect(asked).toEqual([]);
  });

  it('of the pod is out of reach where link-local addresses are, which is said with both ways out', async () => {
    const http = createHttp({ resolve: (_host, _options, callback) => callback(null, [{ address: '169.254.169.254', family: 4 }]) });
    const provider = createStackdriverProvider({ http, timeoutMs: 1_000, now: () => TO });
    const answer = await provider.ask(question({ type: 'stackdriver', stackdriver: { project: 'shop-1', language: 'promql', location: 'global' } }));
    http.close();
    expect(failure(answer)).toMatchObject({ permanent: true, message: expect.stringMatching(/metadata server.*--allow-link-local.*the template names no Secret.*serviceAccountKey/s) as string });
  });

  it('needs a project', async () => {
    expect(failure(await google({ json: vector() }).ask(question({ type: 'stackdriver' })))).toMatchObject({ permanent: true, message: expect.stringContaining('stackdriver.project is needed') as string });
  });
});

describe('MQL', () => {
  const mql = (provider = {}) => ask({ stackdriver: { language: 'mql', location: 'global', ...provider } });
  const point = (start: number, value: object) => ({ values: [value], timeInterval: { startTime: new Date(start).toISOString(), endTime: new Date(start + 20_000).toISOString() } });
  const answer = (series: [pod: string, ...object[]][], points = [{ key: 'value.errors', valueType: 'DOUBLE' }]) => ({
    timeSeriesDescriptor: { labelDescriptors: [{ key: 'resource.pod' }], pointDescriptors: points },
    timeSeriesData: series.map(([pod, ...pointData]) => ({ labelValues: [{ stringValue: pod }], pointData })),
  });

  it('is asked in its own way', async () => {
    const { ask: send, of } = google({ json: {} });
    expect(samples(await send(mql()))).toEqual([]);
    expect(of('monitoring.googleapis.com')[0]?.url.pathname).toBe('/v3/projects/shop-1/timeSeries:query');
    expect(JSON.parse(of('monitoring.googleapis.com')[0]?.body ?? '')).toEqual({ query: PROMQL });
  });

  it('gives the newest point in the evidence of every series, integers as well', async () => {
    const json = answer([
      ['a', point(FROM + 40_001, { doubleValue: 4 }), point(FROM + 20_000, { doubleValue: 3.5 }), point(FROM, { doubleValue: 2 })],
      ['b', point(FROM, { int64Value: '12' })],
      ['c', point(FROM - 1, { doubleValue: 1 })],
    ]);
    expect(samples(await google({ json }).ask(mql())).map(({ labels, value }) => [labels['resource.pod'], value])).toEqual([
      ['a', 3.5],
      ['b', 12],
      ['c', Number.NaN],
    ]);
  });

  it.each([
    ['several numbers a point', answer([], [{ key: 'value.a', valueType: 'DOUBLE' }, { key: 'value.b', valueType: 'DOUBLE' }]), true, /several numbers \(value\.a, value\.b\)/],
    ['more than one page', { ...answer([]), nextPageToken: 'x' }, true, /more than one answer/],
    ['a part', { ...answer([]), partialErrors: [{ code: 4, message: 'deadline' }] }, false, /only a part: deadline/],
  ])('%s is an error', async (_name, json, permanent, says) => {
    expect(failure(await google({ json }).ask(mql()))).toMatchObject({ permanent, message: expect.stringMatching(says) as string });
  });
});

behavesWhenServerDoesNot({
  create: createStackdriverProvider,
  question: (address) => ask({ address }, secret({ ...KEY, token_uri: `${address}/token` })),
  before: ({ path }) => (path === '/token' ? { body: { access_token: 'ya29.token-of-the-test', expires_in: 3599 } } : undefined),
  nothing: { 'no series': { body: vector() }, NaN: { body: vector([{}, 'NaN']) } },
  strange: { 'text for a value': { body: vector([{}, 'many']) }, 'no result': { body: { status: 'success' } } },
  malformed: { 'PromQL that does not parse': { status: 400, body: { status: 'error', errorType: 'bad_data', error: 'x' } } },
});
