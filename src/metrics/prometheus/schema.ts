import { z } from 'zod';

const point = z.tuple([z.number(), z.string()]);

const failure = z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() });
interface Series {
  metric: Record<string, string>;
  value: [time: number, value: string];
}
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
/** Looked at in place: an answer may have tens of thousands of series, and a copy of each would be most of a controller's memory. */
function isSeries(value: unknown): value is Series {
  if (!isObject(value) || !isObject(value['metric'])) return false;
  for (const label in value['metric']) if (typeof value['metric'][label] !== 'string') return false;
  const { value: at } = value;
  return Array.isArray(at) && at.length === 2 && typeof at[0] === 'number' && typeof at[1] === 'string';
}
const vector = z.object({
  resultType: z.literal('vector'),
  result: z.custom<Series[]>((value) => Array.isArray(value) && value.every(isSeries), 'expected a list of series'),
});
const scalar = z.object({ resultType: z.literal('scalar'), result: point });
const other = z.object({ resultType: z.enum(['matrix', 'string']) });

/** The answer of `/api/v1/query`, as the HTTP API of Prometheus documents it. */
export const queryAnswer = z.union([
  z.object({ status: z.literal('success'), data: z.discriminatedUnion('resultType', [vector, scalar, other]) }),
  failure,
]);
export type QueryAnswer = z.infer<typeof queryAnswer>;

/** A sample value as Prometheus writes it: a Go float, `NaN`, `+Inf` or `-Inf`. Undefined for anything else. */
export function sampleValue(text: string): number | undefined {
  if (text === 'NaN') return Number.NaN;
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return /^[-+]?[0-9.]+(e[-+]?[0-9]+)?$/i.test(text) && Number.isFinite(Number(text)) ? Number(text) : undefined;
}
