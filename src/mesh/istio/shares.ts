/** Whole-number division of weights, such that nothing is lost and nobody who should get traffic gets none. */
import type { Weights } from '../../engine/ports.js';

/** @throws RangeError unless both weights are whole numbers in 0..100 that sum to 100: a bug in the caller. */
export function assertWeights({ blue, green }: Weights): void {
  if (!isPartition({ blue, green })) {
    throw new RangeError(`weights ${blue}/${green} are not a partition: both must be whole numbers in 0..100 that sum to 100`);
  }
}

export const isPartition = ({ blue, green }: Weights): boolean =>
  Number.isInteger(blue) && Number.isInteger(green) && blue >= 0 && green >= 0 && blue + green === 100;

/**
 * The slots' parts of `share`, which is what one destination of the user gets (0..100). They sum to `share`; a slot with weight
 * 0 gets 0; a slot with any weight gets at least 1 unless `share` is too small for two.
 */
export function splitShare(share: number, weights: Weights): Weights {
  const exact = Math.round((share * weights.blue) / 100);
  const both = weights.blue > 0 && weights.green > 0 && share >= 2;
  const blue = both ? Math.min(Math.max(exact, 1), share - 1) : exact;
  return { blue, green: share - blue };
}

/** `total` divided in proportion to `parts` (evenly when all are 0), by largest remainder, the earlier one first. */
export function apportion(total: number, parts: number[]): number[] {
  const sum = parts.reduce((a, b) => a + b, 0);
  const ideal = parts.map((part) => (total * (sum === 0 ? 1 : part)) / (sum === 0 ? parts.length : sum));
  const whole = ideal.map(Math.floor);
  const order = ideal.map((_, i) => i).sort((a, b) => ((ideal[b] ?? 0) % 1) - ((ideal[a] ?? 0) % 1) || a - b);
  const missing = total - whole.reduce((a, b) => a + b, 0);
  const lifted = new Set(order.slice(0, missing));
  return whole.map((part, i) => (lifted.has(i) ? part + 1 : part));
}
