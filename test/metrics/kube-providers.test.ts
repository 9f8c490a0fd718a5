import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createExternalMetricsProvider } from '../../src/metrics/externalmetrics/index.js';
import { quantityValue } from '../../src/metrics/externalmetrics/quantity.js';
import { createJobProvider } from '../../src/metrics/job/index.js';
import { jobName } from '../../src/metrics/job/manifest.js';
import type { MetricProvider, ProviderQuery } from '../../src/metrics/provider.js';
import { reply, startScriptedServer, status, type Handler, type ScriptedServer } from '../kube/server.js';
import { QUERY } from './misbehaving.js';

let api: ScriptedServer;
beforeEach(async () => {
  api = await startScriptedServer();
});
afterEach(() => api.close());

const message = (text: string | RegExp) => ({ message: expect.stringMatching(text) as string });

describe('external metrics', () => {
  const question = (query: string): ProviderQuery => ({ ...QUERY, query, address: '', provider: { type: 'externalmetrics', insecureSkipVerify: false } });
  const ask = (query: string, handler: Handler) => {
    api.handle(handler);
    return createExternalMetricsProvider({ kube: api.client() }).ask(question(query));
  };
  const list = (...values: unknown[]) => ({ kind: 'ExternalMetricValueList', apiVersion: 'external.metrics.k8s.io/v1beta1', metadata: {}, items: values.map((value) => ({ metricName: 'queue', metricLabels: { q: 'a' }, timestamp: '2026-01-01T00:00:00Z', value })) });

  it('are asked of the API server, in the namespace of the Canary, with the controller’s own rights', async () => {
    expect(await ask('queue?labelSelector=app=reviews,tier!=db', (_, response) => reply(response, list('1500m')))).toEqual({ kind: 'samples', samples: [{ labels: { q: 'a' }, value: 1.5 }] });
    expect(api.seen[0]).toMatchObject({ method: 'GET', path: '/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue', headers: { authorization: 'Bearer test' } });
    expect(api.seen[0]?.query.get('labelSelector')).toBe('app=reviews,tier!=db');
  });

  it('may have the namespace before them, but no other one', async () => {
    expect(await ask('shop/queue', (_, response) => reply(response, list('3', '4')))).toMatchObject({ kind: 'samples', samples: [{ value: 3 }, { value: 4 }] });
    const before = api.seen.length;
    expect(await ask('billing/queue', (_, response) => reply(response, list('3')))).toMatchObject({ kind: 'failed', permanent: true, ...message('namespace billing; only those of shop') });
    expect(api.seen.length).toBe(before);
  });

  it.each(['', 'a/b/c', 'queue?limit=3', 'two words'])('%j is no question', async (query) => {
    expect(await ask(query, (_, response) => reply(response, list('3')))).toMatchObject({ kind: 'failed', permanent: true });
    expect(api.seen).toEqual([]);
  });

  it.each<[string, Handler, object]>([
    ['no series', (_, response) => reply(response, list()), { kind: 'samples', samples: [] }],
    ['null in place of series', (_, response) => reply(response, { items: null }), { kind: 'samples', samples: [] }],
    ['a value that is none', (_, response) => reply(response, list('lots')), { kind: 'failed', permanent: false }],
    ['something else', (_, response) => reply(response, { items: 7 }), { kind: 'failed', permanent: false }],
    ['a page', (_, response) => void response.writeHead(200).end('<html>'), { kind: 'failed', permanent: false }],
    ['no such metric', (_, response) => reply(response, status(404, 'NotFound', 'the server could not find the requested resource'), 404), { kind: 'failed', permanent: false, ...message('no adapter serves this metric') }],
    ['no right to it', (_, response) => reply(response, status(403, 'Forbidden', 'queue.external.metrics.k8s.io is forbidden'), 403), { kind: 'failed', permanent: true, ...message('metrics.externalMetrics') }],
    ['an adapter that fails', (_, response) => reply(response, status(500, 'InternalError', 'no matching metrics found'), 500), { kind: 'failed', permanent: false }],
    ['a broken connection', (_, response) => void response.destroy(), { kind: 'failed', permanent: false }],
  ])('%s', async (_name, handler, expected) => expect(await ask('queue', handler)).toMatchObject(expected));

  it.each<[string, number | undefined]>([
    ['0', 0],
    ['250m', 0.25],
    ['-2', -2],
    ['1.5k', 1500],
    ['2Ki', 2048],
    ['12e3', 12_000],
    ['3E', 3e18],
    ['', undefined],
    ['k', undefined],
    ['1x', undefined],
    ['NaN', undefined],
    ['1e999', undefined],
  ])('the quantity %j is %s', (text, value) => expect(quantityValue(text)).toBe(value));
});

