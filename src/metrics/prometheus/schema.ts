import { z } from 'zod';

const point = z.tuple([z.number(), z.string()]);

/** How the HTTP API of Prometheus says what went wrong. */
export const failure = z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() });
type Point = [time: number, value: string];
interface Series {
  metric: Record<string, string>;
  value: Point;
}
interface Range {
  metric: Record<string, string>;
  values: Point[];
}
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isPoint = (value: unknown): value is Point => Array.isArray(value) && value.length === 2 && typeof value[0] === 'number' && typeof value[1] === 'string';
/** Looked at in place: an answer may have tens of thousands of series, and a copy of each would be most of a controller's memory. */
function isLabelled(value: unknown): value is { metric: Record<string, string>; value?: unknown; values?: unknown } {
  if (!isObject(value) || !isObject(value['metric'])) return false;
  for (const label in value['metric']) if (typeof value['metric'][label] !== 'string') return false;
  return true;
}
const isSeries = (value: unknown): value is Series => isLabelled(value) && isPoint(value.value);
const isRange = (value: unknown): value is Range => isLabelled(value) && Array.isArray(value.values) && value.values.every(isPoint);
const vector = z.object({
  resultType: z.literal('vector'),
  result: z.custom<Series[]>((value) => Array.isArray(value) && value.every(isSeries), 'expected a list of series'),
});
const scalar = z.object({ resultType: z.literal('scalar'), result: point });
const other = z.object({ resultType: z.enum(['matrix', 'string']) });

const matrix = z.object({
  resultType: z.literal('matrix'),
  result: z.custom<Range[]>((value) => Array.isArray(value) && value.every(isRange), 'expected a list of series'),
});

/** What `/api/v1/query` answers when it can, as the HTTP API of Prometheus documents it. */
export const queryAnswer = z.object({ status: z.literal('success'), data: z.discriminatedUnion('resultType', [vector, scalar, other]) });
/** The same of `/api/v1/query_range`. */
export const rangeAnswer = z.object({ status: z.literal('success'), data: matrix });

/** A sample value as Prometheus writes it: a Go float, `NaN`, `+Inf` or `-Inf`. Undefined for anything else. */
export function sampleValue(text: string): number | undefined {
  if (text === 'NaN') return Number.NaN;
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return /^[-+]?[0-9.]+(e[-+]?[0-9]+)?$/i.test(text) && Number.isFinite(Number(text)) ? Number(text) : undefined;
}
