import { describe, expect, it } from 'vitest';
import { metricTemplateSpec, type MetricTemplateSpec } from '../../src/api/index.js';
import { templateProblem } from '../../src/metrics/template/problems.js';
import { promqlProblem } from '../../src/metrics/template/promql.js';

describe('PromQL', () => {
  it.each([
    'up',
    '42',
    '100 * sum(rate(istio_requests_total{reporter="source"}[1m])) / sum(rate(istio_requests_total[1m]))',
    'histogram_quantile(0.99, sum by (le) (rate(x_bucket[5m] offset 1m)))',
    'max_over_time(rate(x[1m])[5m:10s] @ end()) > bool 3',
    'sum without (pod) (x) or vector(0) # a comment',
    // A server may have been told to take these.
    'limitk(3, x)',
    'sum(x) + fill(0) sum(y)',
  ])('%s can be asked', (query) => expect(promqlProblem(query)).toBeUndefined());

  it.each<[string, RegExp]>([
    ['', /no expression/],
    ['sum(rate(x[1m])', /^1:16: parse error: unclosed left parenthesis/],
    ['sum(rat(x[1m]))', /^1:5: parse error: unknown function with name "rat"/],
    ['rate(x)', /^1:6: parse error: expected type range vector in call to function "rate", got instant vector/],
    ['sum(x)\n  / / 2', /^2:5: parse error/],
    ['x{a="b}', /^1:5: parse error: unterminated quoted string/],
    ['x[5m]', /^1:1: the query gives a range of values; it must give one number/],
    ['"text"', /^1:1: the query gives a string/],
    ['{}', /must contain at least one non-empty matcher/],
  ])('%j is refused with its place', (query, problem) => expect(promqlProblem(query)).toMatch(problem));
});

describe('what is wrong with a template', () => {
  const problem = (spec: Omit<Partial<MetricTemplateSpec>, 'provider'> & { provider?: object }, variables?: Record<string, string>) => templateProblem(metricTemplateSpec.parse({ provider: {}, ...spec }), variables);

  it('nothing, where placeholders make a query of it', () => {
    const query = 'sum(rate(x{n="{{ name }}",c="{{ commit }}",s="{{ stable }}",o="{{ variables.code }}"}[{{ interval }}]))';
    expect(problem({ query })).toBeUndefined();
    expect(problem({ query }, { code: '5..' })).toBeUndefined();
  });

  it.each(['x[{{ variables.v }}]', 'sum by ({{ variables.v }}) (x)', 'x * {{ variables.v }}', 'x{a="{{ variables.v }}"}'])('a variable may be a time, a name or a number: %s', (query) => {
    const wrapped = query.endsWith(']') ? `sum(rate(${query}))` : query;
    expect(problem({ query: wrapped })).toBeUndefined();
  });

  it('what the Canary gives is judged as it is', () => {
    const query = 'sum(rate(x[{{ variables.window }}]))';
    expect(problem({ query }, { window: '5 minutes' })).toMatchObject({ reason: 'InvalidQuery', message: expect.stringMatching(/^spec\.query at 1:1\d: parse error/) as string });
    expect(problem({ query }, {})).toMatchObject({ reason: 'InvalidQuery', message: expect.stringContaining('"{{ variables.window }}" is not known') as string });
  });

  it.each<[string, Parameters<typeof problem>[0], Record<string, string> | undefined, string, RegExp]>([
    ['a typo in the query', { query: 'sum(rate(x[1m])' }, undefined, 'InvalidQuery', /^spec\.query at 1:16: parse error/],
    ['a typo in one of the counts', { counts: { bad: 'sum(x)', total: 'sm(x)' } }, {}, 'InvalidQuery', /^spec\.counts\.total at 1:1: parse error: unknown function with name "sm"/],
    ['a placeholder that is none', { query: 'x{a="{{ nmae }}"}' }, undefined, 'InvalidQuery', /^spec\.query: "\{\{ nmae \}\}" is not known/],
    ['a variable that is missing', { query: 'x', variables: [{ name: 'code' }] }, {}, 'InvalidSpec', /templateVariables needs "code"/],
    ['a variable that nobody knows', { query: 'x', variables: [] }, { cdoe: '1' }, 'InvalidSpec', /templateVariables has "cdoe", which the template does not declare; it declares none/],
    ['a variable that is used and not declared', { query: 'x{a="{{ variables.b }}"}', variables: [{ name: 'a' }] }, undefined, 'InvalidQuery', /"\{\{ variables\.b \}\}" is not declared/],
    ['a placeholder in a setting', { query: '$.a', provider: { type: 'web', address: 'http://x', web: { path: '/{{ nmae }}' } } }, undefined, 'InvalidQuery', /^spec\.provider\.web: "\{\{ nmae \}\}"/],
    ['a placeholder in a Job', { provider: { type: 'job', job: { spec: { template: { spec: { containers: [{ args: ['{{ servcie }}'] }] } } } } } }, {}, 'InvalidQuery', /^spec\.provider\.job: "\{\{ servcie \}\}"/],
  ])('%s', (_name, spec, variables, reason, message) => {
    expect(problem(spec, variables)).toMatchObject({ reason, message: expect.stringMatching(message) as string });
  });

  it('queries in other languages are not read as PromQL', () => {
    expect(problem({ query: 'SELECT count(*) FROM x', provider: { type: 'newrelic' } }, {})).toBeUndefined();
    expect(problem({ query: 'WITH (f = {a="b"}) rate(x{f})', provider: { prometheus: { dialect: 'metricsql' } } }, {})).toBeUndefined();
  });
});
