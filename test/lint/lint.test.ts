import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { lint, type Options } from '../../src/lint/lint.js';

interface Given {
  analysis?: Record<string, unknown>;
  spec?: Record<string, unknown>;
  /** Further documents. */
  more?: string;
  options?: Partial<Options>;
}

const CANARY = { apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { name: 'reviews', namespace: 'shop' } };
const SPEC = { targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' }, service: { port: 9080 } };
const PLAN = ['steps', 'stepWeight', 'stepWeights', 'iterations'];

/** A good Canary with this laid over it. */
function canary({ analysis = {}, spec = {} }: Given): string {
  const plan = PLAN.some((name) => name in analysis) ? {} : { stepWeights: [10, 20, 30, 40, 50] };
  return stringify({ ...CANARY, spec: { ...SPEC, ...spec, analysis: { interval: '1m', metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }], ...plan, ...analysis } } });
}

const template = (spec: Record<string, unknown>, name = 'basket'): string => stringify({ apiVersion: 'sluice.dev/v1beta1', kind: 'MetricTemplate', metadata: { name, namespace: 'shop' }, spec: { provider: { type: 'prometheus' }, ...spec } });

function found(given: Given): string[] {
  const text = [canary(given), ...(given.more === undefined ? [] : [given.more])].join('---\n');
  const { findings } = lint([{ file: 'a.yaml', text, named: true }], { namespace: 'default', scrapeMs: 15_000, ...given.options });
  return findings.map(({ severity, rule, field }) => `${severity} ${rule} ${field ?? ''}`);
}

const metrics = (...list: unknown[]): Given => ({ analysis: { metrics: list } });
const rate = (range: Record<string, number>, more: Record<string, unknown> = {}): Given => metrics({ name: 'request-success-rate', thresholdRange: range, ...more });
const latency = (range: Record<string, number>): Given => metrics({ name: 'request-duration', thresholdRange: range });
const templated = (range: Record<string, number> | undefined, more: Record<string, unknown> = {}) => ({ name: 'basket', templateRef: { name: 'basket' }, ...(range ? { thresholdRange: range } : {}), ...more });
const COUNTS = { counts: { bad: 'sum(increase(bad{service="{{ service }}"}[{{ interval }}]))', total: 'sum(increase(all{service="{{ service }}"}[{{ interval }}]))' } };
const RANGE = 'spec.analysis.metrics[0].thresholdRange';

describe('a good Canary', () => {
  it.each<[string, Given]>([
    ['as it is', {}],
    ['with a verdict and no bounds', { analysis: { verdict: {}, metrics: [{ name: 'request-success-rate' }, { name: 'request-duration' }] } }],
    ['judged by a webhook alone', { analysis: { metrics: [], webhooks: [{ name: 'test', url: 'http://test/' }] } }],
    ['judged by a template', { ...metrics(templated({ max: 5 })), more: template(COUNTS) }],
    ['with a job', { ...metrics({ name: 'job', templateRef: { name: 'basket' } }), more: template({ provider: { type: 'job', job: { spec: { template: { spec: { containers: [] } } } } } }) }],
    ['blue/green with a mirror', { analysis: { iterations: 5, mirror: true } }],
    ['with steps of half a minute', { analysis: { interval: '30s' } }],
  ])('has no findings: %s', (_, given) => {
    expect(found(given)).toEqual([]);
  });
});

describe('gates that cannot pass', () => {
  it.each<[Given, string]>([
    [rate({ min: 101 }), `${RANGE}.min`],
    [rate({ max: -1 }), `${RANGE}.max`],
    [rate({ min: 99, max: 98 }), `${RANGE}.min`],
    [latency({ max: 0 }), `${RANGE}.max`],
    [{ ...metrics(templated({ max: -1 })), more: template(COUNTS) }, `${RANGE}.max`],
    [{ ...metrics(templated({ min: 101 })), more: template(COUNTS) }, `${RANGE}.min`],
  ])('%j', (given, field) => {
    expect(found(given)).toContain(`error cannot-pass ${field}`);
  });

  it('have no requests to see', () => {
    expect(found({ analysis: { iterations: 5 } })).toEqual(['error cannot-pass spec.analysis.iterations']);
    expect(found({ analysis: { iterations: 5, webhooks: [{ name: 'load', url: 'http://load/' }] } })).toEqual([]);
  });
});

