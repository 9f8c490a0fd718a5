import { shortened } from '../../core/text.js';
import { Failure } from '../json-api.js';
import { newestComplete, type Point } from '../points.js';
import type { Sample } from '../prometheus/client.js';
import type { CloudWatchAnswer, MetricDataQueries } from './schema.js';

type Result = CloudWatchAnswer['MetricDataResults'][number];

const DEFAULT_PERIOD_SECONDS = 60;

/**
 * One sample per result that the query returns: its newest point that lies wholly in [from, to], unix milliseconds.
 * @throws Failure when CloudWatch gave only a part, or none for its own reasons
 */
export function cloudwatchSamples(answer: CloudWatchAnswer, queries: MetricDataQueries, from: number, to: number): Sample[] {
  if (answer.NextToken) throw new Failure('the query gives more than one answer of CloudWatch holds; ask for fewer metrics', true);
  const periods = new Map(queries.map((query) => [query.Id, query.MetricStat?.Period ?? query.Period]));
  const longest = Math.max(0, ...[...periods.values()].map((period) => period ?? 0)) || DEFAULT_PERIOD_SECONDS;
  return answer.MetricDataResults.map((result) => {
    complain(result);
    const length = (periods.get(result.Id) ?? longest) * 1000;
    const points = result.Timestamps.map((at, index): Point => ({ from: at * 1000, to: at * 1000 + length, value: result.Values[index] ?? null }));
    return { labels: { id: result.Id, ...(result.Label && { label: result.Label }) }, value: newestComplete(points, from, to) };
  });
}

function complain({ Id, StatusCode, Messages }: Result): void {
  if (!StatusCode || StatusCode === 'Complete') return;
  const words = (Messages ?? []).map(({ Code, Value }) => [Code, Value].filter(Boolean).join(': ')).join('; ');
  const reason = words ? ` (${shortened(words, 200)})` : '';
  if (StatusCode === 'Forbidden') throw new Failure(`CloudWatch does not let these keys read "${Id}"${reason}; look at their rights`, false);
  throw new Failure(`CloudWatch ${StatusCode === 'PartialData' ? 'gave only a part of' : 'failed at'} "${Id}"${reason}`, false);
}
