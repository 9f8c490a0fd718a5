import { Failure } from '../json-api.js';
import { newestComplete, type Point } from '../points.js';
import type { Sample } from '../prometheus/client.js';
import type { SignalFlowAnswer } from './schema.js';

interface Series {
  labels: Record<string, string>;
  /** Milliseconds of one point. */
  resolution: number;
  points: { at: number; value: number | null }[];
}

/**
 * One sample per published time series: its newest point that lies wholly in [from, to], unix milliseconds.
 * @throws Failure when the computation did not come to its end
 */
export function splunkSamples(answer: SignalFlowAnswer, from: number, to: number): Sample[] {
  const series = new Map<string, Series>();
  const of = (id: string): Series => {
    const known = series.get(id) ?? { labels: {}, resolution: 0, points: [] };
    series.set(id, known);
    return known;
  };
  let ended = false;
  for (const message of answer) {
    if (message.event === 'metadata') {
      const { tsId, properties } = message.data;
      Object.assign(of(tsId), { labels: labels(properties), resolution: resolution(properties) });
    }
    if (message.event === 'data') {
      for (const { tsId, value } of message.data.data) of(tsId).points.push({ at: message.data.logicalTimestampMs, value });
    }
    if (message.event === 'control-message' && message.data.event === 'CHANNEL_ABORT') throw new Failure('Splunk gave the computation up', false);
    ended ||= message.event === 'control-message' && message.data.event === 'END_OF_CHANNEL';
  }
  if (!ended) throw new Failure('the stream of Splunk broke off before the computation was at its end', false);
  return [...series.values()].map((one) => {
    const points = one.points.map(({ at, value }): Point => ({ from: at, to: at + one.resolution, value }));
    return { labels: one.labels, value: newestComplete(points, from, to) };
  });
}

function resolution(properties: Record<string, unknown>): number {
  const { sf_resolutionMs: given } = properties;
  return typeof given === 'number' ? given : 0;
}

/** Dimensions and the label of `publish`; what the service needs for itself is left out. */
function labels(properties: Record<string, unknown>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value !== 'string' || name === 'jobId') continue;
    if (name.startsWith('sf_') && name !== 'sf_streamLabel' && name !== 'sf_originatingMetric') continue;
    result[name] = value;
  }
  return result;
}
