import { describe, expect, it } from 'vitest';
import { metricTemplateSpec, type MetricSpec } from '../../src/api/index.js';
import { judge } from '../../src/core/checks.js';
import { withTemplateDefaults } from '../../src/core/conduct.js';
import type { Measurement } from '../../src/core/evidence.js';
import { comparedBy } from '../../src/core/verdict/refusal.js';
import { blue, spec, T0, type Situation } from './builders.js';
import { sentences } from './sentences.js';

const number = (value: number): Measurement => ({ kind: 'Value', value, query: 'q', from: 0, to: 1 });
const nothing: Measurement = { kind: 'NoData', query: 'q', message: 'nothing' };
const GOOD = { metric: 'request-success-rate', measurement: number(100) };
const RATE: Partial<MetricSpec> = { name: 'request-success-rate', thresholdRange: { min: 99 } };
const queue = (more: Partial<MetricSpec>): Partial<MetricSpec> => ({ name: 'queue', thresholdRange: { max: 10 }, templateRef: { name: 'queue' }, ...more });

/** At 20 % for ten seconds, judged by the success rate and by a queue that must not be longer than 10. */
function judgedBy(canary: Situation, more: Partial<MetricSpec>, length: number | Measurement): Situation {
  canary.with({ analysis: { metrics: [RATE, queue(more)], threshold: 3 } }).running(20, 10);
  return measured(canary, length);
}
function measured(canary: Situation, length: number | Measurement): Situation {
  canary.metrics = [GOOD, { metric: 'queue', measurement: typeof length === 'number' ? number(length) : length }];
  return canary;
}
const askedOf = (canary: Situation): string[] => canary.asked.metrics.map(({ metric }) => metric);
const shown = (canary: Situation) => canary.status.checks?.find(({ metric }) => metric === 'queue');

sentences('a metric with dryRun', {
  'is judged and shown, and takes no version back': (canary) => {
    judgedBy(canary, { dryRun: true }, 99);
    for (let look = 0; look < 4; look += 1) canary.decide().later(10);
    expect(canary.status.failedChecks).toBe(0);
    expect(canary.status.step?.weight).toBe(50);
    expect(shown(canary)).toMatchObject({ verdict: 'Fail', dryRun: true, message: 'queue 99 > 10' });
  },
  'does not end a run by its own limit': (canary) => {
    judgedBy(canary, { dryRun: true, failureLimit: 1 }, 99).decide();
    expect(canary.status.run?.ending).toBeUndefined();
  },
  'holds no step when there is nothing to judge': (canary) => {
    judgedBy(canary, { dryRun: true, initialDelay: '1h' }, nothing).decide();
    expect(canary.written).toEqual(blue(50));
  },
  'stalls nothing when its query is wrong': (canary) => {
    judgedBy(canary, { dryRun: true }, { kind: 'Error', query: 'q', message: 'refused', permanent: true }).decide();
    expect(shown(canary)).toMatchObject({ verdict: 'Error', permanent: true, dryRun: true });
    expect(canary.condition('Stalled').status).toBe('False');
    expect(canary.written).toEqual(blue(50));
  },
  'without it the same holds the step': (canary) => {
    judgedBy(canary, {}, nothing).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress).toEqual({ reason: 'NotEnoughData', message: 'queue: nothing' });
  },
});

sentences('a metric with consecutiveSuccess', {
  'has to pass so often in a row before its step is left': (canary) => {
    judgedBy(canary, { consecutiveSuccess: 3 }, 1).decide();
    expect(canary.progress).toEqual({ reason: 'Analysing', message: 'weight 20 %, step 1 of 2: queue passed 1 of 3 times in a row' });
    canary.later(10).decide();
    expect(canary.progress.message).toContain('2 of 3');
    expect(canary.written).toBeUndefined();
    expect(canary.later(10).decide().written).toEqual(blue(50));
  },
  'begins again after a failed check': (canary) => {
    judgedBy(canary, { consecutiveSuccess: 2 }, 1).decide();
    measured(canary, 99).later(10).decide();
    expect(canary.status.failedChecks).toBe(1);
    measured(canary, 1).later(10).decide();
    expect(canary.progress.message).toContain('1 of 2');
  },
  'is not set back by a check without data': (canary) => {
    judgedBy(canary, { consecutiveSuccess: 2 }, 1).decide();
    measured(canary, nothing).later(10).decide();
    expect(measured(canary, 1).later(10).decide().written).toEqual(blue(50));
  },
  'begins again with each step': (canary) => {
    judgedBy(canary, { consecutiveSuccess: 2 }, 1).decide().later(10).decide().settle();
    canary.later(1).decide();
    expect(canary.status.step).toMatchObject({ weight: 50 });
    canary.later(10).decide();
    expect(canary.progress.message).toContain('weight 50 %, step 2 of 2: queue passed 1 of 2');
  },
  'has the time for it before the deadline': (canary) => {
    judgedBy(canary, { consecutiveSuccess: 12 }, 1);
    for (let look = 0; look < 11; look += 1) canary.decide().later(10);
    expect(canary.status.run?.ending).toBeUndefined();
    expect(canary.decide().written).toEqual(blue(50));
  },
});

