import { describe, expect, it } from 'vitest';
import type { MetricProviderSpec } from '../../src/api/index.js';
import { createAzureMonitorProvider } from '../../src/metrics/azuremonitor/index.js';
import type { ProviderOptions, ProviderQuery } from '../../src/metrics/provider.js';
import { questionOf } from '../../src/metrics/template/questions.js';
import type { HttpRequest } from '../../src/net/http.js';
import { behavesWhenServerDoesNot, type Subject } from './misbehaving.js';
import { failure, FROM, internet, question, samples, TO, type Reply } from './service.js';

const TENANT = '11111111-2222-3333-4444-555555555555';
const KEYS = { tenantId: TENANT, clientId: '66666666-7777-8888-9999-000000000000', clientSecret: 'client-secret-0123456789' };
const RESOURCE = '/subscriptions/s-1/resourceGroups/shop/providers/Microsoft.Web/sites/reviews';
const WORKSPACE = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee';
type Settings = Partial<NonNullable<MetricProviderSpec['azuremonitor']>>;
const ask = (azuremonitor: Settings, query: string, provider: Partial<MetricProviderSpec> = {}, credentials: Record<string, string> | undefined = KEYS) =>
  question({ type: 'azuremonitor', azuremonitor: { cloud: 'public', ...azuremonitor }, ...provider }, credentials, { query });

const METRICS = "metricnames=Http5xx&aggregation=Total&interval=PT1M&$filter=Instance eq 'a+b'";
const metrics = (settings: Settings = {}, query = METRICS) => ask({ resource: RESOURCE, ...settings }, query);
const KQL = "AppRequests | where AppRoleName == 'reviews' | summarize 100.0 * countif(Success == false) / count()";
const kql = () => ask({ workspace: WORKSPACE }, KQL);

const LOGIN = 'login.microsoftonline.com';
const token: Reply = { json: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: 'eyJ0.first' } };
function azure(reply: Reply, login = token, env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const { http, asked } = internet(({ url }: HttpRequest) => (url.host.startsWith('login.') ? login : reply));
  const clock = { now: TO };
  const read = (path: string): Promise<string> => (files[path] === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(files[path]));
  const provider = createAzureMonitorProvider({ http, timeoutMs: 1_000, now: () => clock.now }, { env, read });
  return { ask: (query: ProviderQuery) => provider.ask(query), asked, clock, logins: () => asked.filter(({ url }) => url.host.startsWith('login.')) };
}

const point = (offset: number, more: object) => ({ timeStamp: new Date(FROM + offset).toISOString(), ...more });
const metric = (timeseries: unknown[], more = {}) => ({ id: `${RESOURCE}/providers/Microsoft.Insights/metrics/Http5xx`, type: 'Microsoft.Insights/metrics', name: { value: 'Http5xx', localizedValue: 'Http Server Errors' }, unit: 'Count', errorCode: 'Success', timeseries, ...more });
const metricsOk = (...value: unknown[]) => ({ cost: 59, timespan: 'x/y', interval: 'PT20S', value, namespace: 'Microsoft.Web/sites', resourceregion: 'westeurope' });
const table = (columns: [name: string, type: string][], ...rows: unknown[][]) => ({ tables: [{ name: 'PrimaryResult', columns: columns.map(([name, type]) => ({ name, type })), rows }] });

