import type { Sample } from '../prometheus/client.js';
import type { RenderAnswer } from './schema.js';

/** The newest value of each series; NaN where all of its points are null. */
export const graphiteSamples = (answer: RenderAnswer): Sample[] =>
  answer.map(({ target, datapoints }) => ({ labels: { target }, value: datapoints.findLast(([value]) => value !== null)?.[0] ?? Number.NaN }));
