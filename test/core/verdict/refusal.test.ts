import { describe, expect, it } from 'vitest';
import { verdictRefusal } from '../../../src/core/verdict/refusal.js';
import { spec } from '../builders.js';

type Analysis = NonNullable<NonNullable<Parameters<typeof spec>[0]>['analysis']>;
const MATCH = [{ headers: { 'x-canary': { exact: 'yes' } } }];
const refusal = (analysis: Analysis): string | undefined => verdictRefusal(spec({ analysis: { verdict: { method: 'sequential', alpha: 0.01, beta: 0.05, minSamples: 50, maxRegression: { ratio: 1.5, difference: 0.1 } }, ...analysis } }));

describe('a verdict where nothing comparable serves', () => {
  it.each<[string, Analysis, RegExp]>([
    ['at weight 100', { stepWeights: [50, 100] }, /step 2 .*the stable version gets no requests.*end at a smaller weight/],
    ['in blue/green before the switch', { stepWeights: undefined, iterations: 3 }, /step 1 .*no requests are led to the canary; use weights/],
    ['in a segment without a control arm', { stepWeights: undefined, iterations: 3, match: MATCH }, /step 1 .*set analysis\.control: true/],
    ['in a fault step', { stepWeights: undefined, steps: [{ weight: 20, fault: { host: 'ratings', abort: { httpStatus: 503 } } }, { weight: 50 }] }, /step 1 .*the fault befalls the canary alone; leave the fault step out/],
    ['without a metric that counts requests', { stepWeights: [20], metrics: [] }, /no metric of spec\.analysis\.metrics counts requests; add request-success-rate/],
  ])('is refused %s, with what to do instead', (_, analysis, words) => {
    expect(refusal(analysis)).toMatch(words);
  });

  it('is given where both versions see requests of one kind', () => {
    expect(refusal({ stepWeights: [20, 50] })).toBeUndefined();
    expect(refusal({ stepWeights: undefined, iterations: 3, match: MATCH, control: true })).toBeUndefined();
    expect(refusal({ stepWeights: [20], mirror: true })).toBeUndefined();
  });

  it('is not looked for where none is asked for', () => {
    expect(verdictRefusal(spec({ analysis: { stepWeights: [50, 100] } }))).toBeUndefined();
  });
});
