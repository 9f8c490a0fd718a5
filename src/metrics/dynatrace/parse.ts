import { Failure } from '../json-api.js';
import { newestComplete, type Point } from '../points.js';
import type { Sample } from '../prometheus/client.js';
import type { DynatraceAnswer } from './schema.js';

const UNITS_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/**
 * One sample per series: its newest point that lies wholly in [from, to], unix milliseconds; of an answer with the resolution `Inf`
 * the one point.
 * @throws Failure when there are more series than one answer holds
 */
export function dynatraceSamples(answer: DynatraceAnswer, from: number, to: number): Sample[] {
  if (answer.nextPageKey) {
    throw new Failure('the query gives more series than one answer of Dynatrace holds; group it by fewer dimensions with :splitBy()', true);
  }
  const single = /^inf$/i.test(answer.resolution ?? '');
  return answer.result.flatMap(({ metricId, data }) =>
    data.map(({ dimensionMap, timestamps, values }) => {
      const length = lengthMs(answer.resolution, timestamps);
      // Dynatrace names the end of the time that a point stands for.
      const points = timestamps.map((end, index): Point => ({ from: end - length, to: end, value: values[index] ?? null }));
      const value = single ? (values.at(-1) ?? Number.NaN) : newestComplete(points, from, to);
      return { labels: labels(metricId, dimensionMap), value };
    }),
  );
}

/** Milliseconds of one point: what the answer says of itself, else the distance of its timestamps. */
function lengthMs(resolution: string | null | undefined, timestamps: number[]): number {
  const [, amount, unit] = /^(\d+)([mhdw])$/.exec(resolution ?? '') ?? [];
  const [first, second] = timestamps;
  if (amount !== undefined) return Number(amount) * (UNITS_MS[unit ?? ''] ?? 0);
  return first !== undefined && second !== undefined ? second - first : 0;
}

function labels(metricId: string, dimensions: Record<string, string | null>): Record<string, string> {
  const result: Record<string, string> = { metric: metricId };
  for (const [name, value] of Object.entries(dimensions)) if (value !== null) result[name] = value;
  return result;
}
