import { newestComplete } from '../points.js';
import type { Sample } from '../prometheus/client.js';
import type { DatadogAnswer } from './schema.js';

/** One sample per series: its newest point that lies wholly in [from, to], unix milliseconds. */
export function datadogSamples(answer: DatadogAnswer, from: number, to: number): Sample[] {
  return answer.series.map((series) => {
    const length = (series.interval ?? 0) * 1000;
    const points = series.pointlist.map(([at, value]) => ({ from: at, to: at + length, value }));
    return { labels: labels(series), value: newestComplete(points, from, to) };
  });
}

function labels({ expression, metric, tag_set: tags }: DatadogAnswer['series'][number]): Record<string, string> {
  const result: Record<string, string> = {};
  const name = expression ?? metric;
  if (name) result['expression'] = name;
  for (const tag of tags) {
    const colon = tag.indexOf(':');
    result[colon < 0 ? tag : tag.slice(0, colon)] = colon < 0 ? '' : tag.slice(colon + 1);
  }
  return result;
}