sentences('a metric with initialDelay', {
  'is not judged before, and its evidence begins then': (canary) => {
    judgedBy(canary, { initialDelay: '30s' }, 99).decide();
    expect(askedOf(canary)).toEqual(['request-success-rate']);
    expect(canary.written).toEqual(blue(50));
    canary.settle().later(5).decide().later(20).decide();
    const [asked] = canary.asked.metrics.filter(({ metric }) => metric === 'queue');
    expect(asked?.from).toBe(T0 + 30_000);
    expect(canary.status.failedChecks).toBe(1);
  },
  'holds the last step until it was': (canary) => {
    canary.with({ analysis: { metrics: [RATE, queue({ initialDelay: '1h' })], stepWeights: [50] } }).running(50, 10);
    measured(canary, 1).decide();
    expect(canary.progress).toMatchObject({ reason: 'NotEnoughData', message: expect.stringContaining('queue counts from') as string });
  },
});

sentences('a metric with count', {
  'is judged so often in a run and then no more': (canary) => {
    judgedBy(canary, { count: 1 }, 1).decide();
    expect(askedOf(canary)).toContain('queue');
    expect(canary.status.run?.judged).toEqual({ queue: 1 });
    measured(canary, 99).settle().later(1).decide().later(10).decide();
    expect(askedOf(canary)).toEqual(['request-success-rate']);
    expect(canary.status.failedChecks).toBe(0);
  },
  'counts no check that waits': (canary) => {
    judgedBy(canary, { count: 1 }, nothing).decide().later(5).decide();
    expect(canary.status.run?.judged).toBeUndefined();
    expect(measured(canary, 1).later(5).decide().status.run?.judged).toEqual({ queue: 1 });
  },
  'is the same check while another metric holds it': (canary) => {
    judgedBy(canary, { count: 5 }, 1);
    canary.metrics = [{ metric: 'request-success-rate', measurement: nothing }, { metric: 'queue', measurement: number(1) }];
    canary.decide().later(5).decide();
    expect(canary.status.run?.judged).toBeUndefined();
  },
});

it('what does not count is not compared with the stable version either', () => {
  expect(comparedBy(spec({ analysis: { metrics: [RATE, queue({}), queue({ name: 'dry', dryRun: true })] } }), ['queue', 'dry'])).toEqual(['request-success-rate', 'queue']);
});

describe('what a template says of its metric', () => {
  const template = (more: object) => metricTemplateSpec.parse({ provider: {}, query: 'up', ...more });
  const merged = (metric: Partial<MetricSpec>, more: object) => {
    const before = spec({ analysis: { metrics: [RATE, metric] } });
    const after = withTemplateDefaults(before, ({ templateRef }) => (templateRef?.name === 'queue' ? template(more) : undefined));
    expect(after.analysis.metrics[0]).toBe(before.analysis.metrics[0]);
    return after.analysis.metrics[1];
  };

  it('holds where the Canary says nothing', () => {
    expect(merged(queue({ failureLimit: 1, dryRun: false }), { dryRun: true, failureLimit: 4, consecutiveSuccess: 2, initialDelay: '5m', count: 3 })).toMatchObject({
      dryRun: false,
      failureLimit: 1,
      consecutiveSuccess: 2,
      initialDelay: '5m',
      count: 3,
      thresholdRange: { max: 10 },
    });
  });

  it('a Job must pass, unless the Canary says what else is good', () => {
    const job = { provider: { type: 'job', job: { spec: {} } }, query: undefined };
    expect(merged({ name: 'smoke', templateRef: { name: 'queue' } }, job)?.thresholdRange).toEqual({ min: 1 });
    expect(merged(queue({}), job)?.thresholdRange).toEqual({ max: 10 });
  });

  it('is nothing for other metrics, and leaves the spec as it is', () => {
    const plain = spec();
    expect(withTemplateDefaults(plain, () => undefined)).toBe(plain);
  });
});

describe('a comparison in words', () => {
  it.each<[Measurement, string]>([
    [{ kind: 'Value', value: 1.5, query: 'q', from: 0, to: 1, compared: { as: 'ratio', canary: 3, stable: 2 } }, 'queue 1.5 > 1.2 (ratio: 3 of the canary against 2 of the stable version)'],
    [{ kind: 'Value', value: 1, query: 'q', from: 0, to: 1, compared: { as: 'difference', canary: 3, stable: 2 } }, 'queue 1 <= 1.2 (difference: 3 of the canary against 2 of the stable version)'],
    [{ kind: 'Value', value: Infinity, query: 'q', from: 0, to: 1, compared: { as: 'ratio', canary: 3, stable: 0 } }, 'queue Infinity > 1.2 (ratio: 3 of the canary against 0 of the stable version)'],
  ])('%o', (measurement, message) => {
    const [, metric] = spec({ analysis: { metrics: [RATE, queue({ thresholdRange: { max: 1.2 } })] } }).analysis.metrics;
    expect(metric && judge(metric, measurement, T0, 20).message).toBe(message);
  });
});
