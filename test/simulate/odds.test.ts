import { describe, expect, it } from 'vitest';
import { oddsOf, playOnce, type Odds } from '../../src/simulate/odds.js';
import { Draws } from '../../src/simulate/random.js';
import type { Declared } from '../../src/simulate/traffic.js';
import { spec } from '../core/builders.js';

type Analysis = NonNullable<Parameters<typeof spec>[0]>['analysis'];
interface Given {
  analysis?: Analysis;
  rps?: number;
  canary?: number;
  canaryP99?: number;
  matching?: number;
  clusters?: number;
  runs?: number;
}

const METRICS = [{ name: 'request-success-rate', thresholdRange: { min: 99 } }];
const VERDICT = { method: 'sequential' as const, alpha: 0.01, maxRegression: { ratio: 1.5, difference: 0.1 }, minSamples: 50, beta: 0.05 };
const STABLE = { errorRate: 0.001, p99: 200 };

const declared = ({ rps = 100, canary = 0.001, canaryP99 = 200, matching = 0.1, clusters = 1 }: Given): Declared => ({ rps, matching, clusters, stable: STABLE, canary: { errorRate: canary, p99: canaryP99 } });
const given = ({ analysis }: Given) => spec({ progressDeadlineSeconds: 600, analysis: { interval: '1m', threshold: 5, stepWeights: [10, 20, 30, 40, 50], metrics: METRICS, ...analysis } });
const odds = (one: Given): Promise<Odds> => oddsOf(given(one), declared(one), one.runs ?? 30, 1);

describe('the odds of a release', () => {
  it('are good for a healthy version, which takes as long as its steps and the drain', async () => {
    const { promoted, promotedSeconds, reasons, badRequests } = await odds({});
    expect({ promoted, reasons }).toEqual({ promoted: 30, reasons: { Promoted: 30 } });
    expect(promotedSeconds).toEqual({ p10: 305, p50: 305, p90: 305 });
    // 9,000 requests of which one in a thousand fails.
    expect(badRequests.p50).toBeGreaterThan(4);
    expect(badRequests.p50).toBeLessThan(16);
  });

  it('are bad for a version that fails 5 %: five checks, and some 150 bad requests', async () => {
    const { rolledBack, rolledBackSeconds, reasons, badRequests, beyondStable } = await odds({ canary: 0.05 });
    expect({ rolledBack, reasons }).toEqual({ rolledBack: 30, reasons: { ChecksFailed: 30 } });
    expect(rolledBackSeconds?.p50).toBe(300);
    expect(badRequests.p50).toBeGreaterThan(125);
    expect(badRequests.p50).toBeLessThan(175);
    expect(beyondStable).toBeGreaterThan(125);
  });

  it('are sooner, and cheaper, with a verdict', async () => {
    const { rolledBack, rolledBackSeconds, reasons, badRequests } = await odds({ canary: 0.05, analysis: { verdict: VERDICT } });
    expect({ rolledBack, reasons }).toEqual({ rolledBack: 30, reasons: { Regression: 30 } });
    expect(rolledBackSeconds?.p90).toBeLessThan(60);
    expect(badRequests.p50).toBeLessThan(20);
  });

  it('are as good as before for a healthy version with a verdict', async () => {
    const { promoted } = await odds({ analysis: { verdict: VERDICT }, runs: 60 });
    expect(promoted).toBeGreaterThanOrEqual(59);
  });

  it('are still good where ten requests fail at a time', async () => {
    const { promoted, badRequests } = await odds({ clusters: 10, analysis: { verdict: VERDICT }, runs: 60 });
    expect(promoted).toBeGreaterThanOrEqual(58);
    // As many as before on average, and in some runs many more.
    expect(badRequests.p90).toBeGreaterThan(15);
  });

  it('are sooner with fast', async () => {
    const { promoted, promotedSeconds } = await odds({ analysis: { verdict: { ...VERDICT, fast: true } } });
    expect(promoted).toBeGreaterThanOrEqual(29);
    expect(promotedSeconds?.p50).toBeLessThan(250);
  });

  it('tell a slow version by its latency alone', async () => {
    const analysis: Analysis = { metrics: [...METRICS, { name: 'request-duration', thresholdRange: { max: 250 } }], warmup: '0s' };
    expect((await odds({ analysis, canaryP99: 200 })).promoted).toBe(30);
    const slow = await odds({ analysis, canaryP99: 800 });
    expect(slow.reasons).toEqual({ ChecksFailed: 30 });
    expect(slow.slowRequests.p50).toBeGreaterThan(slow.badRequests.p50);
    expect(slow.example.message).toContain('p99 latency');
  });

  it('are a deadline where there are too few requests', async () => {
    const { rolledBack, reasons } = await odds({ rps: 0.01, analysis: { verdict: VERDICT }, runs: 5 });
    expect({ rolledBack, reasons }).toEqual({ rolledBack: 5, reasons: { ProgressDeadlineExceeded: 5 } });
  });

  it('are those of a promotion without judgement where nothing is judged', async () => {
    const { promoted, badRequests } = await odds({ canary: 0.5, analysis: { metrics: [] }, runs: 5 });
    expect(promoted).toBe(5);
    expect(badRequests.p50).toBeGreaterThan(3_000);
  });
});

