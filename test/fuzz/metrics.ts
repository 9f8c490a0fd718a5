import fc from 'fast-check';
import { metricTemplateSpec, METRIC_PROVIDERS, type MetricProviderType } from '../../src/api/index.js';
import { createMetricsSource } from '../../src/metrics/index.js';
import { quantityValue } from '../../src/metrics/externalmetrics/quantity.js';
import { externalPath, externalQuery } from '../../src/metrics/externalmetrics/query.js';
import { csvLines, fluxRows, NotFlux } from '../../src/metrics/influxdb/csv.js';
import { jobFor } from '../../src/metrics/job/manifest.js';
import { outcomeOf } from '../../src/metrics/job/outcome.js';
import { PrometheusClient } from '../../src/metrics/prometheus/client.js';
import type { ProviderAnswer, ProviderQuery } from '../../src/metrics/provider.js';
import { createRegistry } from '../../src/metrics/registry.js';
import { readingOf } from '../../src/metrics/template/fold.js';
import { templateProblem } from '../../src/metrics/template/problems.js';
import { promqlProblem } from '../../src/metrics/template/promql.js';
import { render } from '../../src/metrics/template/render.js';
import { parsePath, PathError, select } from '../../src/metrics/web/jsonpath.js';
import { junk, spoilt, spoiltText, text } from './inputs.js';
import { answering, refusing, short, target, type Target } from './target.js';

const SECRETS = { token: 'the-token-of-all', username: 'the-user-of-all', password: 'the-password-of-all' };
const AT = 1_700_000_000_000;
const question = (type: MetricProviderType, provider: object = {}, query = 'up'): ProviderQuery => ({
  template: 'mine',
  provider: { type, address: 'http://metrics.example:9090', insecureSkipVerify: false, secretRef: { name: 'keys' }, ...provider },
  query,
  address: 'http://metrics.example:9090',
  credentials: { ...SECRETS, datadog_api_key: SECRETS.token, datadog_application_key: SECRETS.token, newrelic_query_key: SECRETS.token, newrelic_account_id: '1', dynatrace_token: SECRETS.token, sf_token_key: SECRETS.token, org: 'shop' },
  namespace: 'shop',
  from: AT,
  to: AT + 60_000,
  check: 'c',
});

/** An answer is one of three things, it can be judged, and nothing of it is long or secret. */
function sound(answer: ProviderAnswer): void {
  if (answer.kind === 'samples') for (const { value } of answer.samples) if (typeof value !== 'number') throw new Error('a sample is no number');
  if (answer.kind !== 'samples') {
    short(answer.message, 'the message');
    for (const secret of Object.values(SECRETS)) if (answer.message.includes(secret)) throw new Error(`a message holds a secret: ${answer.message}`);
  }
  for (const fold of [undefined, 'sum', 'avg', 'max', 'min'] as const) {
    const reading = readingOf(answer, fold);
    if (reading.kind === 'Number' && Number.isNaN(reading.value)) throw new Error('NaN is no number to judge');
  }
}

const nrql = (results: unknown[]) => ({ data: { actor: { account: { nrql: { results, metadata: { facets: null } } } } } });
/** What servers answer when all is well, and how they refuse; with the question that is asked. */
const SERVERS: [string, ProviderQuery, unknown[]][] = [
  ['graphite', question('graphite'), [[{ target: 'a', datapoints: [[1, 2], [null, 3]] }], { errors: { target: 'bad' } }]],
  ['InfluxDB 1', question('influxdb', { influxdb: { database: 'mesh' } }), [{ results: [{ series: [{ name: 'a', columns: ['time', 'mean'], values: [[1, 2], [3, null]] }] }] }, { error: 'no' }]],
  ['web', question('web', { web: { method: 'POST', body: '{}' } }, '$.a[*].b'), [{ a: [{ b: 1 }, { b: '2' }, { b: null }, { b: true }] }]],
  ['Datadog', question('datadog'), [{ status: 'ok', series: [{ expression: 'a', tag_set: ['a:b'], interval: 20, pointlist: [[AT, 1], [AT + 20_000, null]] }] }, { errors: ['no'] }]],
  ['New Relic', question('newrelic', {}, 'SELECT count(*) FROM Transaction'), [nrql([{ count: 3 }]), nrql([{ 'percentile.duration': { 99: 1.2 } }]), { errors: [{ message: 'NRQL Syntax Error' }] }]],
  ['Dynatrace', question('dynatrace'), [{ result: [{ metricId: 'm', data: [{ dimensionMap: {}, timestamps: [AT + 60_000], values: [1] }] }] }, { error: { code: 400, message: 'no' } }]],
];

const statuses = () => fc.constantFrom(200, 200, 200, 200, 204, 302, 400, 401, 422, 429, 500);
const bodies = (...bases: unknown[]) => fc.oneof(spoilt<unknown>(...bases).map((value) => JSON.stringify(value) ?? ''), spoiltText(...bases.map((value) => JSON.stringify(value))), text());

async function ask(query: ProviderQuery, status: number, body: string): Promise<void> {
  const http = answering({ status, body });
  const provider = createRegistry({ http, timeoutMs: 1_000, now: () => AT, prometheus: new PrometheusClient({ http, timeoutMs: 1_000 }) })(query.provider.type);
  sound(await provider.ask(query));
}