describe('metrics of a resource', () => {
  it('are asked for over the time of the evidence', async () => {
    const { ask: send, asked } = azure({ json: metricsOk() });
    await send(metrics());
    const { url, headers } = asked[1] ?? { url: new URL('x:y'), headers: {} };
    expect(`${url.origin}${url.pathname}`).toBe(`https://management.azure.com${RESOURCE}/providers/Microsoft.Insights/metrics`);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      metricnames: 'Http5xx',
      aggregation: 'Total',
      interval: 'PT1M',
      $filter: "Instance eq 'a+b'",
      timespan: '2023-11-14T22:13:20.000Z/2023-11-14T22:14:20.000Z',
      'api-version': '2023-10-01',
    });
    expect(url.search).not.toContain('+');
    expect(headers).toMatchObject({ authorization: 'Bearer eyJ0.first' });
  });

  it('give the newest complete point of every series, in the aggregate that was asked for', async () => {
    const series = (instance: string, ...data: object[]) => ({ metadatavalues: [{ name: { value: 'instance', localizedValue: 'instance' }, value: instance }], data });
    const json = metricsOk(
      metric([
        series('a', point(-20_000, { total: 1, count: 9 }), point(0, { total: 2, count: 9 }), point(20_000, { total: 3 }), point(41_000, { total: 4 })),
        series('b', point(0, { total: 7 }), point(20_000, {})),
      ]),
    );
    expect(samples(await azure({ json }).ask(metrics()))).toEqual([
      { labels: { metric: 'Http5xx', instance: 'a' }, value: 3 },
      { labels: { metric: 'Http5xx', instance: 'b' }, value: 7 },
    ]);
  });

  it('a value that a Canary gives stays where the template has put it', async () => {
    const { provider } = metrics();
    const template = { name: 'mine', variables: {}, spec: { provider, query: "metricnames=Http5xx&aggregation=Total&$filter=Instance eq '{{ variables.instance }}'" } };
    const asking = { metric: 'm', server: '', namespace: 'shop', name: 'reviews', target: 'reviews', revision: 'r', service: 'g', stableService: 'b', from: FROM, to: TO };
    const rendered = questionOf(template, asking, 'spec.query', template.spec.query, new Map([['variables.instance', 'a b&aggregation=Count+1']]));
    if ('problem' in rendered) throw new Error(rendered.problem);
    const { ask: send, asked } = azure({ json: metricsOk() });
    await send({ ...rendered.done, credentials: KEYS });
    expect(Object.fromEntries(asked[1]?.url.searchParams ?? [])).toMatchObject({ aggregation: 'Total', $filter: "Instance eq 'a b&aggregation=Count+1'" });
  });

  it('an aggregate of the whole interval is taken as it is', async () => {
    const json = { ...metricsOk(metric([{ metadatavalues: [], data: [point(-1, { average: 0.5 })] }])), interval: 'FULL' };
    expect(samples(await azure({ json }).ask(metrics({}, 'metricnames=Http5xx&aggregation=Average&interval=FULL')))[0]?.value).toBe(0.5);
  });

  it.each([
    ['no metric', 'aggregation=Total'],
    ['no aggregation', 'metricnames=Http5xx'],
    ['two aggregations', 'metricnames=Http5xx&aggregation=Total,Count'],
    ['KQL', KQL],
  ])('a query with %s is a mistake in the template, and nobody is asked', async (_name, query) => {
    const { ask: send, asked } = azure({ json: metricsOk() });
    expect(failure(await send(metrics({}, query)))).toMatchObject({ permanent: true, message: expect.stringContaining('metricnames and one aggregation') as string });
    expect(asked).toEqual([]);
  });

  it('an error in place of a metric is one', async () => {
    const json = metricsOk(metric([], { errorCode: 'InternalServerError', errorMessage: 'try later' }));
    expect(failure(await azure({ json }).ask(metrics()))).toMatchObject({ permanent: false, message: 'Azure Monitor failed at "Http5xx": try later' });
  });

  it.each<[string, Reply, boolean, RegExp]>([
    ['a metric that there is not', { status: 400, json: { code: 'BadRequest', message: 'Failed to find metric configuration for provider' } }, true, /refused the query: BadRequest: Failed to find metric/],
    ['rights that are missing', { status: 403, json: { error: { code: 'AuthorizationFailed', message: "does not have authorization to perform action 'Microsoft.Insights/metrics/read'" } } }, false, /Microsoft\.Insights\/metrics\/read.*look at the Secret "keys"/],
    ['a resource that is gone', { status: 404, json: { error: { code: 'ResourceNotFound', message: 'was not found' } } }, false, /failed \(404\): ResourceNotFound/],
    ['haste', { status: 429, json: { error: { code: 'TooManyRequests', message: 'slow' } }, headers: { 'retry-after': '11' } }, false, /left alone for 11 s/],
  ])('says %s', async (_name, reply, permanent, says) => {
    expect(failure(await azure(reply).ask(metrics()))).toMatchObject({ permanent, message: expect.stringMatching(says) as string });
  });
});

