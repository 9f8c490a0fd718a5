import type { MetricTemplateSpec } from '../../api/index.js';
import type { ProviderAnswer } from '../provider.js';

/** What one answer says: a number, none, or that it cannot be used. Infinities are numbers here. */
export type Reading =
  | { kind: 'Number'; value: number }
  | { kind: 'NoData'; message: string; pending?: boolean }
  | { kind: 'Error'; message: string; permanent: boolean };

const FOLDS: Record<NonNullable<MetricTemplateSpec['fold']>, (values: number[]) => number> = {
  sum: (values) => values.reduce((total, value) => total + value, 0),
  avg: (values) => values.reduce((total, value) => total + value, 0) / values.length,
  max: (values) => values.reduce((a, b) => Math.max(a, b)),
  min: (values) => values.reduce((a, b) => Math.min(a, b)),
};

/** One number of an answer, the same way for every provider. */
export function readingOf(answer: ProviderAnswer, fold: MetricTemplateSpec['fold']): Reading {
  if (answer.kind === 'failed') return { kind: 'Error', message: answer.message, permanent: answer.permanent };
  if (answer.kind === 'pending') return { kind: 'NoData', message: answer.message, pending: true };
  const { samples } = answer;
  if (samples.length === 0) return { kind: 'NoData', message: 'the query gives no series' };
  if (samples.length > 1 && !fold) {
    const message = `the query gives ${samples.length} series; it must give one number: set fold (sum, avg, max or min), or wrap the query in sum(…), max(…) or the like`;
    return { kind: 'Error', message, permanent: true };
  }
  // A series without a value does not take part.
  const values = samples.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  if (values.length === 0) return { kind: 'NoData', message: samples.length === 1 ? 'the query gives NaN' : `all ${samples.length} series are NaN` };
  const value = fold ? FOLDS[fold](values) : (values[0] ?? Number.NaN);
  // +Inf and -Inf in one sum.
  return Number.isNaN(value) ? { kind: 'NoData', message: 'the series add up to NaN' } : { kind: 'Number', value };
}
