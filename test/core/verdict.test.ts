import { describe, expect, it } from 'vitest';
import type { Check, MetricSpec } from '../../src/api/index.js';
import type { Measurement } from '../../src/core/evidence.js';
import { judge } from '../../src/core/checks.js';
import { badMetrics, blue, slotWith, spec, T0 } from './builders.js';
import { sentences } from './sentences.js';

type Given = Partial<MetricSpec> & { name: string };
const successRate: Given = { name: 'request-success-rate', thresholdRange: { min: 99 } };
const latency: Given = { name: 'request-duration', thresholdRange: { max: 500 } };
const value = (number: number, samples?: number): Measurement => ({ kind: 'Value', value: number, query: 'q', from: 0, to: 1, ...(samples === undefined ? {} : { samples }) });
const nothing: Measurement = { kind: 'NoData', query: 'q', message: 'the query returned nothing' };
const down: Measurement = { kind: 'Error', query: 'q', message: 'connection refused', permanent: false };

/** Callers' proxies got `atCallers` percent; the pods' own proxies counted `tries` of which `value` percent were good. */
const tried = (atCallers: number, tries: number, samples: number): Measurement => ({ kind: 'Value', value: atCallers, samples: 300, query: 'q', from: 0, to: 1, tries: { value: tries, samples, query: 'tries' } });

/** What is measured by which metric, how it is judged, and what a user reads. */
const rows: [string, Given, Measurement, Check['verdict'], string][] = [
  ['a value at the bound is good', successRate, value(99, 500), 'Pass', 'success rate 99 % >= 99 % over 500 requests'],
  ['a value below the bound is bad', successRate, value(93.1, 412), 'Fail', 'success rate 93.1 % < 99 % over 412 requests'],
  ['a value just below the bound is not rounded onto it', successRate, value(98.97, 100), 'Fail', 'success rate 98.97 % < 99 % over 100 requests'],
  ['a hair below the bound is not rounded onto it', successRate, value(98.9999996, 100), 'Fail', 'success rate 98.9999996 % < 99 % over 100 requests'],
  ['many requests are readable', successRate, value(99.5, 1_234_567), 'Pass', 'success rate 99.5 % >= 99 % over 1,234,567 requests'],
  ['a value above the bound is bad', latency, value(612), 'Fail', 'p99 latency 612 ms > 500 ms'],
  ['a quantile beyond the last bucket is bad, not unknown', latency, value(Infinity), 'Fail', 'p99 latency Infinity ms > 500 ms'],
  ['both bounds are named', { name: 'queue', thresholdRange: { min: 1, max: 9 } }, value(4), 'Pass', 'queue 4 >= 1 and <= 9'],
  ['failures that retries hide from callers are bad', successRate, tried(99.7, 66.7, 431), 'Fail', 'success rate 66.7 % < 99 % over 431 tries (callers, whose proxies tried again, got 99.7 %)'],
  ['good tries change nothing', successRate, tried(99.7, 99.2, 310), 'Pass', 'success rate 99.7 % >= 99 % over 300 requests'],
  ['what callers got is bad, whatever the tries say', successRate, tried(80, 99.9, 310), 'Fail', 'success rate 80 % < 99 % over 300 requests'],
  ['bad tries that are too few say nothing, where some proxies are missing', { ...successRate, minSamples: 20 }, tried(100, 50, 19), 'Pass', 'success rate 100 % >= 99 % over 300 requests'],
  ['too few requests wait, however many tries there were', { ...successRate, minSamples: 400 }, tried(100, 50, 900), 'NoData', 'request-success-rate: 300 of at least 400 requests were seen'],
  ['NaN is no evidence', successRate, value(NaN), 'NoData', 'request-success-rate: the answer is NaN'],
  ['no requests are no evidence, however good they look', successRate, value(100, 0), 'NoData', 'request-success-rate: 0 of at least 1 requests were seen'],
  ['too few requests are no evidence', { ...successRate, minSamples: 100 }, value(100, 99), 'NoData', 'request-success-rate: 99 of at least 100 requests were seen'],
  ['a number of requests that is NaN is none', successRate, value(100, NaN), 'NoData', 'request-success-rate: NaN of at least 1 requests were seen'],
  ['nothing is no evidence', successRate, nothing, 'NoData', 'request-success-rate: the query returned nothing'],
  ['nothing is good where I say so', { ...successRate, onNoData: 'pass' }, nothing, 'Pass', 'request-success-rate: the query returned nothing'],
  ['nothing is bad where I say so', { ...successRate, onNoData: 'fail' }, nothing, 'Fail', 'request-success-rate: the query returned nothing'],
  ['what has not ended is waited for, whatever nothing means', { ...successRate, onNoData: 'pass' }, { kind: 'NoData', query: 'q', message: 'Job shop/smoke runs', pending: true }, 'NoData', 'request-success-rate: Job shop/smoke runs'],
  ['a server that is down says nothing about the version', successRate, down, 'Error', 'request-success-rate: connection refused'],
  ['a server that is down is bad where I say so', { ...successRate, onError: 'fail' }, down, 'Fail', 'request-success-rate: connection refused'],
];