describe('KQL', () => {
  it('is asked of the workspace, over the time of the evidence', async () => {
    const { ask: send, asked } = azure({ json: table([['x', 'real']], [1.5]) });
    expect(samples(await send(kql()))).toEqual([{ labels: {}, value: 1.5 }]);
    expect(asked[1]?.url.href).toBe(`https://api.loganalytics.io/v1/workspaces/${WORKSPACE}/query`);
    expect(JSON.parse(asked[1]?.body ?? '')).toEqual({ query: KQL, timespan: '2023-11-14T22:13:20.000Z/2023-11-14T22:14:20.000Z' });
    expect(new URLSearchParams(asked[0]?.body).get('scope')).toBe('https://api.loganalytics.io/.default');
  });

  it('gives a sample per row', async () => {
    const json = table([['pod', 'string'], ['errors', 'long'], ['bad', 'bool']], ['a', 3, true], ['b', null, false]);
    expect(samples(await azure({ json }).ask(kql()))).toEqual([
      { labels: { pod: 'a', bad: 'true' }, value: 3 },
      { labels: { pod: 'b', bad: 'false' }, value: Number.NaN },
    ]);
  });

  it.each([
    ['a decimal', 'decimal', '12.50', 12.5],
    ['NaN', 'real', 'NaN', Number.NaN],
    ['an infinity', 'real', '-Infinity', Number.NEGATIVE_INFINITY],
  ])('reads %s, which comes as text', async (_name, type, cell, value) => {
    expect(samples(await azure({ json: table([['x', type]], [cell]) }).ask(kql()))[0]?.value).toBe(value);
  });

  it.each([
    ['no column of numbers', table([['x', 'string']], ['1']), /no column of numbers/],
    ['several', table([['x', 'real'], ['y', 'long']], [1, 2]), /several columns of numbers \(x, y\)/],
  ])('%s is an error', async (_name, json, says) => {
    expect(failure(await azure({ json }).ask(kql()))).toMatchObject({ permanent: true, message: expect.stringMatching(says) as string });
  });

  it('says what is wrong with it, however deep that lies', async () => {
    const error = { message: 'The request had some invalid properties', code: 'BadArgumentError', innererror: { code: 'SemanticError', message: 'A semantic error occurred.', innererror: { code: 'SEM0100', message: "Failed to resolve column 'AppRole'" } } };
    expect(failure(await azure({ status: 400, json: { error } }).ask(kql()))).toMatchObject({ permanent: true, message: expect.stringMatching(/refused the query.*SEM0100: Failed to resolve column 'AppRole'/) as string });
  });

  it('a part of the result is none', async () => {
    const json = { ...table([['x', 'real']], [1]), error: { code: 'PartialError', message: 'There were some errors when processing your query.' } };
    expect(failure(await azure({ json }).ask(kql()))).toMatchObject({ permanent: false, message: expect.stringContaining('PartialError') as string });
  });
});