describe('a cluster that is played', () => {
  it.each<[string, Given, string[]]>([
    ['approvals', { analysis: { stepWeights: undefined, steps: [{ weight: 10, approve: true }, { weight: 50, approve: true }] } }, ['Promoted']],
    ['webhooks of every type', { analysis: { webhooks: (['confirm-rollout', 'pre-rollout', 'rollout', 'confirm-traffic-increase', 'confirm-promotion', 'post-rollout', 'rollback'] as const).map((type) => ({ name: type, type, url: 'http://hook/' })) } }, ['Promoted']],
    ['templates', { analysis: { metrics: [{ name: 'basket', templateRef: { name: 'basket' }, thresholdRange: { min: 3 } }] } }, ['Promoted']],
    ['blue/green with a mirror', { analysis: { stepWeights: undefined, iterations: 3, mirror: true } }, ['Promoted']],
    ['an A/B test', { analysis: { stepWeights: undefined, iterations: 3, match: [{ headers: { user: { exact: 'ada' } } }] } }, ['Promoted']],
    ['a control arm', { analysis: { control: true, match: [{ headers: { user: { exact: 'ada' } } }], verdict: VERDICT } }, ['Promoted']],
    ['shares that are verified', { analysis: { verifyShare: true } }, ['Promoted']],
    ['pods in proportion', { analysis: { canaryReplicas: 'proportional' } }, ['Promoted']],
  ])('has %s', async (_, one, reasons) => {
    expect(Object.keys((await odds({ ...one, runs: 3 })).reasons)).toEqual(reasons);
  });

  it('finds a bad version by the copies of a mirror, whose answers nobody gets', async () => {
    const { rolledBack, badRequests } = await odds({ canary: 0.05, runs: 3, analysis: { stepWeights: undefined, iterations: 5, mirror: true } });
    expect({ rolledBack, bad: badRequests.p50 }).toEqual({ rolledBack: 3, bad: 0 });
  });

  it('finds a bad version among those who match, and asks nobody else', async () => {
    const one: Given = { canary: 0.1, runs: 5, rps: 200, matching: 0.1, analysis: { control: true, match: [{ headers: { user: { exact: 'ada' } } }], verdict: VERDICT } };
    const { reasons, requests } = await odds(one);
    expect(reasons).toEqual({ Regression: 5 });
    // A tenth of 200 requests match, and a tenth of those go to the canary.
    expect(requests.p90).toBeLessThan(300);
  });

  it('plays the same release for the same seed', () => {
    const one: Given = { canary: 0.01 };
    const played = (run: number) => playOnce(given(one), declared(one), Draws.seeded(5, run));
    expect(played(1)).toEqual(played(1));
    expect(played(1).served).not.toEqual(played(2).served);
  });
});
