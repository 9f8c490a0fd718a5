import type { Measurement, MeasureRequest } from '../../engine/ports.js';
import type { PrometheusClient, QueryRequest, QueryResult } from './client.js';

type Template = NonNullable<MeasureRequest['template']>;

/** Answers that are remembered, so that canaries that ask the same at the same moment share one query. */
const KEPT_ANSWERS = 256;

/** Measures with queries that users wrote. */
export class TemplateMetrics {
  readonly #answers = new Map<string, Promise<QueryResult>>();

  constructor(private readonly client: PrometheusClient) {}

  async measure(template: Template, request: MeasureRequest): Promise<Measurement> {
    const rendered = render(template, request);
    if ('problem' in rendered) return { kind: 'Error', query: template.spec.query, message: rendered.problem, permanent: true };
    const { query } = rendered;
    const result = await this.#ask({
      server: template.spec.provider.address ?? request.server,
      query,
      time: request.to,
      headers: template.spec.provider.headers,
      credentials: template.credentials,
      secretName: template.spec.provider.secretRef?.name,
      insecureSkipVerify: template.spec.provider.insecureSkipVerify,
    });
    return judge(result, template.name, query, request);
  }

  #ask(request: QueryRequest): Promise<QueryResult> {
    const key = JSON.stringify(request);
    const known = this.#answers.get(key);
    if (known) return known;
    const answer = this.client.query(request);
    this.#answers.set(key, answer);
    void answer.then((result) => result.kind === 'failed' && this.#answers.delete(key));
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > KEPT_ANSWERS && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }
}

function judge(result: QueryResult, name: string, query: string, { from, to }: MeasureRequest): Measurement {
  if (result.kind === 'failed')
    return { kind: 'Error', query, message: `MetricTemplate "${name}": ${result.message}`, permanent: result.permanent };
  const { samples } = result;
  const value = samples[0]?.value;
  if (samples.length > 1) {
    const message = `MetricTemplate "${name}": the query gives ${samples.length} series; it must give one number: wrap it in sum(…), max(…) or the like`;
    return { kind: 'Error', query, message, permanent: true };
  }
  if (value === undefined) return { kind: 'NoData', query, message: `MetricTemplate "${name}": the query gives no series` };
  if (Number.isNaN(value)) return { kind: 'NoData', query, message: `MetricTemplate "${name}": the query gives NaN` };
  if (!Number.isFinite(value)) {
    const message = `MetricTemplate "${name}": the query gives ${value > 0 ? '+Inf' : '-Inf'}, which cannot be judged; is it divided by zero?`;
    return { kind: 'Error', query, message, permanent: false };
  }
  return { kind: 'Value', value, query, from, to };
}

/** Fills the placeholders of a template, or says which one cannot be filled and why. */
function render(template: Template, request: MeasureRequest): { query: string } | { problem: string } {
  const { name, spec } = template;
  const values = placeholders(template, request);
  const known = [...values.keys()].map((one) => `{{ ${one} }}`).join(', ');
  const problems: string[] = [];
  const query = spec.query.replace(/\{\{(.*?)\}\}/gs, (_whole, inner: string) => {
    const key = inner.trim();
    const value = values.get(key);
    if (value === undefined) problems.push(`"{{ ${key} }}" is not known; known are ${known}`);
    // A quote or a brace would let a value end its place in the query and change what is asked.
    else if (/["'`{}\\\p{Cc}]/u.test(value)) {
      problems.push(`the value of "{{ ${key} }}" holds a quote, a brace, a backslash or a control character; take it out`);
    }
    return value ?? '';
  });
  if (problems.length === 0 && query.includes('{{')) problems.push('a "{{" has no "}}"');
  return problems.length > 0 ? { problem: `MetricTemplate "${name}": spec.query: ${problems[0] ?? ''}` } : { query };
}

function placeholders({ variables }: Template, request: MeasureRequest): Map<string, string> {
  const seconds = Math.max(1, Math.round((request.to - request.from) / 1000));
  return new Map([
    ['name', request.name],
    ['namespace', request.namespace],
    ['target', request.target],
    ['service', request.service],
    ['stableService', request.stableService],
    ['revision', request.revision],
    ['interval', `${seconds}s`],
    ...Object.entries(variables).map(([key, value]): [string, string] => [`variables.${key}`, value]),
  ]);
}
