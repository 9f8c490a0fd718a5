import type { z } from 'zod';
import { Failure, type Refusal } from './json-api.js';
import type { Sample } from './prometheus/client.js';
import { failure, queryAnswer, sampleValue } from './prometheus/schema.js';

/** The answer of clouds that speak PromQL beside their own language. */
export const promqlAnswer = queryAnswer;

/** @throws Failure when the query gives something else than numbers */
export function promqlSamples({ data }: z.infer<typeof queryAnswer>): Sample[] {
  if (!('result' in data)) throw new Failure(`the query gives a ${data.resultType === 'matrix' ? 'range of values' : 'string'}; it must give one number`, true);
  const series = data.resultType === 'scalar' ? [{ metric: {}, value: data.result }] : data.result;
  return series.map(({ metric, value: [, text] }) => {
    const value = sampleValue(text);
    if (value === undefined) throw new Failure('the answer has something that is not a number where one belongs', false);
    return { labels: metric, value };
  });
}

/** The words of an error in Prometheus' own form. */
export function promqlRefusal(body: unknown): Refusal | undefined {
  const error = failure.safeParse(body).data;
  return error && { message: error.error, permanent: error.errorType === 'bad_data' };
}
