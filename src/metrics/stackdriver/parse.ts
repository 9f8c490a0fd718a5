import { Failure } from '../json-api.js';
import { newestComplete, type Point } from '../points.js';
import type { Sample } from '../prometheus/client.js';
import type { MqlAnswer } from './schema.js';

/**
 * One sample per time series of an MQL query: its newest point that lies wholly in [from, to], unix milliseconds. A point without a
 * beginning is of one moment.
 * @throws Failure when a point has not exactly one number, or not all series came
 */
export function mqlSamples(answer: MqlAnswer, from: number, to: number): Sample[] {
  const { labelDescriptors, pointDescriptors } = answer.timeSeriesDescriptor;
  if (pointDescriptors.length > 1) {
    const names = pointDescriptors.map(({ key }) => key ?? '').join(', ');
    throw new Failure(`the query gives several numbers (${names}); it must give one`, true);
  }
  if (answer.partialErrors?.length) throw new Failure(`Google gave only a part: ${answer.partialErrors[0]?.message ?? ''}`, false);
  if (answer.nextPageToken) throw new Failure('the query gives more than one answer of Google holds; group it by fewer labels', true);
  return answer.timeSeriesData.map(({ labelValues, pointData }) => {
    const labels: Record<string, string> = {};
    labelDescriptors.forEach(({ key }, index) => {
      const value = labelValues[index];
      labels[key] = String(value?.stringValue ?? value?.int64Value ?? value?.boolValue ?? '');
    });
    const points = pointData.map(({ values, timeInterval }): Point => {
      const end = Date.parse(timeInterval.endTime);
      return { from: timeInterval.startTime ? Date.parse(timeInterval.startTime) : end, to: end, value: values[0]?.doubleValue ?? values[0]?.int64Value ?? null };
    });
    return { labels, value: newestComplete(points, from, to) };
  });
}
