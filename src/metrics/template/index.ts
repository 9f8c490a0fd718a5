import type { MetricProviderType } from '../../api/index.js';
import type { Measurement, MeasureRequest, Windows } from '../../engine/ports.js';
import type { MetricProvider, ProviderAnswer, ProviderQuery } from '../provider.js';
import type { PrometheusClient } from '../prometheus/client.js';
import { compared, type SideValue } from './compare.js';
import { readingOf, type Reading } from './fold.js';
import { questionOf, type Template } from './questions.js';
import type { Rendered } from './render.js';
import { valuesOf, variablesOf, type Side } from './values.js';
import { TemplateWindows } from './windows.js';

/** Answers that are remembered, so that canaries that ask the same at the same moment share one query. */
const KEPT_ANSWERS = 256;

/** What these start is started for one check. */
const STARTS_WORK: ReadonlySet<MetricProviderType> = new Set(['job', 'kayenta']);

export interface TemplateOptions {
  provider: (type: MetricProviderType) => MetricProvider;
  /** For `windows`. */
  client: PrometheusClient;
  gridMs: number;
  now: () => number;
}

/** A side that was measured, or why it was not; `query` is what people may ask again. */
type Measured = ({ kind: 'Side'; query: string } & SideValue) | Exclude<Measurement, { kind: 'Value' }>;

/** Measures with queries that users wrote, whoever answers them. */
export class TemplateMetrics {
  readonly #answers = new Map<string, Promise<ProviderAnswer>>();
  readonly #windows: TemplateWindows;

  constructor(private readonly options: TemplateOptions) {
    this.#windows = new TemplateWindows(options);
  }

  async measure(template: Template, request: MeasureRequest): Promise<Measurement> {
    const variables = variablesOf(template.spec, template.variables);
    if ('problem' in variables) return unusable(template, variables.problem);
    const of = (side: Side): Promise<Measured> => this.#side(template, request, side, variables.done);
    if (template.spec.compare === undefined) return valueOf(template, request, await of('canary'));
    const [canary, stable] = await Promise.all([of('canary'), of('stable')]);
    return comparison(template, request, canary, stable);
  }

  /** Of templates with `counts` that Prometheus answers. */
  async windows(template: Template, request: MeasureRequest): Promise<Windows> {
    const variables = variablesOf(template.spec, template.variables);
    if ('problem' in variables) return unusable(template, variables.problem);
    return await this.#windows.of(template, request, variables.done);
  }

  async #side(template: Template, request: MeasureRequest, side: Side, variables: Record<string, string>): Promise<Measured> {
    const seconds = Math.max(1, Math.round((request.to - request.from) / 1000));
    const values = valuesOf(request, variables, side, seconds * 1000);
    const question = (field: string, text: string): Rendered<ProviderQuery> => questionOf(template, request, field, text, values);
    const { query = '', counts } = template.spec;
    if (!counts) {
      const asked = question('spec.query', query);
      return 'problem' in asked ? unusable(template, asked.problem) : number(template, await this.#read(template, asked.done), asked.done.query);
    }
    const bad = question('spec.counts.bad', counts.bad);
    const total = question('spec.counts.total', counts.total);
    if ('problem' in bad) return unusable(template, bad.problem);
    if ('problem' in total) return unusable(template, total.problem);
    const readings = await Promise.all([this.#read(template, bad.done), this.#read(template, total.done)]);
    return share(template, ...readings, `100 * (${bad.done.query}) / (${total.done.query})`);
  }

  async #read(template: Template, question: ProviderQuery): Promise<Reading> {
    return readingOf(await this.#ask(question), template.spec.fold);
  }

  #ask(question: ProviderQuery): Promise<ProviderAnswer> {
    const { template: _, check, owner, ...same } = question;
    const key = JSON.stringify(STARTS_WORK.has(question.provider.type) ? { ...same, check, owner } : same);
    const known = this.#answers.get(key);
    if (known) return known;
    const answer = this.options.provider(question.provider.type).ask(question);
    this.#answers.set(key, answer);
    const forget = () => this.#answers.delete(key);
    answer.then(({ kind }) => kind !== 'samples' && forget(), forget);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > KEPT_ANSWERS && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }
}

const says = ({ name }: Template, message: string): string => `MetricTemplate "${name}": ${message}`;
const unusable = (template: Template, problem: string): Measurement & { kind: 'Error' } => ({
  kind: 'Error',
  query: template.spec.query ?? template.spec.counts?.bad ?? '',
  message: says(template, problem),
  permanent: true,
});

function number(template: Template, reading: Reading, query: string): Measured {
  if (reading.kind === 'Number') return { kind: 'Side', value: reading.value, query };
  return { ...reading, query, message: says(template, reading.message) };
}

/** The percentage that `bad` is of `total`. Where requests were counted and none of them is bad, a query may well give nothing. */
function share(template: Template, bad: Reading, total: Reading, query: string): Measured {
  if (total.kind !== 'Number') return { ...total, query, message: says(template, `spec.counts.total: ${total.message}`) };
  if (bad.kind === 'Error') return { ...bad, query, message: says(template, `spec.counts.bad: ${bad.message}`) };
  const count = bad.kind === 'Number' ? bad.value : 0;
  if (!Number.isFinite(total.value) || !Number.isFinite(count) || total.value < 0 || count < 0)
    return { kind: 'Error', query, message: says(template, `${count} of ${total.value} requests are bad: that is no number of requests`), permanent: false };
  if (total.value === 0) return { kind: 'NoData', query, message: says(template, 'no requests were counted') };
  return { kind: 'Side', query, value: (100 * count) / total.value, samples: total.value };
}

function valueOf(template: Template, { from, to }: MeasureRequest, side: Measured): Measurement {
  if (side.kind !== 'Side') return side;
  const { value, samples, query } = side;
  if (!Number.isFinite(value)) return infinite(template, value, query);
  return { kind: 'Value', value, ...(samples === undefined ? {} : { samples }), query, from, to };
}

const infinite = (template: Template, value: number, query: string): Measurement => ({
  kind: 'Error',
  query,
  message: says(template, `the query gives ${value > 0 ? '+Inf' : '-Inf'}, which cannot be judged; is it divided by zero?`),
  permanent: false,
});

function comparison(template: Template, { from, to }: MeasureRequest, canary: Measured, stable: Measured): Measurement {
  for (const [who, side] of Object.entries({ canary, 'stable version': stable })) {
    if (side.kind !== 'Side') return { ...side, message: side.message.replace(': ', `: of the ${who}: `) };
    if (!Number.isFinite(side.value)) return infinite(template, side.value, side.query);
  }
  if (canary.kind !== 'Side' || stable.kind !== 'Side') return unusable(template, 'it was not measured');
  const { query } = canary;
  const both = compared(canary, stable, template.spec.compareAs ?? 'ratio');
  if ('problem' in both) return { kind: 'Error', query, message: says(template, both.problem), permanent: false };
  return { kind: 'Value', ...both, query, from, to };
}
