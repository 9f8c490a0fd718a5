/** Sums over windows of one version, from which the variance of its bad requests is estimated. Small, so that a status can hold them. */
export interface Dispersion {
  /** Windows in which the version was asked anything. */
  windows: number;
  bad: number;
  total: number;
  /** Sum of bad² / total. */
  squares: number;
}

export const noDispersion = (): Dispersion => ({ windows: 0, bad: 0, total: 0, squares: 0 });

/** Fewer windows than this say nothing about how errors cluster. */
const LEAST_WINDOWS = 5;

/** Add one window, in place. */
export function addWindow(to: Dispersion, bad: number, total: number): void {
  if (total <= 0) return;
  to.windows += 1;
  to.bad += bad;
  to.total += total;
  to.squares += (bad * bad) / total;
}

/**
 * Variance of the counts of bad requests relative to what independent requests would have; 1 when they come one by one, about
 * 2 m − 1 when they come in clusters of mean size m. Pearson's X² over its degrees of freedom (McCullagh and Nelder, Generalized
 * Linear Models, 1989, section 4.5), less half its standard error: by chance alone it is above 1 half of the time, and each excess
 * would cost evidence. Never below 1.
 */
export function dispersion({ windows, bad, total, squares }: Dispersion): number {
  if (windows < LEAST_WINDOWS || bad <= 0) return 1;
  const rate = bad / total;
  const estimate = (squares / rate - bad) / (windows - 1);
  const relativeError = Math.sqrt((2 + windows / bad) / windows);
  return Math.max(1, estimate * (1 - relativeError / 2));
}
