import type { VerdictSpec, VerdictStream } from '../../api/index.js';
import { grouped } from '../text.js';
import { regression } from './e-process.js';
import { differenceInterval } from './interval.js';
import type { VerdictOptions } from './options.js';

/** Evidence that a revert in Git asks for: false ones, of the runs of good versions. */
export const WRITE_BACK_ALPHA = 0.001;

/** What all the evidence of a run says. */
export interface Outcome {
  /** The stream that shows a regression most clearly, if one does. */
  worse?: VerdictStream;
  /** Every metric shows that the canary is not worse by half a point, since the step began. */
  healthy: boolean;
  /** Log evidence beyond what an `alpha` of 1 would ask of the worst stream: at least ln(1/alpha) when a regression is found. */
  strength: number;
}

export const optionsOf = (spec: VerdictSpec): VerdictOptions => ({ alpha: spec.alpha, maxRegression: spec.maxRegression, ...(spec.fast ? { beta: spec.beta } : {}) });

/** Log evidence of one stream beyond what an `alpha` of 1 would ask of it. All metrics share alpha in equal parts; the bounds of one metric share its part. */
export function strengthOf(stream: VerdictStream, streams: readonly VerdictStream[], metrics: number): number {
  const siblings = streams.filter(({ metric }) => metric === stream.metric).length;
  return regression(stream) - Math.log(Math.max(1, metrics) * Math.max(1, siblings));
}

/** @param metrics how many metrics share alpha, those without evidence so far included */
export function outcomeOf(streams: readonly VerdictStream[], metrics: number, options: VerdictOptions): Outcome {
  let strength = Number.NEGATIVE_INFINITY;
  let worst: VerdictStream | undefined;
  for (const stream of streams) {
    const value = strengthOf(stream, streams, metrics);
    if (value > strength) [strength, worst] = [value, stream];
  }
  const enough = options.beta === undefined ? Number.POSITIVE_INFINITY : Math.log(1 / options.beta);
  return {
    strength,
    ...(worst && strength >= Math.log(1 / options.alpha) ? { worse: worst } : {}),
    healthy: isHealthy(streams, metrics, enough),
  };
}

/** Of a metric with several bounds, the largest one counts: half a point of what every other request is would take days to see. */
function isHealthy(streams: readonly VerdictStream[], metrics: number, enough: number): boolean {
  const telling = new Map(streams.toSorted((a, b) => (a.bound ?? 0) - (b.bound ?? 0)).map((stream) => [stream.metric, stream]));
  return telling.size > 0 && telling.size >= metrics && [...telling.values()].every(({ health }) => health >= enough);
}

const LABELS: Record<string, string> = { 'request-success-rate': 'failed requests', 'request-duration': 'slow requests' };

const number = (value: number): string => Number(value.toPrecision(3)).toString();
const rate = ({ bad, total }: { bad: number; total: number }): string => `${number((100 * bad) / Math.max(1, total))} % of ${grouped(total)}`;

/** `failed requests: canary 5.1 % of 412, stable 0.1 % of 3,708, a difference of 1.9 to 8.3 points`. */
export function streamWords(stream: VerdictStream): string {
  const label = LABELS[stream.metric] ?? `bad requests by ${stream.metric}`;
  const bound = stream.bound === undefined ? '' : ` (over ${number(stream.bound)} ms)`;
  const interval = differenceInterval(stream);
  const points = interval ? `, a difference of ${number(interval.low)} to ${number(interval.high)} points` : '';
  return `${label}${bound}: canary ${rate(stream.canary)}, stable ${rate(stream.stable)}${points}`;
}

/** `1 in 340`: how seldom evidence this strong comes from a version that is not worse. */
export const odds = (strength: number): string => `1 in ${grouped(Math.min(1e9, Math.exp(strength)))}`;
