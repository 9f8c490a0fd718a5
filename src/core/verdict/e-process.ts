import { addWindow, dispersion, noDispersion, type Dispersion } from './dispersion.js';
import { FAST_DIFFERENCE, WINDOW_LIMIT, type VerdictOptions } from './options.js';

/** One version in one window: how many requests, and how many of them were bad. */
export interface Side {
  total: number;
  bad: number;
}

/** Evidence about one kind of bad request, summed up. Logarithms are natural. */
export interface Evidence {
  canary: Side;
  stable: Side;
  /** Log likelihood ratios against "not worse than the allowed ratio", one per entry of {@link MULTIPLES}. */
  ratio: number[];
  /** The same against "not worse than the allowed difference". */
  difference: number[];
  /** Log likelihood ratio of "as good as stable" against "worse by {@link FAST_DIFFERENCE}", since the step began. */
  health: number;
  /** Of the stable version, before and during the run. */
  dispersion: Dispersion;
}

/**
 * How many times worse than allowed a bad version may be: the mixture holds each of these, so that neither a small nor a total
 * failure needs much more evidence than if its size had been known.
 */
export const MULTIPLES = [2, 5, 12, 40] as const;
const LOG_LIMIT = Math.log(WINDOW_LIMIT);
const LOG_WEIGHT = -Math.log(MULTIPLES.length);

export const noEvidence = (): Evidence => ({
  canary: { total: 0, bad: 0 },
  stable: { total: 0, bad: 0 },
  ratio: MULTIPLES.map(() => 0),
  difference: MULTIPLES.map(() => 0),
  health: 0,
  dispersion: noDispersion(),
});

/** Learn from a window in which only the stable version was asked anything that counts: before the release, or between two steps. */
export function learnBaseline(evidence: Evidence, stable: Side): void {
  addWindow(evidence.dispersion, stable.bad, stable.total);
}

/** The stable version's rate, from everything seen of it; half a bad request is added so that it is never zero. */
const stableRate = ({ dispersion: seen }: Evidence): number => (seen.bad + 0.5) / (seen.total + 1);

/** What has to be known of the stable version before the difference from it, and health, say anything: windows show whether its errors cluster. */
const LEAST_KNOWN = { windows: 5, total: 100 };
/** Requests of the stable version from which health can be measured against its rate. */
const LEAST_FOR_HEALTH = 1000;

const isKnown = ({ dispersion: { windows, total } }: Evidence): boolean => windows >= LEAST_KNOWN.windows && total >= LEAST_KNOWN.total;

/**
 * The stable version's rate, less twice its standard error, and no more than in the run so far: taken for higher than it is, a version
 * that is worse would look as good. Undefined while too little was seen of it.
 */
function cautiousRate({ dispersion: seen, stable }: Evidence, phi: number): number | undefined {
  if (seen.windows < LEAST_KNOWN.windows || seen.total < LEAST_FOR_HEALTH) return undefined;
  const overall = (Math.max(0, seen.bad - 2 * Math.sqrt(phi * seen.bad)) + 0.5) / (seen.total + 1);
  return Math.min(overall, (stable.bad + 0.5) / (stable.total + 1));
}

/** Tempered by the dispersion, and limited. */
const limited = (logRatio: number, phi: number): number => Math.min(LOG_LIMIT, logRatio / phi);

/**
 * Add one window of both versions, in place.
 *
 * Ratio: of the bad requests of both sides, the share that is the canary's is p0 = ρ·n_c / (ρ·n_c + n_s) when it is worse by exactly
 * the allowed ratio ρ, whatever the common rate was in that window. So the likelihood ratio of any worse share against p0 is an
 * e-value, and what hits both sides at once cancels out (Lindon, Sanden, Shirikian, KDD 2022; Turner and Grünwald on 2×2 tables).
 *
 * Difference: the canary's bad requests against those that stable's rate, plus the allowed difference, would bring (Poisson).
 *
 * Both to the power 1/φ, where φ is the dispersion of the stable version known before this window: errors that come in clusters
 * are fewer facts than they seem.
 */
export function addEvidence(evidence: Evidence, canary: Side, stable: Side, { maxRegression }: VerdictOptions): void {
  if (canary.total > 0 && stable.total > 0) {
    const phi = dispersion(evidence.dispersion);
    const known = isKnown(evidence);
    const rate = stableRate(evidence);
    const odds = (maxRegression.ratio * canary.total) / stable.total;
    const allowed = rate + maxRegression.difference / 100;
    for (const [index, multiple] of MULTIPLES.entries()) {
      // log(p/p0) and log((1-p)/(1-p0)) for odds that are `multiple` times those of the null.
      const others = Math.log1p(multiple * odds) - Math.log1p(odds);
      const ratio = canary.bad * Math.log(multiple) - (canary.bad + stable.bad) * others;
      const difference = known ? canary.bad * Math.log(multiple) - canary.total * allowed * (multiple - 1) : 0;
      evidence.ratio[index] = (evidence.ratio[index] ?? 0) + limited(ratio, phi);
      evidence.difference[index] = (evidence.difference[index] ?? 0) + limited(difference, phi);
    }
    const worse = FAST_DIFFERENCE / 100;
    const least = cautiousRate(evidence, phi);
    if (least !== undefined) evidence.health += limited(canary.total * worse - canary.bad * Math.log1p(worse / least), phi);
    add(evidence.canary, canary);
    add(evidence.stable, stable);
  }
  learnBaseline(evidence, stable);
}

function add(to: Side, { total, bad }: Side): void {
  to.total += total;
  to.bad += bad;
}

/** Log of the mixture of likelihood ratios: an e-value for "not worse than allowed". */
function mixture(logs: readonly number[]): number {
  const most = Math.max(...logs);
  return most + Math.log(logs.reduce((sum, value) => sum + Math.exp(value - most), 0)) + LOG_WEIGHT;
}

/** Log of the e-value against "not worse than allowed", which has to be refuted both as a ratio and as a difference. */
export const regression = ({ ratio, difference }: Evidence): number => Math.min(mixture(ratio), mixture(difference));
