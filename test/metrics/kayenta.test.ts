import { describe, expect, it } from 'vitest';
import { createKayentaProvider } from '../../src/metrics/kayenta/index.js';
import type { ProviderQuery } from '../../src/metrics/provider.js';
import { behavesWhenServerDoesNot } from './misbehaving.js';
import { failure, internet, question, samples, TO, type Reply } from './service.js';

const ADDRESS = 'http://kayenta.spinnaker:8090';
const SETTINGS = {
  application: 'shop',
  canaryConfigName: 'reviews',
  metricsAccountName: 'prometheus',
  configurationAccountName: 'store',
  storageAccountName: 'store',
  thresholds: { pass: 90, marginal: 75 },
};
const SCOPES = { default: { controlScope: { scope: 'reviews-blue', location: 'shop' }, experimentScope: { scope: 'reviews-green', location: 'shop', step: 10 } } };
const ask = (over: Partial<ProviderQuery> = {}, provider = {}, credentials?: Record<string, string>) =>
  question({ type: 'kayenta', address: ADDRESS, kayenta: SETTINGS, ...provider }, credentials, { query: JSON.stringify(SCOPES), ...over });

const CONFIGS = [
  { id: 'c-0', name: 'other', updatedTimestamp: 1, applications: ['shop'] },
  { id: 'c-1', name: 'reviews', updatedTimestamp: 1, applications: ['shop'] },
];
const running = { complete: false, status: 'running', stageStatus: { canaryJudge: 'not_started' } };
const judged = (score: unknown, classification = 'Pass') => ({ complete: true, status: 'succeeded', result: { judgeResult: { judgeName: 'NetflixACAJudge-v1.0', score: { score, classification, classificationReason: '' }, results: [] } } });

function kayenta(result: () => Reply, configs: Reply = { json: CONFIGS }, begin?: () => Reply) {
  let started = 0;
  const { http, asked } = internet(({ url, method }) => {
    if (url.pathname === '/canaryConfig') return configs;
    if (method === 'POST') return begin?.() ?? { json: { canaryExecutionId: `E${++started}` } };
    return result();
  });
  const provider = createKayentaProvider({ http, timeoutMs: 1_000, now: () => TO });
  return { ask: (query = ask()) => provider.ask(query), asked, begun: () => asked.filter(({ method }) => method === 'POST') };
}

