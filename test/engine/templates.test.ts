import { describe, expect, it } from 'vitest';
import { canarySpec, canaryStatus, metricTemplateSpec, type Canary, type MetricTemplate } from '../../src/api/index.js';
import { gather, referenceProblems, type EvidenceOptions } from '../../src/engine/evidence.js';
import type { MeasureRequest } from '../../src/engine/ports.js';
import { effectiveSpec, releaseFacts } from '../../src/engine/templates.js';

const template = (spec: object): MetricTemplate => ({ apiVersion: 'sluice.dev/v1beta1', kind: 'MetricTemplate', metadata: { name: 'queue', namespace: 'shop' }, spec: metricTemplateSpec.parse({ provider: {}, ...spec }) });
const canary = (metric: object = {}, status: object = {}): Canary => ({
  apiVersion: 'sluice.dev/v1beta1',
  kind: 'Canary',
  metadata: { name: 'reviews', namespace: 'shop', uid: 'uid-1' },
  spec: canarySpec.parse({
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
    service: { port: 9080 },
    analysis: { stepWeights: [10], metrics: [{ name: 'mine', templateRef: { name: 'queue' }, ...metric }] },
  }),
  status: canaryStatus.parse(status),
});
const asked: MeasureRequest[] = [];
const options = (found: MetricTemplate | undefined): EvidenceOptions =>
  ({
    allowCrossNamespace: false,
    metricsServer: 'http://prometheus',
    cache: { metricTemplates: { get: () => found }, services: { get: () => undefined } },
    metrics: {
      measure: (request: MeasureRequest) => {
        asked.push(request);
        return Promise.resolve({ kind: 'NoData', query: '', message: '' });
      },
    },
  }) as unknown as EvidenceOptions;

describe('a typo is found before the release', () => {
  it('and has its place, its template and its Canary', () => {
    expect(referenceProblems(options(template({ query: 'sum(rate(x[{{ interval }}])' })), canary())).toEqual([
      { reason: 'InvalidQuery', message: 'Canary reviews: spec.analysis.metrics mine: MetricTemplate shop/queue: spec.query at 1:16: parse error: unclosed left parenthesis' },
    ]);
  });

  it('but what does not count stops nothing', () => {
    const typo = { query: 'sum(' };
    expect(referenceProblems(options(template(typo)), canary({ dryRun: true }))).toEqual([]);
    expect(referenceProblems(options(template({ ...typo, dryRun: true })), canary())).toEqual([]);
    expect(referenceProblems(options(template({ ...typo, dryRun: true })), canary({ dryRun: false }))).toHaveLength(1);
  });

  it('a variable that nobody declared is a fault of the Canary', () => {
    const found = template({ query: 'x{a="{{ variables.code }}"}', variables: [{ name: 'code', default: '5..' }] });
    expect(referenceProblems(options(found), canary({ templateVariables: { cdoe: '500' } }))).toMatchObject([{ reason: 'InvalidSpec' }]);
    expect(referenceProblems(options(found), canary({ templateVariables: { code: '500' } }))).toEqual([]);
    expect(referenceProblems(options(found), canary())).toEqual([]);
  });
});

it('a template is told of both versions, and of its check', async () => {
  const status = { canary: { revision: 'new1', slot: 'green', commit: 'c0ffee' }, stable: { revision: 'old1', slot: 'blue', commit: 'decade' }, run: { id: 'run-7', startedAt: '2030-01-01T00:00:00Z', weights: [10], judged: { mine: 2 } } };
  await gather(options(template({ query: 'up' })), canary({}, status), { metrics: [{ metric: 'mine', from: 1, to: 2 }], hooks: [] });
  expect(asked.at(-1)).toMatchObject({ revision: 'new1', stable: 'old1', commit: 'c0ffee', stableCommit: 'decade', uid: 'uid-1', check: 'uid-1/run-7/mine/2' });
  expect(releaseFacts(canary(), 'mine')).toEqual({ uid: 'uid-1', check: 'uid-1//mine/0' });
});

it('a Canary is decided with what its templates say', () => {
  const one = canary({ failureLimit: 3 });
  const { cache } = options(template({ query: 'up', dryRun: true, failureLimit: 1 }));
  expect(effectiveSpec(cache, one, one.spec).analysis.metrics[0]).toMatchObject({ dryRun: true, failureLimit: 3 });
  expect(effectiveSpec(options(undefined).cache, one, one.spec)).toBe(one.spec);
});