describe('gates that cannot fail', () => {
  it.each<[Given, string]>([
    [rate({ min: 0 }), `${RANGE}.min`],
    [rate({ max: 100 }), `${RANGE}.max`],
    [rate({ min: 0.99 }), `${RANGE}.min`],
    [latency({ max: 3_600_000 }), `${RANGE}.max`],
    [{ ...metrics(templated({ max: 100 })), more: template(COUNTS) }, `${RANGE}.max`],
    [{ ...metrics(templated(undefined)), more: template({ query: 'up{service="{{ service }}"}' }) }, 'spec.analysis.metrics[0]'],
    [metrics({ name: 'request-success-rate' }), 'spec.analysis.metrics[0]'],
    [{ analysis: { verdict: {}, metrics: [{ name: 'request-success-rate' }, templated(undefined)] }, more: template({ query: 'up{service="{{ service }}"}' }) }, 'spec.analysis.metrics[1]'],
  ])('%j', (given, field) => {
    expect(found(given)).toContain(`error cannot-fail ${field}`);
  });

  it.each<[string, Given]>([
    ['no metrics', { analysis: { metrics: [] } }],
    ['metrics that do not count', rate({ min: 99 }, { dryRun: true })],
    ['a webhook that only prepares', { analysis: { metrics: [], webhooks: [{ name: 'load', type: 'pre-rollout', url: 'http://load/' }] } }],
  ])('nothing judges with %s', (_, given) => {
    expect(found(given)).toContain('error nothing-judged spec.analysis.metrics');
  });

  it('are judged by a person where a step waits for one', () => {
    expect(found({ analysis: { metrics: [], steps: [{ weight: 10, approve: true }] } })).toEqual([]);
  });

  it('pass what they have not seen', () => {
    expect(found(rate({ min: 99 }, { onNoData: 'pass' }))).toEqual(['warning passes-without-data spec.analysis.metrics[0].onNoData']);
    expect(found({ ...rate({ min: 99 }, { onNoData: 'pass', minSamples: 10_000 }), options: { rps: 1 } })).toContain('error cannot-fail spec.analysis.metrics[0].minSamples');
  });
});

describe('gates that fail good versions', () => {
  it.each<[Given, string]>([
    [rate({ min: 90, max: 99 }), 'max'],
    [latency({ min: 100, max: 500 }), 'min'],
    [{ ...metrics(templated({ min: 1, max: 5 })), more: template(COUNTS) }, 'min'],
  ])('%j', (given, bound) => {
    expect(found(given)).toEqual([`warning fails-good-versions ${RANGE}.${bound}`]);
  });
});

describe('time', () => {
  it.each<[string, Given, string]>([
    ['an interval shorter than two scrapes', { analysis: { interval: '10s' } }, 'error shorter-than-two-scrapes spec.analysis.interval'],
    ['a hold shorter than two scrapes', { analysis: { steps: [{ weight: 10, hold: '20s' }, { weight: 50, hold: '10m' }] } }, 'error shorter-than-two-scrapes spec.analysis.steps[0].hold'],
    ['evidence shorter than two scrapes', rate({ min: 99 }, { interval: '20s' }), 'error shorter-than-two-scrapes spec.analysis.metrics[0].interval'],
    ['looks between two scrapes', { analysis: { verdict: {}, evaluate: '5s' } }, 'warning evaluate-shorter-than-scrape spec.analysis.evaluate'],
    ['looks that are more seldom than checks', { analysis: { verdict: {}, evaluate: '2m' } }, 'warning no-effect spec.analysis.evaluate'],
    ['a warmup longer than the steps', { analysis: { warmup: '6m', metrics: [{ name: 'request-duration', thresholdRange: { max: 500 } }] } }, 'warning longer-than-steps spec.analysis.warmup'],
    ['a warmup longer than the deadline', { analysis: { warmup: '20m', metrics: [{ name: 'request-duration', thresholdRange: { max: 500 } }] } }, 'error never-finishes spec.analysis.warmup'],
    ['a delay longer than the deadline', rate({ min: 99 }, { initialDelay: '1h' }), 'error never-finishes spec.analysis.metrics[0].initialDelay'],
    ['passes in a row that no step has time for', rate({ min: 99 }, { consecutiveSuccess: 20 }), 'error never-finishes spec.analysis.metrics[0].consecutiveSuccess'],
    ['a threshold that the deadline overtakes', { analysis: { threshold: 20 } }, 'error no-effect spec.analysis.threshold'],
    ['a bad version that outlives a good one', { analysis: { threshold: 6 } }, 'warning slow-rollback spec.analysis.threshold'],
    ['a limit above the threshold', rate({ min: 99 }, { failureLimit: 5 }), 'warning no-effect spec.analysis.metrics[0].failureLimit'],
  ])('%s', (_, given, finding) => {
    expect(found(given)).toContain(finding);
  });

  it('is enough with shorter scrapes', () => {
    expect(found({ analysis: { interval: '10s' }, options: { scrapeMs: 5_000 } })).toEqual([]);
    expect(found({ analysis: { interval: '9s' }, options: { scrapeMs: 5_000 } })).toEqual(['error shorter-than-two-scrapes spec.analysis.interval']);
  });

  it('is not enough for samples where there are few requests', () => {
    const verdict = { analysis: { verdict: { minSamples: 50 } } };
    expect(found(verdict)).toEqual([]);
    expect(found({ ...verdict, options: { rps: 10 } })).toEqual([]);
    // Six a minute at 10 %: 50 need more than a minute, and less than the deadline.
    expect(found({ ...verdict, options: { rps: 1 } })).toEqual(['warning waits-for-samples spec.analysis.verdict.minSamples']);
    expect(found({ ...verdict, options: { rps: 0.1 } })).toEqual(['error never-finishes spec.analysis.verdict.minSamples']);
    expect(found({ ...rate({ min: 99 }, { minSamples: 100 }), options: { rps: 10 } })).toEqual(['error never-finishes spec.analysis.metrics[0].minSamples']);
    expect(found({ ...rate({ min: 99 }, { minSamples: 50 }), options: { rps: 10 } })).toEqual([]);
  });
});

