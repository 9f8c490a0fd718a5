import { describe, expect, it } from 'vitest';
import { createCloudWatchProvider } from '../../src/metrics/cloudwatch/index.js';
import type { ProviderQuery } from '../../src/metrics/provider.js';
import type { HttpRequest } from '../../src/net/http.js';
import { behavesWhenServerDoesNot } from './misbehaving.js';
import { failure, FROM, internet, question, samples, TO, type Reply } from './service.js';

const KEYS = { aws_access_key_id: 'AKIDEXAMPLE', aws_secret_access_key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const QUERIES = [
  { Id: 'rate', Expression: '100 * errors / requests', Label: 'error rate' },
  { Id: 'errors', ReturnData: false, MetricStat: { Period: 20, Stat: 'Sum', Metric: { Namespace: 'AWS/ApplicationELB', MetricName: 'HTTPCode_Target_5XX_Count' } } },
  { Id: 'requests', ReturnData: false, MetricStat: { Period: 20, Stat: 'Sum', Metric: { Namespace: 'AWS/ApplicationELB', MetricName: 'RequestCount' } } },
];
const SETTINGS = { region: 'eu-central-1' };
const ask = (over: Partial<ProviderQuery> = {}, provider = {}, credentials: Record<string, string> | undefined = KEYS) =>
  question({ type: 'cloudwatch', cloudwatch: SETTINGS, ...provider }, credentials, { query: JSON.stringify(QUERIES), ...over });
const ambient = (provider = {}) => question({ type: 'cloudwatch', cloudwatch: SETTINGS, ...provider }, undefined, { query: JSON.stringify(QUERIES) });

const result = (values: unknown[], at: number[] = values.map((_, index) => FROM / 1000 + 20 * (values.length - 1 - index)), more = {}) => ({
  Id: 'rate',
  Label: 'error rate',
  StatusCode: 'Complete',
  Timestamps: at,
  Values: values,
  Messages: [],
  ...more,
});
const ok = (...results: ReturnType<typeof result>[]) => ({ Messages: [], MetricDataResults: results });
const credentialsXml = (action: string, key: string, expires: string) => `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <${action}Result><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/sluice/sluice</Arn></AssumedRoleUser>
    <Credentials><AccessKeyId>${key}</AccessKeyId><SecretAccessKey>lent-secret-${key}</SecretAccessKey><SessionToken>session-of-${key}</SessionToken><Expiration>${expires}</Expiration></Credentials>
  </${action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${action}Response>`;

function provider(answer: (request: HttpRequest) => Reply | undefined, env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const { http, asked } = internet(answer);
  const clock = { now: TO };
  const read = (path: string): Promise<string> => (files[path] === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(files[path]));
  const created = createCloudWatchProvider({ http, timeoutMs: 1_000, now: () => clock.now }, { env, read });
  return { ask: (query: ProviderQuery) => created.ask(query), asked, clock, of: (host: string) => asked.filter(({ url }) => url.host === host) };
}
const cloudwatch = (reply: Reply) => provider(({ url }) => (url.host === 'monitoring.eu-central-1.amazonaws.com' ? reply : undefined));

describe('CloudWatch', () => {
  it('is asked for the queries of the template over the time of the evidence, signed', async () => {
    const { ask: send, asked } = cloudwatch({ json: ok() });
    await send(ask());
    const { url, headers = {}, body, method } = asked[0] ?? { url: new URL('x:y'), method: '' };
    expect([method, url.href]).toEqual(['POST', 'https://monitoring.eu-central-1.amazonaws.com/']);
    expect(JSON.parse(body ?? '')).toEqual({ MetricDataQueries: QUERIES, StartTime: FROM / 1000, EndTime: TO / 1000, ScanBy: 'TimestampDescending' });
    expect(headers).toMatchObject({ 'x-amz-target': 'GraniteServiceVersion20100801.GetMetricData', 'content-type': 'application/x-amz-json-1.0' });
    expect(headers['authorization']).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20231114\/eu-central-1\/monitoring\/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=[0-9a-f]{64}$/);
  });

  it('gives the newest point that is complete and lies in the evidence', async () => {
    const seconds = FROM / 1000;
    const json = ok(result([5, 4, 3, 2], [seconds + 41, seconds + 40, seconds, seconds - 20]));
    expect(samples(await cloudwatch({ json }).ask(ask()))).toEqual([{ labels: { id: 'rate', label: 'error rate' }, value: 4 }]);
  });

  it('knows a point of a minute as complete only in a minute that lies in the evidence', async () => {
    const query = JSON.stringify([{ Id: 'rate', Expression: 'SELECT AVG(x) FROM y GROUP BY z', Period: 60 }]);
    const at = (offset: number) => cloudwatch({ json: ok(result([1], [FROM / 1000 + offset])) }).ask(ask({ query }));
    expect(samples(await at(0))[0]?.value).toBe(1);
    expect(samples(await at(1))[0]?.value).toBeNaN();
  });

  it('takes a minute for the length of a point where the query says nothing', async () => {
    const query = JSON.stringify([{ Id: 'rate', Expression: "SEARCH('RequestCount', 'Sum')" }]);
    const at = (offset: number) => cloudwatch({ json: ok(result([1], [FROM / 1000 + offset])) }).ask(ask({ query }));
    expect(samples(await at(0))[0]?.value).toBe(1);
    expect(samples(await at(1))[0]?.value).toBeNaN();
  });

  it('gives every result, the same id with other labels as well', async () => {
    const json = ok(result([1]), result([2], undefined, { Label: 'pod-b' }));
    expect(samples(await cloudwatch({ json }).ask(ask())).map(({ labels, value }) => [labels['label'], value])).toEqual([
      ['error rate', 1],
      ['pod-b', 2],
    ]);
  });

  it.each([
    ['keys that are not known', 'UnrecognizedClientException', 'The security token included in the request is invalid.', false, /answered 400: UnrecognizedClientException.*look at the Secret "keys"/],
    ['rights that are missing', 'AccessDeniedException', 'User is not authorized to perform: cloudwatch:GetMetricData', false, /cloudwatch:GetMetricData.*look at the Secret "keys"/],
    ['a clock that is wrong', 'InvalidSignatureException', 'Signature expired', false, /Signature expired/],
    ['haste', 'ThrottlingException', 'Rate exceeded', false, /asked too often/],
    ['a query that is wrong', 'InvalidParameterValueException', 'Error in expression "rate"', true, /refused the query: InvalidParameterValueException: Error in expression/],
  ])('tells %s by the code, not by the status', async (_name, code, message, permanent, says) => {
    const answer = await cloudwatch({ status: 400, json: { __type: `com.amazonaws.cloudwatch.v2010_08_01#${code}`, message } }).ask(ask());
    expect(failure(answer)).toMatchObject({ permanent, message: expect.stringMatching(says) as string });
  });

  it.each([
    ['a part', { StatusCode: 'PartialData' }, /gave only a part of "rate"/],
    ['an internal error', { StatusCode: 'InternalError', Messages: [{ Code: 'Oops', Value: 'try again' }] }, /failed at "rate" \(Oops: try again\)/],
    ['metrics that may not be read', { StatusCode: 'Forbidden' }, /does not let these keys read "rate"/],
  ])('%s is not a result', async (_name, more, says) => {
    const answer = await cloudwatch({ json: ok(result([1], undefined, more)) }).ask(ask());
    expect(failure(answer)).toMatchObject({ permanent: false, message: expect.stringMatching(says) as string });
  });

  it('more than one page is an error', async () => {
    expect(failure(await cloudwatch({ json: { ...ok(), NextToken: 'more' } }).ask(ask()))).toMatchObject({ permanent: true });
  });

  it.each([
    ['no JSON', 'SELECT 1', /spec\.query is not JSON/],
    ['no list', '{"Id":"a"}', /spec\.query is not a list of MetricDataQueries/],
    ['a query without an id', '[{"Expression":"a"}]', /0\.Id/],
  ])('a query that is %s is a mistake in the template', async (_name, query, says) => {
    expect(failure(await cloudwatch({ json: ok() }).ask(ask({ query })))).toMatchObject({ permanent: true, message: expect.stringMatching(says) as string });
  });

  it('takes the region of the controller, and needs one', async () => {
    const query = { ...ask(), provider: { ...ask().provider, cloudwatch: undefined } };
    const own = provider(() => ({ json: ok() }), { AWS_REGION: 'cn-north-1' });
    await own.ask(query);
    expect(own.asked[0]?.url.host).toBe('monitoring.cn-north-1.amazonaws.com.cn');
    expect(failure(await provider(() => ({ json: ok() })).ask(query))).toMatchObject({ permanent: true, message: expect.stringContaining('region is needed') as string });
  });
});

