import type { MeasureRequest, Windows } from '../../engine/ports.js';
import type { WindowCounts } from '../../core/evidence.js';
import { completeEnds, latest } from '../grid.js';
import { Failure } from '../json-api.js';
import type { PrometheusClient, RangeResult, RangeSeries } from '../prometheus/client.js';
import { addressOf, questionOf, type Template } from './questions.js';
import { valuesOf, type Side } from './values.js';

export interface WindowOptions {
  client: PrometheusClient;
  gridMs: number;
  now: () => number;
}

/** Value by the end of its window, unix milliseconds. */
type Series = ReadonlyMap<number, number>;

/** Counts of both versions, window by window: one range query per version and count. */
export class TemplateWindows {
  constructor(private readonly options: WindowOptions) {}

  async of(template: Template, request: MeasureRequest, variables: Record<string, string>): Promise<Windows> {
    const { counts, provider } = template.spec;
    const query = counts?.bad ?? template.spec.query ?? '';
    const says = (message: string): string => `MetricTemplate "${template.name}": ${message}`;
    const error = (message: string): Windows => ({ kind: 'Error', query, message: says(message), permanent: true });
    if (!counts) return error('it gives no number of requests, so two versions cannot be compared request by request; give counts in place of query');
    if (provider.type !== 'prometheus') return error(`windows of counts are read from Prometheus only, not from ${provider.type}; judge it by thresholdRange`);
    const ends = latest(completeEnds(request.from, request.to, this.options.gridMs, this.options.now()));
    const [first, last] = [ends[0], ends.at(-1)];
    if (first === undefined || last === undefined) return { kind: 'NoData', query, message: says(`no window of ${this.options.gridMs / 1000} s is complete yet`) };
    const of = async (side: Side, text: string): Promise<Series> => await this.#ask(template, request, variables, side, text, first, last);
    try {
      const [stableBad, stableTotal, bad, total] = await Promise.all([of('stable', counts.bad), of('stable', counts.total), of('canary', counts.bad), of('canary', counts.total)]);
      if (stableTotal.size === 0 && total.size === 0)
        return { kind: 'NoData', query, message: says(`spec.counts.total gives nothing in windows of ${this.options.gridMs / 1000} s; they must not be shorter than two scrapes (--metrics-grid)`) };
      const windows = ends.map((to): WindowCounts => ({ to, stable: countsAt(stableBad, stableTotal, to), canary: countsAt(bad, total, to) }));
      return { kind: 'Windows', gridMs: this.options.gridMs, bounds: [0], windows, query };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return { kind: 'Error', query, message: says(error.message), permanent: error.permanent };
    }
  }

  /** @throws Failure */
  async #ask(template: Template, request: MeasureRequest, variables: Record<string, string>, side: Side, text: string, start: number, end: number): Promise<Series> {
    const { client, gridMs } = this.options;
    const asked = questionOf(template, request, 'spec.counts', text, valuesOf(request, variables, side, gridMs));
    if ('problem' in asked) throw new Failure(asked.problem, true);
    const { headers, secretRef, insecureSkipVerify } = template.spec.provider;
    const server = addressOf(template, request);
    const result = await client.queryRange({ server, query: asked.done.query, start, end, stepMs: gridMs, headers, credentials: template.credentials, secretName: secretRef?.name, insecureSkipVerify });
    return oneSeries(result, template.spec.fold);
  }
}

/** @throws Failure */
function oneSeries(result: RangeResult, fold: Template['spec']['fold']): Series {
  if (result.kind === 'failed') throw new Failure(result.message, result.permanent);
  const { series } = result;
  // Counts add up; no other fold of them is a count.
  if (series.length > 1 && fold !== 'sum') throw new Failure(`the query gives ${series.length} series; it must give one number: set fold: sum, or wrap the query in sum(…)`, true);
  return added(series);
}

function added(series: RangeSeries[]): Series {
  const total = new Map<number, number>();
  for (const { values } of series) for (const [at, value] of values) if (Number.isFinite(value) && value >= 0) total.set(at, (total.get(at) ?? 0) + value);
  return total;
}

/** A window in which nothing was counted has zeros, and no more of the requests can be bad than there were. */
function countsAt(bad: Series, total: Series, at: number): { total: number; bad: number[] } {
  const all = total.get(at) ?? 0;
  return { total: all, bad: [Math.min(all, bad.get(at) ?? 0)] };
}
