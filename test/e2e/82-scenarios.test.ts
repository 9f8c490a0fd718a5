/** Scenarios in which it is the proxy that has to do something, played with a real Envoy and a real Prometheus. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Sight } from '../../src/sandbox/seen.js';
import { ensureParts } from '../real/index.js';
import { play } from '../scenarios/play.js';
import { binomialInterval } from './split.js';

/** A correct split is found wrong once in ten thousand steps. */
const CONFIDENCE = 0.9999;
/** Enough for a split to show, and not too many for a busy machine. */
const MOST_RPS = 40;
const METRICS = [{ name: 'request-success-rate', thresholdRange: { min: 85 }, minSamples: 5 }];

let real: { envoy: string; prometheus: string };
beforeAll(async () => {
  const { envoy, prometheus } = await ensureParts({ need: ['envoy', 'prometheus'] });
  real = { envoy, prometheus };
});

/** Asserts that v2 answered as many of these requests as its weight explains; `-` stands for answers of no version. */
function assertShare({ versions }: Sight, weight: number): void {
  const { '-': _none, ...counts } = versions;
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const [low, high] = binomialInterval(total, weight / 100, CONFIDENCE);
  expect(total).toBeGreaterThan(30);
  expect(counts['v2'] ?? 0, `of ${total} answers`).toBeGreaterThanOrEqual(low);
  expect(counts['v2'] ?? 0, `of ${total} answers`).toBeLessThanOrEqual(high);
}

describe('with a real Envoy', () => {
  it('9: callers of a slow version wait as long as their route says, not as long as it takes', async () => {
    const played = await play('9', { real, mostRps: MOST_RPS });
    expect(played.results).toEqual(['Succeeded', 'Failed']);
    const { failed, versions } = played.saw(2, 'step 1');
    // Every request that was led to the slow version got 504 after half a second; none waited for its answer.
    expect(failed).toBeGreaterThan(0);
    expect(versions['v3']).toBeUndefined();
    expect(played.saw(1, 'step 1').failed).toBe(0);
  });

  it('10: both slots answer under the limits and the outlier detection of the rule', async () => {
    const played = await play('10', { real, mostRps: MOST_RPS });
    expect(played.results).toEqual(['Succeeded']);
    assertShare(played.saw(1, 'step 2'), 50);
    expect(played.saw(1, 'step 2').failed).toBe(0);
  });

  it('11: one rule of a gateway is divided, its neighbours answer as before', async () => {
    const played = await play('11', { real, mostRps: MOST_RPS });
    expect(played.results).toEqual(['Succeeded']);
    assertShare(played.saw(1, 'step 1', 'reviews at the gateway'), 20);
    assertShare(played.saw(1, 'step 2', 'reviews at the gateway'), 50);
    expect(played.saw(1, 'step 2', 'reviews at the gateway').failed).toBe(0);
  });

  it('12: without sidecars the gateway alone divides, and its own counts judge', async () => {
    const played = await play('12', { real, mostRps: MOST_RPS, analysis: { metrics: METRICS } });
    expect(played.results).toEqual(['Succeeded', 'Failed']);
    assertShare(played.saw(1, 'step 1', 'reviews at the gateway'), 50);
    expect(played.summary.releases[1]?.reason).toMatch(/success rate .* < 85 %/);
  });
});