describe('a Job', () => {
  const spec = { template: { spec: { containers: [{ name: 'smoke', image: 'smoke:1', args: ['reviews-green'] }] } } };
  const question = (over: Partial<ProviderQuery> = {}, job: Record<string, unknown> = spec): ProviderQuery => ({
    ...QUERY,
    template: 'smoke.test',
    query: '',
    address: '',
    provider: { type: 'job', insecureSkipVerify: false, job: { spec: job } },
    owner: { name: 'reviews', uid: 'uid-1' },
    ...over,
  });
  /** Jobs by name, as the API server keeps them. */
  let jobs: Map<string, Record<string, unknown>>;
  const serving: Handler = ({ method, path, body }, response) => {
    const name = path.split('/').at(-1) ?? '';
    if (method === 'GET') return jobs.has(name) ? reply(response, jobs.get(name)) : reply(response, status(404, 'NotFound'), 404);
    const made = body as { metadata: { name: string } };
    if (jobs.has(made.metadata.name)) return reply(response, status(409, 'AlreadyExists'), 409);
    jobs.set(made.metadata.name, made as Record<string, unknown>);
    return reply(response, made, 201);
  };
  const provider = (handler: Handler = serving): MetricProvider => {
    api.handle(handler);
    return createJobProvider({ kube: api.client() });
  };
  const ends = (type: string, reason?: string) => {
    for (const job of jobs.values()) job['status'] = { startTime: '2026-01-01T00:00:00Z', conditions: [{ type, status: 'True', ...(reason ? { reason } : {}) }] };
  };
  beforeEach(() => {
    jobs = new Map();
  });

  it('is made for a check, belongs to the Canary, and ends by itself', async () => {
    expect(await provider().ask(question())).toEqual({ kind: 'pending', message: `Job shop/${jobName(question())} has not started yet` });
    expect([...jobs.values()]).toEqual([
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: {
          name: expect.stringMatching(/^smoke-test-[0-9a-f]{12}$/) as string,
          namespace: 'shop',
          annotations: { 'sluice.dev/check': 'run-1/mine/1' },
          ownerReferences: [{ apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', name: 'reviews', uid: 'uid-1' }],
        },
        spec: { backoffLimit: 0, activeDeadlineSeconds: 600, ttlSecondsAfterFinished: 3600, template: { spec: { ...spec.template.spec, restartPolicy: 'Never' } } },
      },
    ]);
  });

  it('that passed is 1 and one that failed is 0; the same check never makes a second one', async () => {
    await provider().ask(question());
    ends('Complete');
    expect(await provider().ask(question())).toMatchObject({ kind: 'samples', samples: [{ value: 1 }] });
    ends('Failed', 'DeadlineExceeded');
    // Another process asks: the controller was started anew.
    expect(await provider().ask(question())).toMatchObject({ kind: 'samples', samples: [{ value: 0, labels: { reason: 'DeadlineExceeded' } }] });
    expect(jobs.size).toBe(1);
    await provider().ask(question({ check: 'run-1/mine/2' }));
    expect(jobs.size).toBe(2);
  });

  it('keeps what the template says of it', async () => {
    await provider().ask(question({}, { ...spec, backoffLimit: 3, activeDeadlineSeconds: 20, template: { spec: { ...spec.template.spec, restartPolicy: 'OnFailure' } } }));
    expect([...jobs.values()][0]).toMatchObject({ spec: { backoffLimit: 3, activeDeadlineSeconds: 20, template: { spec: { restartPolicy: 'OnFailure' } } } });
  });

  it('that somebody else made in between is taken', async () => {
    let first = true;
    const racing: Handler = (seen, response) => {
      if (seen.method === 'POST' && first) {
        first = false;
        jobs.set(jobName(question()), structuredClone(seen.body) as Record<string, unknown>);
      }
      return serving(seen, response);
    };
    expect(await provider(racing).ask(question())).toMatchObject({ kind: 'pending' });
    expect(jobs.size).toBe(1);
  });

  it('of somebody else is not taken for its own', async () => {
    jobs.set(jobName(question()), { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: jobName(question()), namespace: 'shop' }, status: { conditions: [{ type: 'Complete', status: 'True' }] } });
    expect(await provider().ask(question())).toMatchObject({ kind: 'failed', permanent: true, ...message('is not of this check; delete it') });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['without a template', {}, /spec\.provider\.job\.spec\.template: /],
    ['without containers', { template: { spec: { containers: [] } } }, /spec\.provider\.job\.spec\.template\.spec\.containers: /],
  ])('%s is refused before anything is made', async (_name, job, words) => {
    expect(await provider().ask(question({}, job))).toMatchObject({ kind: 'failed', permanent: true, ...message(words) });
    expect(api.seen).toEqual([]);
  });

  it.each<[string, number, string, boolean, RegExp]>([
    ['the controller may not make any', 403, 'jobs.batch is forbidden: User "sluice" cannot create resource "jobs"', true, /metrics\.jobs: true/],
    ['the quota of the namespace is used up', 403, 'jobs.batch "x" is forbidden: exceeded quota: small', false, /exceeded quota/],
    ['the API server refuses it', 422, 'Job.batch "x" is invalid: spec.template.spec.containers[0].image: Required value', true, /Required value/],
    ['the API server is not well', 500, 'etcdserver: request timed out', false, /timed out/],
  ])('%s', async (_name, code, text, permanent, words) => {
    const handler: Handler = ({ method }, response) => (method === 'GET' ? reply(response, status(404, 'NotFound'), 404) : reply(response, status(code, 'Refused', text), code));
    expect(await provider(handler).ask(question())).toMatchObject({ kind: 'failed', permanent, ...message(words) });
  });

  it('is not made by a controller that leads no longer', async () => {
    api.handle(serving);
    const lost = createJobProvider({
      kube: api.client(),
      beforeWrite: () => {
        throw new Error('not leading');
      },
    });
    await expect(lost.ask(question())).rejects.toThrow('not leading');
    expect(jobs.size).toBe(0);
  });
});