const FLUX = '#datatype,string,long,dateTime:RFC3339,double\r\n#group,false,false,false,false\r\n#default,_result,,,\r\n,result,table,_time,_value\r\n,,0,2023-11-14T22:13:20Z,"1.5"\r\n\r\n,error,reference\r\n,"a ""b"", c",897\r\n';
const TEMPLATES = [
  { provider: { type: 'prometheus' }, query: 'sum(rate(x{a="{{ variables.b }}"}[{{ interval }}]))', variables: [{ name: 'b', default: 'c' }], fold: 'sum', compare: 'stable' },
  { provider: { type: 'job', job: { spec: { template: { spec: { containers: [{ name: 'a', image: 'b', args: ['{{ service }}'] }] } } } } } },
  { provider: { type: 'web', address: 'http://x', web: { method: 'GET', path: '/{{ name }}' } }, query: '$.a', counts: undefined },
];
const QUERIES = ['sum by (a) (rate(x{b=~"c.*"}[5m] offset 1m)) / on(a) group_left 2', 'histogram_quantile(0.9, x) > bool 3', 'max_over_time(x[5m:10s] @ end())', '-2 ^ 3 # c'];

export const METRIC_TARGETS: Target[] = [
  ...SERVERS.map(([name, query, bases]) => target(`answers of ${name}`, fc.tuple(statuses(), bodies(...bases)), ([status, body]) => ask(query, status, body))),
  target('answers of all metrics servers', fc.tuple(fc.constantFrom(...METRIC_PROVIDERS), statuses(), bodies({ a: 1 })), ([type, status, body]) => ask(question(type), status, body)),
  target('CSV of Flux', fc.tuple(statuses(), fc.oneof(spoiltText(FLUX), text())), async ([status, body]) => {
    refusing(NotFlux, () => void fluxRows(body));
    refusing(NotFlux, () => void csvLines(body));
    await ask(question('influxdb', { influxdb: { org: 'shop' } }), status, body);
  }),
  target('JSONPaths', fc.tuple(fc.oneof(spoiltText("$.a.b[0]['c d'][*].*", '$["it\\"s"][-1]'), text()), junk()), ([path, document]) =>
    refusing(PathError, () => {
      for (const { place } of select(document, parsePath(path))) if (!place.startsWith('$')) throw new Error(`a value is at ${place}`);
    }),
  ),
  target('PromQL of users', fc.oneof(spoiltText(...QUERIES), text()), (query) => short(promqlProblem(query) ?? '', 'the problem')),
  target('MetricTemplates', fc.tuple(spoilt<unknown>(...TEMPLATES), fc.dictionary(text(), text(), { maxKeys: 3 })), ([spec, variables]) => {
    const read = metricTemplateSpec.safeParse(spec).data;
    if (!read) return;
    short(templateProblem(read)?.message ?? '', 'the problem');
    short(templateProblem(read, variables)?.message ?? '', 'the problem');
    const made = jobFor({ ...question('job'), provider: read.provider });
    short('problem' in made ? made.problem : made.job.metadata.name, 'the Job');
  }),
  target('placeholders', fc.tuple(fc.oneof(spoiltText('a {{ name }} b {{ variables.x }}'), text()), text()), ([template, value]) => {
    const rendered = render(template, new Map([['name', value], ['variables.x', value]]));
    if ('problem' in rendered) return;
    // What a value may not bring into a query.
    const count = (where: string, what: string): number => where.split(what).length;
    for (const sign of ['"', "'", '`', '\\']) if (count(rendered.done, sign) > count(template, sign)) throw new Error(`${sign} came into ${rendered.done}`);
  }),
  target('external metrics', fc.tuple(fc.oneof(spoiltText('queue?labelSelector=a=b', 'shop/queue', '-1.5k', '12e3', '3Ki'), text())), ([query]) => {
    const read = externalQuery(query, 'shop');
    if (!('problem' in read) && !externalPath(read).startsWith('/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/')) throw new Error(`it asks elsewhere: ${externalPath(read)}`);
    const value = quantityValue(query);
    if (value !== undefined && !Number.isFinite(value)) throw new Error(`${query} is ${value}`);
  }),
  target('Jobs', spoilt<unknown>({ status: { startTime: 'x', conditions: [{ type: 'Complete', status: 'True', reason: 'y' }] } }), (job) => {
    const content = typeof job === 'object' && job !== null ? job : {};
    sound(outcomeOf({ ...content, apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'a', namespace: 'shop' } }));
  }),
  target('a measurement never rejects', fc.tuple(spoilt<unknown>(...TEMPLATES), text()), async ([spec, server]) => {
    const read = metricTemplateSpec.safeParse(spec).data;
    // No address that leads anywhere.
    if (!read || read.provider.address !== undefined || /^https?:/.test(server.trim())) return;
    const source = createMetricsSource({ timeoutMs: 10 });
    const request = { metric: 'mine', server, template: { name: 'mine', spec: read, variables: {} }, namespace: 'shop', name: 'a', target: 'a', revision: 'a', service: 'a', stableService: 'b', from: 0, to: 60_000 };
    for (const answer of [await source.measure(request), await source.windows(request)]) if ('message' in answer) short(answer.message, 'the message');
    source.close();
  }),
];
