import { shortened } from '../../core/text.js';
import { Failure } from '../json-api.js';
import { newestComplete, type Point } from '../points.js';
import type { Sample } from '../prometheus/client.js';
import type { Aggregate, LogsAnswer, MetricsAnswer } from './schema.js';

/**
 * One sample per time series: its newest point that lies wholly in [from, to], unix milliseconds; with `interval=FULL` the one point.
 * @throws Failure when Azure has an error in place of a metric
 */
export function metricsSamples(answer: MetricsAnswer, aggregate: Aggregate, from: number, to: number): Sample[] {
  const length = isoDurationMs(answer.interval ?? '');
  return answer.value.flatMap((metric) => {
    if (metric.errorCode && metric.errorCode !== 'Success') {
      throw new Failure(`Azure Monitor failed at "${metric.name.value}": ${shortened(metric.errorMessage ?? metric.errorCode, 300)}`, false);
    }
    return metric.timeseries.map(({ metadatavalues, data }) => {
      const labels: Record<string, string> = { metric: metric.name.value };
      for (const { name, value } of metadatavalues) labels[name.value] = value;
      if (/^full$/i.test(answer.interval ?? '')) return { labels, value: data.at(-1)?.[aggregate] ?? Number.NaN };
      const points = data.map((point): Point => {
        const at = Date.parse(point.timeStamp);
        return { from: at, to: at + length, value: point[aggregate] ?? null };
      });
      return { labels, value: newestComplete(points, from, to) };
    });
  });
}

/** Milliseconds of an ISO 8601 duration as Azure writes them (PT1M, PT1H, P1D). */
function isoDurationMs(text: string): number {
  const [, days, hours, minutes, seconds] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/i.exec(text) ?? [];
  return (((Number(days ?? 0) * 24 + Number(hours ?? 0)) * 60 + Number(minutes ?? 0)) * 60 + Number(seconds ?? 0)) * 1000;
}

const NUMBERS = new Set(['int', 'long', 'real', 'decimal']);

/**
 * One sample per row of the first table: the number in its one column of numbers; the other columns tell the rows apart. The query
 * itself says how a row is made of what was logged in the time of the evidence.
 * @throws Failure
 */
export function logsSamples({ tables: [table] }: LogsAnswer): Sample[] {
  const columns = table?.columns ?? [];
  const numbers = columns.filter(({ type }) => NUMBERS.has(type));
  const [only] = numbers;
  if (!only || numbers.length > 1) {
    const names = numbers.map(({ name }) => name).join(', ');
    throw new Failure(numbers.length === 0 ? 'the query has no column of numbers' : `the query has several columns of numbers (${names}); keep one of them with project`, true);
  }
  const index = columns.indexOf(only);
  return (table?.rows ?? []).map((row) => {
    const labels: Record<string, string> = {};
    columns.forEach(({ name }, at) => {
      const cell = row[at];
      if (at !== index && (typeof cell === 'string' || typeof cell === 'boolean')) labels[name] = String(cell);
    });
    return { labels, value: cellNumber(row[index]) };
  });
}

/** Decimals, NaN and infinities come as text, since JSON has none of them. */
function cellNumber(cell: unknown): number {
  if (cell === null) return Number.NaN;
  if (typeof cell === 'number') return cell;
  if (typeof cell === 'string' && /^(NaN|[-+]?Infinity|[-+]?\d+(\.\d+)?(e[-+]?\d+)?)$/i.test(cell)) return Number(cell);
  throw new Failure('Azure Monitor answered something that is not a number in a column of numbers', false);
}
