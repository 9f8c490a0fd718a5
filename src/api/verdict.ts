import { z } from 'zod';
import { instant } from './common.js';

/** How far a canary may be worse than the stable version. Both have to be exceeded. */
const maxRegression = z.object({
  ratio: z.number().min(1).max(100).default(1.5).describe("Bad requests per request, as a multiple of the stable version's."),
  difference: z.number().min(0).max(100).default(0.1).describe("Bad requests per request above the stable version's, in percentage points."),
});

/** `analysis.verdict`: the canary is compared with the stable version over the same minutes. */
export const verdictSpec = z.object({
  method: z.enum(['sequential']).default('sequential').describe('An always-valid sequential test: it may look at every evaluation and still be wrong no more often than `alpha`.'),
  alpha: z.number().min(0.0001).max(0.2).default(0.01).describe('Highest probability that a version which is not worse than `maxRegression` is taken back, over the whole run and all metrics. A revert in Git asks for 0.001.'),
  maxRegression: maxRegression
    .default({ ratio: 1.5, difference: 0.1 })
    .describe('A canary is taken back when it is worse than this, both as a ratio and as a difference.'),
  minSamples: z.int().min(1).max(1_000_000).default(50).describe('Requests that the canary must have had before a step is left; the step waits for them.'),
  fast: z.boolean().optional().describe('Leave a step early once it is shown that the canary is not worse by half a percentage point.'),
  beta: z.number().min(0.0001).max(0.2).default(0.05).describe('With `fast`: highest probability that a version which is worse by half a percentage point or more gets through early.'),
});
export type VerdictSpec = z.infer<typeof verdictSpec>;

const side = z.object({ total: z.number().describe('Requests.'), bad: z.number().describe('Bad ones of them.') });
const logs = () => z.array(z.number()).max(8);

/** What is known of one kind of bad request. Logarithms are natural; `docs/verdicts.md` tells what they are. */
export const verdictStream = z.object({
  metric: z.string().max(63),
  bound: z.number().optional().describe('Of latency: requests that took longer than this many milliseconds are bad.'),
  given: z.number().optional().describe('Of latency: `thresholdRange.max` as it was when `bound` was chosen by it.'),
  until: instant().describe('Everything up to this instant is counted.'),
  canary: side.describe('What the canary was asked in the windows that are compared.'),
  stable: side.describe('What the stable version was asked in the same windows.'),
  low: z.number().optional().describe('Canary minus stable, in percentage points: no less than this.'),
  high: z.number().optional().describe('Canary minus stable, in percentage points: no more than this.'),
  ratio: logs().describe('Log likelihood ratios against "not worse than the allowed ratio".'),
  difference: logs().describe('Log likelihood ratios against "not worse than the allowed difference".'),
  health: z.number().describe('Log likelihood ratio for "as good as stable", since the step began.'),
  dispersion: z.object({ windows: z.int(), bad: z.number(), total: z.number(), squares: z.number() }).describe('How the errors of the stable version cluster.'),
});
export type VerdictStream = z.infer<typeof verdictStream>;

/** `status.verdict`: the evidence of the run, as far as it is stored. */
export const verdictStatus = z.object({
  run: z.string().max(64).describe('The run that it is of.'),
  step: z.string().max(64).optional().describe('The step that `health` is of.'),
  next: instant().describe('When more evidence is looked at.'),
  against: z.object({ ratio: z.number(), difference: z.number() }).optional().describe('`maxRegression` that the evidence is against; with another one, evidence begins anew.'),
  streams: z.array(verdictStream).max(24).describe('What is known so far: one entry per metric, or per metric and bound.'),
  missing: z.int().optional().describe('Requests of the canary that are still missing before its step may be left.'),
  error: z.string().max(400).optional().describe('Why the last evaluation could not be made.'),
});
export type VerdictStatus = z.infer<typeof verdictStatus>;
