import type { WindowCounts } from '../../src/core/evidence.js';
import type { Draws } from '../../src/simulate/random.js';

/** How bad requests come: one by one, more and less of them from window to window on both sides or each by itself, or many at once. */
export const NOISES = ['none', 'shared', 'independent', 'clusters3', 'clusters10'] as const;
export type Noise = (typeof NOISES)[number];

/** Standard deviation of the logarithm of the rate in a window. */
const SIGMA = 0.8;
const CLUSTERS: Partial<Record<Noise, number>> = { clusters3: 3, clusters10: 10 };

/** A factor with a median of 1. */
const noiseOf = (draws: Draws): number => Math.exp(SIGMA * draws.normal());

export interface Traffic {
  /** Requests per second to both versions together. */
  rps: number;
  /** Bad requests per request. */
  stable: number;
  /** The same of the canary, so many seconds after its first weight. */
  canary: (seconds: number) => number;
  noise: Noise;
}

function bad(draws: Draws, total: number, rate: number, factor: number, cluster: number | undefined): number {
  if (cluster === undefined) return Math.min(total, draws.poisson(total * Math.min(1, rate * factor)));
  let sum = 0;
  for (let left = draws.poisson((total * rate) / cluster); left > 0; left -= 1) sum += draws.geometric(cluster);
  return Math.min(total, sum);
}

/**
 * What both versions are asked in one window.
 * @param weight of the canary, percent
 * @param seconds at the end of the window, since the first weight; negative before it
 */
export function windowOf(draws: Draws, { rps, stable, canary, noise }: Traffic, weight: number, seconds: number, gridSeconds: number): WindowCounts {
  const cluster = CLUSTERS[noise];
  const common = noise === 'shared' ? noiseOf(draws) : 1;
  const own = (): number => (noise === 'independent' ? noiseOf(draws) : common);
  const [ofCanary, ofStable] = [draws.poisson((rps * gridSeconds * weight) / 100), draws.poisson(rps * gridSeconds * (1 - weight / 100))];
  return {
    to: seconds * 1000,
    canary: { total: ofCanary, bad: [bad(draws, ofCanary, canary(seconds - gridSeconds / 2), own(), cluster)] },
    stable: { total: ofStable, bad: [bad(draws, ofStable, stable, own(), cluster)] },
  };
}