describe('what a measurement says', () => {
  it('a check that fails by the tries has their value, number and query', () => {
    const [judged] = spec({ analysis: { metrics: [successRate] } }).analysis.metrics;
    expect(judged && judge(judged, tried(99.7, 66.7, 431), T0, 20)).toMatchObject({ value: 66.7, samples: 431, query: 'tries', min: 99 });
  });

  it.each(rows)('%s', (_, metric, measurement, verdict, message) => {
    const [judged] = spec({ analysis: { metrics: [metric] } }).analysis.metrics;
    expect(judged && judge(judged, measurement, T0, 20)).toMatchObject({ verdict, message, weight: 20 });
  });
});

sentences('what the checks of a step lead to', {
  'one bad check keeps the weight; as many as the threshold take the version back': (canary) => {
    canary.running(20, 10).metrics = badMetrics;
    canary.decide();
    expect(canary.written).toBeUndefined();
    expect(canary.status.failedChecks).toBe(1);
    canary.later(10).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.status.run?.ending).toMatchObject({ result: 'Failed', reason: 'ChecksFailed', message: 'success rate 93.1 % < 99 % over 412 requests' });
  },
  'what retries hide takes a version back like any failed check': (canary) => {
    canary.running(20, 10).answers(tried(100, 60, 500));
    canary.decide().later(10).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.status.run?.ending?.message).toBe('success rate 60 % < 99 % over 500 tries (callers, whose proxies tried again, got 100 %)');
  },
  'a metric may have a limit of its own': (canary) => {
    canary.with({ analysis: { metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 }, failureLimit: 1 }] } }).running(20, 10).metrics = badMetrics;
    expect(canary.decide().status.run?.ending?.reason).toBe('ChecksFailed');
  },
  'every failed check is an event': (canary) => {
    canary.running(20, 10).metrics = badMetrics;
    expect(canary.decide().said).toEqual(['CheckFailed: reviews check 1 of 2 failed: success rate 93.1 % < 99 % over 412 requests']);
  },
  'without traffic the step waits, and is never passed by accident': (canary) => {
    canary.running(20, 10).answers({ kind: 'NoData', query: 'q', message: 'no data' });
    for (let look = 0; look < 5; look += 1) canary.decide().later(5);
    expect(canary.written).toBeUndefined();
    expect(canary.status.failedChecks).toBe(0);
  },
  'latency counts only after the warm-up, errors at once': (canary) => {
    canary.with({ analysis: { warmup: '60s', metrics: [successRate, latency] } }).running(20, 10).decide();
    expect(canary.asked.metrics.map(({ metric }) => metric)).toEqual(['request-success-rate']);
  },
  'the last step waits until latency was seen, too': (canary) => {
    canary.with({ analysis: { warmup: '60s', metrics: [successRate, latency] } }).running(50, 10).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress).toEqual({ reason: 'NotEnoughData', message: 'request-duration counts from 2030-01-01T00:01:00.000Z on; the step waits for it' });
  },
  'only what was measured since the weight came is looked at': (canary) => {
    canary.running(20, 10).decide();
    expect(canary.asked.metrics).toEqual([{ metric: 'request-success-rate', from: T0, to: T0 + 10_000 }]);
  },
  'a rollback webhook that says yes takes the version back at once': (canary) => {
    canary.with({ analysis: { webhooks: [{ name: 'pager', type: 'rollback', url: 'http://pager.example/' }] } }).running(20, 10).hooks = { pager: { ok: true, message: '200' } };
    expect(canary.decide().status.run?.ending?.reason).toBe('RolledBackByWebhook');
  },
  'a rollout webhook that says no counts like a failed check': (canary) => {
    canary.with({ analysis: { webhooks: [{ name: 'smoke', type: 'rollout', url: 'http://smoke.example/' }] } }).running(20, 10).hooks = { smoke: { ok: false, message: '500 cart is empty' } };
    canary.decide();
    expect(canary.progress.message).toBe('1 of 2 checks failed; last: webhook smoke: 500 cart is empty');
  },
  'a query that the server refuses as malformed stalls the Canary and says what to mend': (canary) => {
    canary.running(20, 10).answers({ kind: 'Error', query: 'sum(', message: 'parse error', permanent: true }).decide();
    expect(canary.condition('Stalled')).toMatchObject({ status: 'True', reason: 'InvalidQuery' });
    expect(canary.condition('Stalled').message).toContain('mend the MetricTemplate or spec.analysis.metrics of Canary reviews');
  },
  'a canary without metrics goes by its pods and webhooks alone': (canary) => {
    canary.with({ analysis: { metrics: [] } }).wants('b2').green(slotWith('b2', 2)).decide().weights(80).later(10).decide();
    expect(canary.written).toEqual(blue(50));
  },
});
