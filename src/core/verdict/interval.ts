import { dispersion } from './dispersion.js';
import type { Evidence, Side } from './e-process.js';

export interface Interval {
  low: number;
  high: number;
}

/** Of the beta distribution that mixes the rates: a rate of 1 or 2 %, known as well as from 20 requests. */
const PRIOR = { bad: 0.5, good: 20 };
/** Halvings of a bound: finer than any digit that is shown. */
const HALVINGS = 60;
/** Probability with which the true difference is ever outside of the interval that people see. */
export const SHOWN_ALPHA = 0.05;

/**
 * Canary minus stable, in percentage points: an interval that holds the true difference at all times at once with probability
 * 1 − alpha. Each side's rate has a confidence sequence (binomial counts, mixed over a beta distribution: Howard, Ramdas, McAuliffe,
 * Sekhon, Annals of Statistics 2021, section 3); counts are divided by the dispersion first. Undefined while one side was asked nothing.
 */
export function differenceInterval(evidence: Evidence, alpha = SHOWN_ALPHA): Interval | undefined {
  const { canary, stable } = evidence;
  if (canary.total <= 0 || stable.total <= 0) return undefined;
  const phi = dispersion(evidence.dispersion);
  const [ofCanary, ofStable] = [canary, stable].map((side) => rateInterval(side, phi, alpha / 2)) as [Interval, Interval];
  return { low: 100 * (ofCanary.low - ofStable.high), high: 100 * (ofCanary.high - ofStable.low) };
}

/** Rates that so many bad requests do not refute. */
function rateInterval(side: Side, phi: number, alpha: number): Interval {
  const [bad, good] = [side.bad / phi, (side.total - side.bad) / phi];
  // The log of the mixture's likelihood of these counts; a rate is refuted when its own is less than alpha times that.
  const mixed = logBeta(PRIOR.bad + bad, PRIOR.good + good) - logBeta(PRIOR.bad, PRIOR.good);
  const held = (rate: number): boolean => mixed - times(bad, Math.log(rate)) - times(good, Math.log1p(-rate)) < Math.log(1 / alpha);
  const middle = bad / (bad + good);
  return { low: bad > 0 ? edge(held, middle, 0) : 0, high: good > 0 ? edge(held, middle, 1) : 1 };
}

/** Zero times minus infinity is none of the evidence. */
const times = (count: number, log: number): number => (count > 0 ? count * log : 0);

/** Where `held`, which is true at `inside`, ends on the way to `outside`. */
function edge(held: (rate: number) => boolean, inside: number, outside: number): number {
  let [near, far] = [inside, outside];
  for (let step = 0; step < HALVINGS; step += 1) {
    const between = (near + far) / 2;
    if (held(between)) near = between;
    else far = between;
  }
  return near;
}

/** Log of the gamma function for positive numbers, by Stirling's series (Abramowitz and Stegun, 6.1.41); error below 1e-8. */
function logGamma(x: number): number {
  let [value, shift] = [x, 0];
  for (; value < 8; value += 1) shift += Math.log(value);
  const inverse = 1 / (value * value);
  return (value - 0.5) * Math.log(value) - value + Math.log(2 * Math.PI) / 2 + (1 / 12 - inverse * (1 / 360 - inverse / 1260)) / value - shift;
}

const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b);
