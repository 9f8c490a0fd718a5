/** How much worse than the stable version a canary may be before it is taken back. It has to exceed both. */
export interface MaxRegression {
  /** Bad requests per request, as a multiple of the stable version's. */
  ratio: number;
  /** Bad requests per request above the stable version's, in percentage points. */
  difference: number;
}

/** What a sequential verdict promises, and of what. */
export interface VerdictOptions {
  /** Highest probability that a run is taken back though its version is not worse than allowed, over the whole run and all its metrics. */
  alpha: number;
  maxRegression: MaxRegression;
  /** Highest probability that steps end early though the version is worse by {@link FAST_DIFFERENCE}; unset: steps never end early. */
  beta?: number;
}

/** Worse by this many percentage points: what `fast` has to rule out. */
export const FAST_DIFFERENCE = 0.5;

/**
 * Likelihood ratios that one window may contribute at most. However many errors come at once, as one incident does, a single window
 * never ends a run.
 */
export const WINDOW_LIMIT = 30;
