import { DURATION_BUCKETS_MS } from '../sandbox/mesh/telemetry.js';

export { DURATION_BUCKETS_MS };

/** Standard deviation of the logarithm of a latency: its p99 is about six times its median. */
export const LATENCY_SIGMA = 0.8;
/** The 99th percentile of the standard normal distribution. */
const Z99 = 2.3263;

/** Distribution function of the standard normal distribution, to 1.5e-7 (Abramowitz and Stegun, 7.1.26). */
function normalBelow(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const erf = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
  return z >= 0 ? (1 + erf) / 2 : (1 - erf) / 2;
}

/** Share of the requests that take longer than each bucket's bound, log-normal with this p99 in milliseconds. */
export function slowerThan(p99: number): number[] {
  const median = Math.log(p99) - LATENCY_SIGMA * Z99;
  return DURATION_BUCKETS_MS.map((bound) => 1 - normalBelow((Math.log(bound) - median) / LATENCY_SIGMA));
}
