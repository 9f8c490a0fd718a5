import { z } from 'zod';

const point = z.tuple([z.number(), z.string()]);
const labels = z.record(z.string(), z.string());

const failure = z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() });
const vector = z.object({ resultType: z.literal('vector'), result: z.array(z.object({ metric: labels, value: point })) });
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
