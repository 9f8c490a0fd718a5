import { dispersion } from './dispersion.js';
import type { Evidence, Side } from './e-process.js';

export interface Interval {
  low: number;
  high: number;
}

/** Of the gamma distribution that mixes the rates: half a bad request seen in as many requests as a rate of 1 % needs for it. */
const PRIOR = { shape: 0.5, requests: 50 };
/** Halvings of a bound: finer than any digit that is shown. */
const HALVINGS = 60;

/**
 * Canary minus stable, in percentage points: an interval that holds the true difference at all times at once with probability
 * 1 − alpha. Each side's rate has a confidence sequence (Poisson counts, mixed over a gamma distribution: Howard, Ramdas, McAuliffe,
 * Sekhon, Annals of Statistics 2021, section 3); counts are divided by the dispersion first. Undefined while one side was asked nothing.
 */
export function differenceInterval(evidence: Evidence, alpha: number): Interval | undefined {
  const { canary, stable } = evidence;
  if (canary.total <= 0 || stable.total <= 0) return undefined;
  const phi = dispersion(evidence.dispersion);
  const [ofCanary, ofStable] = [canary, stable].map((side) => rateInterval(side, phi, alpha / 2)) as [Interval, Interval];
  return { low: 100 * (ofCanary.low - ofStable.high), high: 100 * (ofCanary.high - ofStable.low) };
}

/** Rates that so many bad requests do not refute. */
function rateInterval({ bad, total }: Side, phi: number, alpha: number): Interval {
  const [count, requests] = [bad / phi, total / phi];
  const { shape, requests: prior } = PRIOR;
  // The log of the mixture's likelihood of these counts; a rate is refuted when its own is less than alpha times that.
  const mixed = logGamma(shape + count) - logGamma(shape) + shape * Math.log(prior) - (shape + count) * Math.log(prior + requests);
  const held = (rate: number): boolean => mixed - (count > 0 ? count * Math.log(rate) : 0) + rate * requests < Math.log(1 / alpha);
  const middle = Math.max(count / requests, Number.MIN_VALUE);
  return { low: count > 0 ? edge(held, middle, 0) : 0, high: Math.min(1, edge(held, middle, 2)) };
}

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