describe('Kayenta', () => {
  it('begins an analysis of the time of the evidence, with the configuration of that name', async () => {
    const { ask: send, asked } = kayenta(() => ({ json: running }));
    await send();
    expect(asked.map(({ method, url }) => `${method} ${url.href}`)).toEqual([
      `GET ${ADDRESS}/canaryConfig?application=shop&configurationAccountName=store`,
      `POST ${ADDRESS}/canary/c-1?application=shop&metricsAccountName=prometheus&configurationAccountName=store&storageAccountName=store`,
      `GET ${ADDRESS}/canary/E1?storageAccountName=store`,
    ]);
    const time = { start: '2023-11-14T22:13:20.000Z', end: '2023-11-14T22:14:20.000Z' };
    expect(JSON.parse(asked[1]?.body ?? '')).toEqual({
      scopes: { default: { controlScope: { ...time, step: 60, scope: 'reviews-blue', location: 'shop' }, experimentScope: { ...time, step: 10, scope: 'reviews-green', location: 'shop' } } },
      thresholds: { pass: 90, marginal: 75 },
    });
  });

  it('takes the time that a scope says itself', async () => {
    const start = '2023-11-14T00:00:00Z';
    const { ask: send, begun } = kayenta(() => ({ json: running }));
    await send(ask({ query: JSON.stringify({ default: { controlScope: { scope: 'a', start }, experimentScope: { scope: 'b', start } } }) }));
    expect(JSON.parse(begun()[0]?.body ?? '')).toMatchObject({ scopes: { default: { controlScope: { start }, experimentScope: { start } } } });
  });

  it('is pending while it judges, and gives the score when it is there', async () => {
    let state: unknown = running;
    const { ask: send, begun } = kayenta(() => ({ json: state }));
    expect(await send()).toEqual({ kind: 'pending', message: 'Kayenta is still judging (canary execution E1)' });
    // Evidence grows while it judges: it is the same check all the same.
    expect(await send(ask({ to: TO + 10_000 }))).toMatchObject({ kind: 'pending' });
    state = judged(87.5, 'Marginal');
    expect(samples(await send())).toEqual([{ labels: { classification: 'Marginal' }, value: 87.5 }]);
    expect(begun()).toHaveLength(1);
  });

  it('judges another check anew, and so the other version of the same check', async () => {
    const { ask: send, begun } = kayenta(() => ({ json: judged(100) }));
    await send();
    await send(ask({ check: 'run-1/mine/2' }));
    await send(ask({ query: JSON.stringify({ default: { ...SCOPES.default, experimentScope: { scope: 'reviews-blue' } } }) }));
    expect(begun()).toHaveLength(3);
  });

  it.each([
    ['no data', judged(0, 'Nodata')],
    ['a score that is none', judged('NaN', 'Fail')],
  ])('%s is no data', async (_name, json) => {
    expect(samples(await kayenta(() => ({ json })).ask())[0]?.value).toBeNaN();
  });

  it('an analysis that failed says why, and the next question begins another', async () => {
    const json = { complete: true, status: 'terminal', exception: { details: { errors: ['Unable to fetch metrics'] } } };
    const { ask: send, begun } = kayenta(() => ({ json }));
    expect(failure(await send())).toMatchObject({ permanent: false, message: 'canary execution E1 of Kayenta ended without a score (Unable to fetch metrics)' });
    await send();
    expect(begun()).toHaveLength(2);
  });

  it('what Kayenta repeats of a credential is not told', async () => {
    const json = { complete: true, status: 'terminal', exception: { details: { errors: ['401 for Bearer gateway-token'] } } };
    expect(failure(await kayenta(() => ({ json })).ask(ask({}, {}, { token: 'gateway-token' }))).message).toContain('401 for Bearer ***');
  });

  it('an analysis that Kayenta knows no more is begun again; one that it cannot tell of at the moment is not', async () => {
    const replies: Reply[] = [{ status: 503, json: { message: 'later', error: 'x' } }, { status: 404, json: { message: 'no such execution' } }, { json: judged(95) }];
    const { ask: send, begun } = kayenta(() => replies.shift() ?? {});
    expect(failure(await send())).toMatchObject({ permanent: false });
    expect(begun()).toHaveLength(1);
    expect(failure(await send())).toMatchObject({ permanent: false });
    expect(samples(await send())[0]?.value).toBe(95);
    expect(begun()).toHaveLength(2);
  });

  it('an analysis that could not begin is begun the next time', async () => {
    const begins: Reply[] = [{ status: 500, json: { message: 'queue is full' } }, { json: { canaryExecutionId: 'E9' } }];
    const { ask: send } = kayenta(() => ({ json: judged(95) }), undefined, () => begins.shift() ?? {});
    expect(failure(await send()).message).toContain('queue is full');
    expect(samples(await send())[0]?.value).toBe(95);
  });

  it('a configuration that there is not is a mistake in the template', async () => {
    expect(failure(await kayenta(() => ({}), { json: [] }).ask())).toMatchObject({ permanent: true, message: expect.stringContaining('no canary configuration "reviews"') as string });
  });

  it.each([
    ['no JSON', 'reviews', /spec\.query is not JSON/],
    ['no scopes', '{}', /at least one scope/],
    ['half a scope', '{"default":{"controlScope":{"scope":"a"}}}', /default\.experimentScope/],
  ])('a query that is %s is one, too', async (_name, query, says) => {
    expect(failure(await kayenta(() => ({})).ask(ask({ query })))).toMatchObject({ permanent: true, message: expect.stringMatching(says) as string });
  });

  it('credentials are those of a gateway before it', async () => {
    const { ask: send, asked } = kayenta(() => ({ json: running }));
    await send(ask({}, {}, { token: 'gateway-token' }));
    expect(asked.map(({ headers }) => headers?.['authorization'])).toEqual(Array(3).fill('Bearer gateway-token'));
  });
});

behavesWhenServerDoesNot({
  create: createKayentaProvider,
  question: (address) => ask({ address }, { address }, { token: 'gateway-token' }),
  before: ({ path, method }) => (path.includes('/canaryConfig') ? { body: CONFIGS } : method === 'POST' ? { body: { canaryExecutionId: 'E1' } } : undefined),
  nothing: { 'no data': { body: judged(0, 'Nodata') } },
  strange: { 'text for a score': { body: judged('good') }, 'no score': { body: { complete: true } }, 'no state': { body: {} } },
});
