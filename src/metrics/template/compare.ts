import type { MetricTemplateSpec } from '../../api/index.js';
import type { Compared } from '../../core/evidence.js';

/** A number of one side, and the requests that it was computed from, where they are known. */
export interface SideValue {
  value: number;
  samples?: number;
}

/**
 * The canary's number against that of the stable version. A ratio to 0 is infinite, and above every bound, unless both are 0: then the
 * two are equal, and the ratio is 1.
 */
export function compared(canary: SideValue, stable: SideValue, as: NonNullable<MetricTemplateSpec['compareAs']>): { value: number; samples?: number; compared: Compared } | { problem: string } {
  // Minutes with hardly any requests to either version tell nothing.
  const samples = canary.samples === undefined || stable.samples === undefined ? {} : { samples: Math.min(canary.samples, stable.samples) };
  const both: Compared = { as, canary: canary.value, stable: stable.value };
  if (as === 'difference') return { value: canary.value - stable.value, ...samples, compared: both };
  if (canary.value < 0 || stable.value < 0) return { problem: `the canary has ${canary.value} and the stable version ${stable.value}, and a ratio of negative numbers means nothing; use compareAs: difference` };
  const value = canary.value === stable.value ? 1 : canary.value / stable.value;
  return { value, ...samples, compared: both };
}