describe('PromQL of an Azure Monitor workspace', () => {
  it.each([
    ['public', 'https://shop-ab12.westeurope.prometheus.monitor.azure.com', LOGIN, 'https://prometheus.monitor.azure.com/.default'],
    ['US government', 'https://shop-ab12.usgovvirginia.prometheus.monitor.azure.us', 'login.microsoftonline.us', 'https://prometheus.monitor.azure.us/.default'],
  ])('is asked at its address, %s', async (_name, address, login, scope) => {
    const { ask: send, asked } = azure({ json: { status: 'success', data: { resultType: 'vector', result: [{ metric: { pod: 'a' }, value: [1, '4'] }] } } });
    expect(samples(await send(ask({}, 'up', { address })))).toEqual([{ labels: { pod: 'a' }, value: 4 }]);
    expect([asked[0]?.url.host, new URLSearchParams(asked[0]?.body).get('scope')]).toEqual([login, scope]);
    expect(asked[1]?.url.href).toBe(`${address}/api/v1/query`);
    expect(Object.fromEntries(new URLSearchParams(asked[1]?.body))).toEqual({ query: 'up', time: '1700000060.000' });
  });

  it('needs an address', async () => {
    expect(failure(await azure({}).ask(ask({}, 'up')))).toMatchObject({ permanent: true, message: expect.stringContaining('azuremonitor.resource') as string });
  });
});

