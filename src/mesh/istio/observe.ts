import type { Weights } from '../../engine/ports.js';
import type { Target } from './overlay.js';
import { pairWeights, sharesOf } from './segments.js';
import { isPartition, splitShare } from './shares.js';

/** The weights of several VirtualServices as one; where they differ, each slot has the highest, and the two need not sum to 100. */
export function together(each: Weights[]): Weights | undefined {
  const [first] = each;
  return first && { blue: Math.max(...each.map(({ blue }) => blue)), green: Math.max(...each.map(({ green }) => green)) };
}

/** What one pair of slot destinations gets, and the share of its route that the two divide. */
interface Reading {
  share: number;
  live: Weights;
}

function readingsOf({ segments }: Target): Reading[] {
  const shares = sharesOf(segments);
  return segments.flatMap((segment, i) => {
    if (segment.kind !== 'pair') return [];
    const live = pairWeights(segments, segment);
    return [{ live, share: typeof shares === 'string' ? live.blue + live.green : (shares[i] ?? 0) }];
  });
}

const explains = (weights: Weights, readings: Reading[]): boolean =>
  readings.every(({ share, live }) => {
    const { blue, green } = splitShare(share, weights);
    return blue === live.blue && green === live.green;
  });

/** Percent of the slots' common traffic; a slot with any weight has at least 1. */
const percent = ({ live: { blue, green } }: Reading): Weights =>
  splitShare(100, { blue: (100 * blue) / (blue + green), green: (100 * green) / (blue + green) });

/**
 * The weights that are in force, or undefined when no route goes through the slots.
 * Small shares round, so weights that explain every route (those remembered, else those of the largest share) are preferred to
 * what one route says; when none do, each slot has the highest that any route gives it, and the two need not sum to 100.
 */
export function weightsInForce(targets: Target[], remembered: Weights | undefined): Weights | undefined {
  const readings = targets.flatMap(readingsOf);
  if (readings.length === 0) return undefined;
  if (remembered && explains(remembered, readings)) return remembered;
  const used = readings.filter(({ live }) => live.blue + live.green > 0).sort((a, b) => b.share - a.share);
  const [largest] = used;
  if (!largest) return undefined;
  const candidate = percent(largest);
  if (isPartition(candidate) && explains(candidate, readings)) return candidate;
  return together(used.map(percent));
}