const STS = 'sts.eu-central-1.amazonaws.com';
const IRSA = { AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/sluice', AWS_WEB_IDENTITY_TOKEN_FILE: '/var/run/secrets/token' };
const iso = (ms: number): string => new Date(ms).toISOString().replace('.000', '');

describe('the identity that CloudWatch is asked with', () => {
  const irsa = (lifeMs = 3_600_000) => {
    let lent = 0;
    const started = provider(
      ({ url }) => (url.host === STS ? { body: credentialsXml('AssumeRoleWithWebIdentity', `LENT${++lent}`, iso(started.clock.now + lifeMs)) } : { json: ok() }),
      IRSA,
      { '/var/run/secrets/token': 'projected-token\n' },
    );
    return started;
  };

  it('is the role of the service account where no Secret is named', async () => {
    const { ask: send, of } = irsa();
    expect(samples(await send(ambient()))).toEqual([]);
    const [sts] = of(STS);
    expect(Object.fromEntries(new URLSearchParams(sts?.body))).toEqual({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: IRSA.AWS_ROLE_ARN,
      RoleSessionName: 'sluice',
      WebIdentityToken: 'projected-token',
    });
    expect(of('monitoring.eu-central-1.amazonaws.com')[0]?.headers).toMatchObject({
      'x-amz-security-token': 'session-of-LENT1',
      authorization: expect.stringContaining('Credential=LENT1/') as string,
    });
  });

  it('is exchanged once, and again shortly before it expires', async () => {
    const { ask: send, of, clock } = irsa();
    await Promise.all([send(ambient()), send(ambient())]);
    clock.now += 3_600_000 - 60_001;
    await send(ambient());
    expect(of(STS)).toHaveLength(1);
    clock.now += 1;
    await send(ambient());
    expect(of(STS)).toHaveLength(2);
    expect(of('monitoring.eu-central-1.amazonaws.com').at(-1)?.headers?.['x-amz-security-token']).toBe('session-of-LENT2');
  });

  it('an exchange that failed is tried again', async () => {
    const refused = provider(
      ({ url }) => (url.host === STS ? { status: 403, body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>' } : { json: ok() }),
      IRSA,
      { '/var/run/secrets/token': 'projected-token' },
    );
    for (const times of [1, 2]) {
      const { message, permanent } = failure(await refused.ask(ambient()));
      expect(message).toMatch(/^AWS STS at sts\.eu-central-1\.amazonaws\.com answered 403: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity; .*rights of the identity that the controller has$/);
      expect([permanent, refused.of(STS).length]).toEqual([false, times]);
    }
  });

  it.each([
    ['an address of somebody else', { address: 'https://metrics.example.com' }],
    ['an address that only looks like CloudWatch', { address: 'https://monitoring.eu-central-1.amazonaws.com.example.com' }],
    ['another service of AWS', { address: 'https://abc.execute-api.eu-central-1.amazonaws.com' }],
    ['no TLS', { address: 'http://monitoring.eu-central-1.amazonaws.com' }],
    ['a certificate that nobody checks', { insecureSkipVerify: true }],
    ['another service behind the same front end', { headers: { Host: 'metrics.example.com' } }],
  ])('is never shown to %s', async (_name, more) => {
    const { ask: send, asked } = irsa();
    expect(failure(await send(ambient(more)))).toMatchObject({ permanent: true, message: expect.stringContaining('shown to CloudWatch only') as string });
    expect(asked).toEqual([]);
  });

  it('is shown to an endpoint in the own network', async () => {
    const { ask: send, asked } = irsa();
    await send(ambient({ address: 'https://vpce-0a1b.monitoring.eu-central-1.vpce.amazonaws.com' }));
    expect(asked.at(-1)?.url.host).toBe('vpce-0a1b.monitoring.eu-central-1.vpce.amazonaws.com');
  });

  it('may not be used to become somebody else', async () => {
    const { ask: send, asked } = irsa();
    const answer = await send(ambient({ cloudwatch: { ...SETTINGS, roleArn: 'arn:aws:iam::999999999999:role/admin' } }));
    expect(failure(answer)).toMatchObject({ permanent: true, message: expect.stringContaining('roleArn needs the keys of a Secret') as string });
    expect(asked).toEqual([]);
  });

  it('a token file that is not there is said', async () => {
    expect(failure(await provider(() => ({ json: ok() }), IRSA).ask(ambient()))).toMatchObject({ permanent: false, message: expect.stringContaining('/var/run/secrets/token cannot be read') as string });
  });

  it('is a role that the keys of the Secret may assume', async () => {
    const assumed = provider(({ url }) => (url.host === STS ? { body: credentialsXml('AssumeRole', 'LENT', iso(TO + 3_600_000)) } : { json: ok() }));
    const query = ask({}, { cloudwatch: { ...SETTINGS, roleArn: 'arn:aws:iam::999999999999:role/metrics' } });
    await assumed.ask(query);
    await assumed.ask(query);
    const [sts, ...more] = assumed.of(STS);
    expect(more).toEqual([]);
    expect(sts?.body).toContain('Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A999999999999%3Arole%2Fmetrics');
    expect(sts?.headers?.['authorization']).toContain('Credential=AKIDEXAMPLE/20231114/eu-central-1/sts/aws4_request');
    expect(assumed.asked.at(-1)?.headers?.['x-amz-security-token']).toBe('session-of-LENT');
  });

  it('is that of EKS Pod Identity', async () => {
    const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.170.23/v1/credentials', AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/token' };
    const json = { AccessKeyId: 'POD', SecretAccessKey: 'pod-secret', Token: 'pod-session', AccountId: '1', Expiration: iso(TO + 3_600_000) };
    const pod = provider(({ url }) => (url.host === '169.254.170.23' ? { json } : { json: ok() }), env, { '/token': 'pod-token' });
    await pod.ask(ambient());
    expect(pod.asked[0]?.headers?.['authorization']).toBe('pod-token');
    expect(pod.asked[1]?.headers).toMatchObject({ 'x-amz-security-token': 'pod-session', authorization: expect.stringContaining('Credential=POD/') as string });
  });

  it('is needed', async () => {
    expect(failure(await provider(() => ({ json: ok() })).ask(ambient()))).toMatchObject({ permanent: true, message: expect.stringContaining('aws_access_key_id and aws_secret_access_key') as string });
  });
});

behavesWhenServerDoesNot({
  create: (options) => createCloudWatchProvider(options, { env: {}, read: () => Promise.reject(new Error('no files')) }),
  question: (address) => ask({ address }, { address }),
  nothing: { 'no result': { body: ok() }, 'no values': { body: ok(result([])) }, NaN: { body: ok(result(['NaN'])) } },
  strange: { 'text for a value': { body: ok(result(['many'])) }, 'fewer values than timestamps': { body: ok(result([1], [FROM / 1000, TO / 1000])) } },
  malformed: { 'an expression that does not parse': { status: 400, body: { __type: 'ValidationError', message: 'x' } } },
});