describe('the identity that Azure is asked with', () => {
  it('is that of the Secret', async () => {
    const { ask: send, logins } = azure({ json: metricsOk() });
    await send(metrics());
    expect(logins()[0]?.url.href).toBe(`https://${LOGIN}/${TENANT}/oauth2/v2.0/token`);
    expect(Object.fromEntries(new URLSearchParams(logins()[0]?.body))).toEqual({ grant_type: 'client_credentials', scope: 'https://management.azure.com/.default', client_id: KEYS.clientId, client_secret: KEYS.clientSecret });
  });

  it('is exchanged once, and again a minute before the token expires; another audience has its own', async () => {
    const { ask: send, logins, clock } = azure({ json: { ...metricsOk(), ...table([['x', 'real']]) } });
    await Promise.all([send(metrics()), send(metrics())]);
    clock.now += 3_599_000 - 60_001;
    await send(metrics());
    expect(logins()).toHaveLength(1);
    clock.now += 1;
    await send(metrics());
    expect(logins()).toHaveLength(2);
    await send(kql());
    expect(logins()).toHaveLength(3);
  });

  it('a secret that expired is the fault of the Secret', async () => {
    const login = { status: 401, json: { error: 'invalid_client', error_description: 'AADSTS7000222: The provided client secret keys are expired.\r\nTrace ID: 1', error_codes: [7000222] } };
    expect(failure(await azure({ json: metricsOk() }, login).ask(metrics()))).toEqual({
      kind: 'failed',
      permanent: false,
      message: `Microsoft Entra ID at ${LOGIN} answered 401: invalid_client: AADSTS7000222: The provided client secret keys are expired.; look at the Secret "keys"`,
    });
  });

  it.each([
    ['without a tenant', { clientId: 'c', clientSecret: 's' }],
    ['without a client', { tenantId: TENANT, clientSecret: 's' }],
    ['with a tenant that is a path', { ...KEYS, tenantId: '../x' }],
    ['without a secret, where the pod has no identity', { tenantId: TENANT, clientId: 'c' }],
  ])('a Secret %s is named', async (_name, credentials) => {
    const answer = await azure({ json: metricsOk() }).ask(ask({ resource: RESOURCE }, METRICS, {}, credentials));
    expect(failure(answer)).toMatchObject({ permanent: false, message: expect.stringContaining('the Secret "keys" needs tenantId, clientId and clientSecret') as string });
  });

  const WORKLOAD = { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: 'client-of-the-pod', AZURE_FEDERATED_TOKEN_FILE: '/token' };
  const pod = (provider: Partial<MetricProviderSpec> = {}) => question({ type: 'azuremonitor', azuremonitor: { cloud: 'public', resource: RESOURCE }, ...provider }, undefined, { query: METRICS });

  it('is the workload identity of the pod where no Secret is named', async () => {
    const { ask: send, logins } = azure({ json: metricsOk() }, token, WORKLOAD, { '/token': 'federated-token\n' });
    expect(samples(await send(pod()))).toEqual([]);
    expect(Object.fromEntries(new URLSearchParams(logins()[0]?.body))).toMatchObject({
      client_id: 'client-of-the-pod',
      client_assertion: 'federated-token',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
  });

  it('of the pod may be that of a Secret with tenant and client only', async () => {
    const { ask: send, logins } = azure({ json: metricsOk() }, token, WORKLOAD, { '/token': 'federated-token' });
    await send(ask({ resource: RESOURCE }, METRICS, {}, { tenantId: 'other-tenant', clientId: 'other-client' }));
    expect(logins()[0]?.url.pathname).toBe('/other-tenant/oauth2/v2.0/token');
    expect(new URLSearchParams(logins()[0]?.body).get('client_id')).toBe('other-client');
  });

  it('of the pod is never shown to another address', async () => {
    const { ask: send, asked } = azure({ json: metricsOk() }, token, WORKLOAD, { '/token': 'federated-token' });
    const places: Partial<MetricProviderSpec>[] = [
      { address: 'https://metrics.example.com' },
      { address: 'http://management.azure.com' },
      { insecureSkipVerify: true },
      { headers: { HOST: 'metrics.example.com' } },
      { address: 'https://prometheus.monitor.azure.com.example.com', azuremonitor: { cloud: 'public' } },
    ];
    for (const place of places) {
      expect(failure(await send(pod(place)))).toMatchObject({ permanent: true, message: expect.stringContaining('shown to Azure only') as string });
    }
    const ofTheUser = { tenantId: TENANT, clientId: 'c', 'ca.crt': 'a certificate authority of the user' };
    expect(failure(await send(ask({ resource: RESOURCE }, METRICS, {}, ofTheUser)))).toMatchObject({ permanent: true, message: expect.stringContaining('shown to Azure only') as string });
    expect(asked).toEqual([]);
  });

  it('is needed', async () => {
    expect(failure(await azure({ json: metricsOk() }).ask(pod()))).toMatchObject({ permanent: true, message: expect.stringContaining('no workload identity in Azure') as string });
  });
});

/** The real way to a server, but for the login. */
const create = (options: ProviderOptions) =>
  createAzureMonitorProvider(
    {
      ...options,
      http: {
        ...options.http,
        send: (request) => (request.url.host === LOGIN ? Promise.resolve({ status: 200, headers: {}, body: JSON.stringify(token.json) }) : options.http.send(request)),
      },
    },
    { env: {}, read: () => Promise.reject(new Error('no files')) },
  );
const subjects: Record<string, Subject> = {
  metrics: {
    create,
    question: (address) => ask({ resource: RESOURCE }, METRICS, { address }),
    nothing: {
      'no series': { body: metricsOk(metric([])) },
      'no points': { body: metricsOk(metric([{ metadatavalues: [], data: [] }])) },
      'points without a value': { body: metricsOk(metric([{ metadatavalues: [], data: [point(0, {})] }])) },
      'only null': { body: metricsOk(metric([{ metadatavalues: [], data: [point(0, { total: null })] }])) },
    },
    strange: { 'text for a value': { body: metricsOk(metric([{ metadatavalues: [], data: [point(0, { total: 'many' })] }])) }, 'no metric': { body: { ...metricsOk(), value: null } } },
    malformed: { 'a metric that there is not': { status: 400, body: { error: { code: 'BadRequest', message: 'x' } } } },
  },
  KQL: {
    create,
    question: (address) => ask({ workspace: WORKSPACE }, KQL, { address }),
    nothing: { 'no row': { body: table([['x', 'real']]) }, null: { body: table([['x', 'real']], [null]) }, NaN: { body: table([['x', 'real']], ['NaN']) } },
    strange: { 'text for a value': { body: table([['x', 'real']], ['many']) }, 'no table': { body: { tables: [] } } },
    malformed: { 'KQL that does not parse': { status: 400, body: { error: { code: 'BadArgumentError', message: 'x' } } } },
  },
};
describe.each(Object.entries(subjects))('%s', (_name, subject) => behavesWhenServerDoesNot(subject));
