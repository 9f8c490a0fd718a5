import type { Labels } from '../labels.js';

/** One element of an instant vector. */
export interface Sample {
  labels: Labels;
  v: number;
}

export type Value = { type: 'scalar'; v: number } | { type: 'string'; v: string } | { type: 'vector'; samples: Sample[] };

/** One series of a range vector; times in milliseconds. */
export interface RangeSeries {
  labels: Labels;
  times: number[];
  values: number[];
}