describe('verdicts', () => {
  it.each<[string, Given]>([
    ['all of the requests', { analysis: { verdict: {}, stepWeights: [50, 100] } }],
    ['blue/green', { analysis: { verdict: {}, iterations: 5, mirror: true } }],
    ['a match without a control arm', { analysis: { verdict: {}, match: [{ headers: { user: { exact: 'ada' } } }] } }],
    ['nothing that counts', { analysis: { verdict: {}, metrics: [templated({ max: 5 })] }, more: template({ query: 'up{service="{{ service }}"}' }) }],
  ])('are refused with %s', (_, given) => {
    expect(found(given)).toContain('error not-comparable spec.analysis.verdict');
  });
});

describe('verdicts, and other gates beside them', () => {
  it('cannot compare counts of other services than Prometheus', () => {
    const more = template({ ...COUNTS, provider: { type: 'datadog' } });
    const both = (...list: unknown[]): Given => ({ analysis: { verdict: {}, metrics: list }, more });
    expect(found(both({ name: 'request-success-rate' }, templated({ max: 5 })))).toEqual([]);
    expect(found(both({ name: 'request-success-rate' }, templated(undefined)))).toContain('error cannot-fail spec.analysis.metrics[1]');
    expect(found(both(templated({ max: 5 })))).toContain('error not-comparable spec.analysis.verdict');
  });

  it('make an open range harmless', () => {
    expect(found({ analysis: { verdict: {}, metrics: [{ name: 'request-success-rate', thresholdRange: { min: 0 } }] } })).toEqual([`warning no-effect ${RANGE}.min`]);
  });
});

describe('names', () => {
  it('that come twice', () => {
    const hook = { name: 'test', url: 'http://test/' };
    expect(found({ analysis: { webhooks: [hook, hook] } })).toEqual(['error name-twice spec.analysis.webhooks[1].name']);
    expect(found(metrics({ name: 'request-success-rate', thresholdRange: { min: 99 } }, { name: 'request-success-rate', thresholdRange: { min: 98 } }))).toEqual(['error name-twice spec.analysis.metrics[1].name']);
  });

  it('that mean nothing', () => {
    expect(found(metrics({ name: 'request-sucess-rate', thresholdRange: { min: 99 } }))).toEqual(['error unknown-metric spec.analysis.metrics[0].name']);
  });

  it('of templates that are in other files', () => {
    expect(found(metrics(templated({ max: 5 })))).toEqual(['note not-in-files spec.analysis.metrics[0].templateRef']);
  });

  it('of targets and objects that are there already', () => {
    expect(found({ more: canary({}) })).toEqual(['error declared-twice metadata.name']);
    expect(found({ more: canary({}).replace('name: reviews\n  namespace', 'name: again\n  namespace') })).toEqual(['error target-claimed spec.targetRef']);
  });
});

describe('templates', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['a typo in PromQL', { query: 'sum(rate(bad{service="{{ service }}"}[1m])' }, 'error query spec.query'],
    ['a placeholder that nothing fills', { query: 'bad{service="{{ servce }}"}' }, 'error query spec.query'],
    ['a query that is the same for all', { query: 'sum(rate(http_errors[1m]))' }, 'warning not-about-the-canary spec.query'],
    ['neither query nor counts', {}, 'error schema spec'],
  ])('with %s', (_, spec, finding) => {
    expect(found({ more: template(spec) })).toEqual([finding]);
  });

  it('that want other variables', () => {
    const more = template({ query: 'bad{service="{{ variables.app }}"}', variables: [{ name: 'app' }] });
    expect(found({ ...metrics(templated({ max: 1 })), more })).toEqual(['error template-variables spec.analysis.metrics[0].templateVariables']);
    expect(found({ ...metrics(templated({ max: 1 }, { templateVariables: { app: 'reviews' } })), more })).toEqual([]);
  });
});

