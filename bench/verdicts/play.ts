import type { VerdictSpec } from '../../src/api/index.js';
import type { WindowCounts } from '../../src/core/evidence.js';
import { optionsOf, outcomeOf } from '../../src/core/verdict/outcome.js';
import { foldBaseline, foldRun, newStream, shorten } from '../../src/core/verdict/streams.js';
import type { Draws } from '../../src/simulate/random.js';
import { windowOf, type Traffic } from './traffic.js';

/** Weights of the release that is played, percent, and how long each is held. */
export const WEIGHTS = [10, 20, 30, 40, 50];
const STEP_SECONDS = 60;
/** `progressDeadlineSeconds`: a step waits no longer for requests. */
const DEADLINE_SECONDS = 600;
/** The controller looks ten minutes back. */
const BASELINE_SECONDS = 600;
/** `warmup` of the Canary. */
export const WARMUP_SECONDS = 60;

export interface Release {
  traffic: Traffic;
  verdict: VerdictSpec;
  /** Time between two scrapes, which is the length of a window, and between two evaluations. */
  scrapeSeconds: number;
  /** What is slow rather than failed counts only after the warm-up. */
  latency?: boolean;
  /** Metrics that share alpha. */
  metrics?: number;
}

export interface Played {
  rolledBack: boolean;
  /** Requests of the canary that were bad, until it ended. */
  bad: number;
  /** From the first weight to the end. */
  seconds: number;
  /** It was promoted, and a step of it ended early. */
  early: boolean;
}

/** A release under the sequential verdict, by the controller's own code. */
export function playVerdict(draws: Draws, release: Release): Played {
  const { traffic, verdict, scrapeSeconds, latency, metrics = 1 } = release;
  const gridMs = scrapeSeconds * 1000;
  const options = optionsOf(verdict);
  let stream = newStream('request-success-rate', undefined, -BASELINE_SECONDS * 1000);
  const before: WindowCounts[] = [];
  for (let at = -BASELINE_SECONDS + scrapeSeconds; at <= 0; at += scrapeSeconds) before.push(windowOf(draws, traffic, 0, at, scrapeSeconds));
  foldBaseline(stream, { kind: 'Windows', gridMs, bounds: [0], windows: before, query: '' }, 0);
  let [bad, seconds, waited] = [0, 0, 0];
  let early = false;
  for (const weight of WEIGHTS) {
    const startedAt = seconds;
    stream.health = 0;
    for (const end = startedAt + STEP_SECONDS; seconds < end || stream.canary.total < verdict.minSamples; ) {
      seconds += scrapeSeconds;
      const window = windowOf(draws, traffic, weight, seconds, scrapeSeconds);
      bad += window.canary.bad[0] ?? 0;
      foldRun(stream, { kind: 'Windows', gridMs, bounds: [0], windows: [window], query: '' }, latency ? Math.max(startedAt, WARMUP_SECONDS) * 1000 : startedAt * 1000, options);
      stream = shorten(stream);
      const { worse, healthy } = outcomeOf([stream], metrics, options);
      if (worse) return { rolledBack: true, bad, seconds, early: false };
      if (verdict.fast && healthy && stream.canary.total >= verdict.minSamples) {
        early ||= seconds < end;
        break;
      }
      if (seconds >= end && (waited += scrapeSeconds) > DEADLINE_SECONDS) return { rolledBack: false, bad, seconds, early: false };
    }
  }
  return { rolledBack: false, bad, seconds, early };
}

/** The rule of Flagger that is compared with: each minute the success rate of that minute, five failures take the canary back. */
const RULE = { intervalSeconds: 60, threshold: 5, min: 99 };

/** The same release under that rule. A minute without requests is a failure, as Flagger has it. */
export function playThreshold(draws: Draws, { traffic }: Pick<Release, 'traffic'>): Played {
  let [bad, seconds, failed] = [0, 0, 0];
  for (let step = 0; step < WEIGHTS.length; ) {
    seconds += RULE.intervalSeconds;
    let [total, worse] = [0, 0];
    for (let at = seconds - RULE.intervalSeconds + 5; at <= seconds; at += 5) {
      const { canary } = windowOf(draws, traffic, WEIGHTS[step] ?? 0, at, 5);
      total += canary.total;
      worse += canary.bad[0] ?? 0;
    }
    bad += worse;
    if (total > 0 && (100 * (total - worse)) / total >= RULE.min) step += 1;
    else if ((failed += 1) >= RULE.threshold) return { rolledBack: true, bad, seconds, early: false };
  }
  return { rolledBack: false, bad, seconds, early: false };
}
