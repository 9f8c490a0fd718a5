import type { CanarySpec } from '../api/index.js';
import { isBuiltIn, isLatency } from '../core/checks.js';
import type { Measurement } from '../core/evidence.js';
import { SHARE_METRIC } from '../core/share.js';
import { mean, spreadOf, type Spread } from './quantiles.js';
import { Draws } from './random.js';
import { PlayedRelease, playable, type Answer, type Ended, type Question } from './release.js';
import { GRID_MS, SimulatedTraffic, type Declared, type Served } from './traffic.js';

/** One release that was played. */
export interface Played extends Ended {
  served: Served;
}

/** What is likely to become of a release, from many that were played. */
export interface Odds {
  runs: number;
  promoted: number;
  /** Taken back. */
  rolledBack: number;
  /** Waits for somebody, after two weeks. */
  notEnded: number;
  /** How many runs ended for which reason. */
  reasons: Record<string, number>;
  /** Seconds until everything is where it belongs; of those promoted, and of those taken back. */
  promotedSeconds?: Spread | undefined;
  rolledBackSeconds?: Spread | undefined;
  /** Failed requests that the canary served per run. */
  badRequests: Spread;
  /** The mean of them, beyond what the stable version would have failed of the same requests. */
  beyondStable: number;
  /** Requests that the canary answered later than the bound of `request-duration`. */
  slowRequests: Spread;
  /** Requests that the canary served per run. */
  requests: Spread;
  /** How a run went that is like most of them, in the words of its message. */
  example: { result: string; reason: string; message: string; weights: number[] };
}

const isSimulated = (name: string): boolean => isBuiltIn(name) || name === SHARE_METRIC;

/** Metrics of the spec that cannot be simulated. */
export const unsimulated = ({ analysis }: CanarySpec): string[] => analysis.metrics.filter(({ name, templateRef }) => templateRef !== undefined || !isSimulated(name)).map(({ name }) => name);

/** Milliseconds above which `request-duration` is too slow; undefined when it is not bounded. */
export const latencyBound = ({ analysis }: CanarySpec): number | undefined => analysis.metrics.find(({ name }) => isLatency(name))?.thresholdRange?.max;

/** A value that passes whatever the spec asks for. */
function passing({ analysis }: CanarySpec, name: string, now: number): Measurement {
  const { min, max } = analysis.metrics.find((metric) => metric.name === name)?.thresholdRange ?? {};
  return { kind: 'Value', value: min ?? max ?? 0, query: name, from: now, to: now };
}

function answerFrom(spec: CanarySpec, traffic: SimulatedTraffic, { now, needs }: Question): Answer {
  const measure = (need: Question['needs']['metrics'][number]): Measurement => (isSimulated(need.metric) ? traffic.measure(need, now) : passing(spec, need.metric, now));
  return {
    measurements: needs.metrics.map((need) => ({ metric: need.metric, measurement: measure(need) })),
    windows: (needs.windows ?? []).map((need) => ({ metric: need.metric, of: need.of, windows: traffic.windows(need, now) })),
  };
}

/** When simulated releases begin, at any millisecond of a minute: how that lies to the grid of the windows is a matter of chance, too. */
const BEGIN = Date.UTC(2030, 0, 1);
const MINUTE_MS = 60_000;
/** Without a bound of its own, an answer is slow after this many milliseconds. */
const SLOW_MS = 1_000;

/** Plays one release. The same draws give the same release. */
export function playOnce(given: CanarySpec, declared: Declared, draws: Draws): Played {
  const spec = playable(given);
  const latency = spec.analysis.metrics.some(({ name }) => isLatency(name));
  const traffic = new SimulatedTraffic(declared, draws, latency);
  const begin = BEGIN + draws.below(MINUTE_MS);
  const release = new PlayedRelease(spec, begin, (at, weight, extras) => traffic.route(at, weight, extras));
  const playing = release.play();
  for (let turn = playing.next(); ; turn = playing.next(answerFrom(spec, traffic, turn.value))) {
    if (!turn.done) continue;
    const ended = turn.value;
    // What comes after the promotion is no longer a canary's; what was taken back has had the begin of its last window.
    const until = begin + ended.decidedAfter + (ended.result === 'Succeeded' ? 0 : GRID_MS);
    return { ...ended, served: traffic.served(begin, until, latencyBound(spec) ?? SLOW_MS) };
  }
}

/**
 * Plays as many releases as asked for.
 * @param seed the same seed plays the same releases
 * @param pause called after every release with their number: lets others have their turn
 */
export async function oddsOf(spec: CanarySpec, declared: Declared, runs: number, seed: number, pause: (done: number) => Promise<void> = async () => {}): Promise<Odds> {
  const played: Played[] = [];
  for (let run = 0; run < runs; run += 1) {
    played.push(playOnce(spec, declared, Draws.seeded(seed, run)));
    await pause(run + 1);
  }
  return summarise(played, declared.stable.errorRate);
}

const NOTHING: Spread = { p10: 0, p50: 0, p90: 0 };
const seconds = (runs: readonly Played[]): Spread | undefined => spreadOf(runs.map(({ endedAfter }) => endedAfter / 1000));

/** @param stableRate failed requests per request of the stable version */
export function summarise(played: readonly Played[], stableRate: number): Odds {
  const of = (result: string): Played[] => played.filter((run) => run.result === result);
  const [promoted, rolledBack, notEnded] = [of('Succeeded'), of('Failed'), of('NotEnded')];
  const reasons: Record<string, number> = {};
  for (const { reason } of played) reasons[reason] = (reasons[reason] ?? 0) + 1;
  const [most] = Object.entries(reasons).toSorted(([, a], [, b]) => b - a);
  const example = played.find(({ reason }) => reason === most?.[0]);
  const served = (pick: (served: Served) => number): Spread => spreadOf(played.map((run) => pick(run.served))) ?? NOTHING;
  return {
    runs: played.length,
    promoted: promoted.length,
    rolledBack: rolledBack.length,
    notEnded: notEnded.length,
    reasons,
    promotedSeconds: seconds(promoted),
    rolledBackSeconds: seconds(rolledBack),
    badRequests: served(({ failed }) => failed),
    beyondStable: mean(played.map(({ served: { failed, requests } }) => failed - requests * stableRate)),
    slowRequests: served(({ slow }) => slow),
    requests: served(({ requests }) => requests),
    example: { result: example?.result ?? '', reason: example?.reason ?? '', message: example?.message ?? '', weights: example?.weights ?? [] },
  };
}