describe('the documentation', () => {
  it('has every rule', () => {
    const sources = ['schema.ts', 'documents.ts', ...['names', 'ranges', 'templates', 'timing', 'traffic'].map((name) => `rules/${name}.ts`)].map((name) => readFileSync(new URL(`../../src/lint/${name}`, import.meta.url), 'utf8'));
    const rules = new Set(sources.flatMap((text) => [...text.matchAll(/(?:'(?:error|warning|note)', |rule: )'([a-z-]+)'|error\([^,]+, '([a-z-]+)'/g)].map(([, one, other]) => one ?? other)));
    expect(rules.size).toBeGreaterThan(20);
    const docs = readFileSync(new URL('../../docs/rehearsing.md', import.meta.url), 'utf8');
    expect([...rules].filter((rule) => !docs.includes(`\`${rule}\``))).toEqual([]);
  });
});

describe('the schema', () => {
  const place = (text: string): string[] => {
    const { findings } = lint([{ file: 'a.yaml', text, named: true }], { namespace: 'default', scrapeMs: 15_000 });
    return findings.map(({ file, line, field, message }) => `${file}:${line} ${field ?? ''} ${message}`);
  };

  it('names the line of a field that there is not', () => {
    const text = canary({ analysis: { treshold: 3 } });
    const line = text.split('\n').findIndex((one) => one.includes('treshold')) + 1;
    expect(place(text)).toEqual([expect.stringMatching(new RegExp(`^a.yaml:${line} spec.analysis.treshold there is no such field.*did you mean threshold`))]);
    expect(place(canary({ spec: { flavour: 'istio' } }))[0]).toContain('kubectl explain canary.spec');
  });

  it.each<[string, Given, string]>([
    ['a value out of bounds', { analysis: { threshold: 0 } }, 'spec.analysis.threshold'],
    ['a duration that is none', { analysis: { interval: '1 minute' } }, 'spec.analysis.interval'],
    ['a rule of the API', { analysis: { stepWeight: 10, stepWeights: [10] } }, 'spec.analysis exactly one of stepWeight'],
    ['a rule deeper down', { analysis: { threshold: 2, steps: [{ weight: 50 }, { weight: 10 }] } }, 'spec.analysis.steps the weights'],
  ])('refuses %s', (_, given, words) => {
    const [first] = place(canary(given));
    expect(first?.replace('Invalid value: ', '')).toContain(words);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ interval: '1 minute' }, '"1 minute" is not a duration; write one such as 30s'],
    [{ threshold: 'five' }, 'expected integer, found string; take the quotes away'],
    [{ interval: 60 }, 'expected string, found integer; put it into quotes'],
    [{ metrics: [{ thresholdRange: { min: 99 } }] }, 'it is required and missing; add it'],
    [{ metrics: [{ name: 'request-duration', onNoData: 'hold' }] }, '"hold" is none of "wait", "pass", "fail"'],
  ])('says plainly what is expected of %j', (analysis, words) => {
    expect(place(canary({ analysis })).join('\n')).toContain(words);
  });

  it('refuses kinds and versions that there are not', () => {
    expect(place(canary({}).replace('kind: Canary', 'kind: Canari'))[0]).toContain('Canari is not a kind of sluice.dev; there are Canary,');
    expect(place(canary({}).replace('v1beta1', 'v1'))[0]).toContain('write sluice.dev/v1beta1');
  });

  it('tells where a file is no YAML, and reads the other documents', () => {
    const [broken, other] = place(`a: [1\n---\n${canary({ analysis: { threshold: 0 } })}`);
    expect(broken).toMatch(/^a\.yaml:\d+ {2}this is not YAML/);
    expect(other).toContain('spec.analysis.threshold');
  });

  it('looks into lists', () => {
    const list = stringify({ apiVersion: 'v1', kind: 'List', items: [{ ...CANARY, spec: { ...SPEC, analysis: { stepWeights: [10], threshold: 0 } } }] });
    const line = list.split('\n').findIndex((one) => one.includes('threshold')) + 1;
    expect(place(list)[0]).toContain(`a.yaml:${line} spec.analysis.threshold`);
  });
});
