import { verdictSpec, type VerdictSpec } from '../../src/api/index.js';
import { playThreshold, playVerdict, WARMUP_SECONDS, type Release } from './play.js';
import { Draws } from '../../src/simulate/random.js';
import { NOISES, type Noise, type Traffic } from './traffic.js';

/** One line of the table. Rates and shares are fractions; `bad` and `seconds` are means over the runs. */
export interface Row {
  kind: 'healthy' | 'warm-up' | 'lasting' | 'regression' | 'latency' | 'fast';
  rps: number;
  stable: number;
  canary: number;
  /** A {@link Noise}, and what else the row is about. */
  noise: string;
  scrapeSeconds: number;
  runs: number;
  /** Of `fast`: taken back, not promoted. */
  rolledBack: number;
  /** Bad requests that the canary answered until the end. */
  bad: number;
  /** From the first weight to the end; of `latency`, from the end of the warm-up to the end. */
  seconds: number;
  /** Of `latency`: share of the runs that ended within 20 s of the warm-up's end. */
  within20?: number;
  /** Of `fast`: share of the runs that were promoted, and had a step end early. */
  promotedEarly?: number;
  rolledBackThreshold: number;
  badThreshold: number;
  /** Highest share of `rolledBack`, and what else is promised; undefined: it is measured only. */
  promise?: { rolledBack?: number; caught?: true; bad?: number; seconds?: number; promotedEarly?: number };
}

interface Case extends Omit<Row, 'noise' | 'runs' | 'rolledBack' | 'bad' | 'seconds' | 'within20' | 'promotedEarly' | 'rolledBackThreshold' | 'badThreshold'> {
  noise: Noise;
  /** What tells the row from others of the same rates. */
  variant?: string;
  rate?: Traffic['canary'];
  latency?: boolean;
  verdict?: Partial<VerdictSpec>;
  metrics?: number;
}

const SCRAPE = 5;
const RPS = [1, 10, 100];
const RATES = [0.001, 0.005];

const healthy = (): Case[] =>
  RPS.flatMap((rps) => RATES.flatMap((rate) => NOISES.map((noise): Case => ({ kind: 'healthy', rps, stable: rate, canary: rate, noise, scrapeSeconds: SCRAPE, promise: { rolledBack: 0.01 } }))));

/** Share of the requests that are slow whatever the version, as with a p99 that is the bound. */
const SLOW = 0.01;
/** Extra slow requests that are gone after so long: by then, 95 % of them are. */
const decaying = (extra: number, seconds: number) => (at: number): number => SLOW + extra * Math.exp((-3 * Math.max(0, at)) / seconds);
const linear = (extra: number, seconds: number) => (at: number): number => SLOW + extra * Math.max(0, 1 - Math.max(0, at) / seconds);

const warmUp = (): Case[] =>
  RPS.flatMap((rps) =>
    (
      [
        ['5 % over 60 s', decaying(0.05, 60)],
        ['5 % over 60 s, linear', linear(0.05, 60)],
        ['10 % over 30 s', decaying(0.1, 30)],
        ['10 % over 30 s, linear', linear(0.1, 30)],
      ] as const
    ).map(([variant, rate]): Case => ({ kind: 'warm-up', rps, stable: SLOW, canary: SLOW, noise: 'none', variant: `slow, ${variant}`, scrapeSeconds: SCRAPE, rate, latency: true, promise: { rolledBack: 0.01 } })),
  );

/** One-sided effects that stay: better hardware, a cold cache that never fills, a slow decay. Nothing is promised of them. */
const lasting = (): Case[] =>
  [1.2, 1.5, 2, 3].flatMap((times): Case[] => [10, 100].map((rps) => ({ kind: 'lasting', rps, stable: 0.005, canary: 0.005 * times, noise: 'none', scrapeSeconds: SCRAPE })));

const slowDecay = (): Case => ({ kind: 'lasting', rps: 100, stable: SLOW, canary: SLOW, noise: 'none', variant: 'slow, 5 % over 180 s', scrapeSeconds: SCRAPE, rate: decaying(0.05, 180), latency: true });

const scraped = (seconds: number): { variant?: string } => (seconds === SCRAPE ? {} : { variant: `scraped every ${seconds} s` });
const regressions = (): Case[] =>
  [
    [100, 0.05, 8],
    [10, 0.05, 6],
    [100, 0.02, 8],
  ].flatMap(([rps = 0, canary = 0, bad = 0]) =>
    [5, 15, 30].map((scrapeSeconds): Case => ({ kind: 'regression', rps, stable: 0.001, canary, noise: 'none', ...scraped(scrapeSeconds), scrapeSeconds, promise: { caught: true, ...(scrapeSeconds <= 5 ? { bad } : {}) } })),
  );

/** The same where latency is judged as well, and so has half of alpha. */
const shared = (): Case[] => regressions().flatMap(({ promise, ...rest }) => (rest.scrapeSeconds === SCRAPE && promise ? [{ ...rest, variant: 'two metrics', metrics: 2, promise }] : []));

/** Log-normal latencies with a median of 100 ms and a p99 of 400 ms; the canary's are twice as long. The bucket of 500 ms tells. */
const SPREAD = Math.log(4) / 2.3263;
const slowerThan = (bound: number, median: number): number => normalTail(Math.log(bound / median) / SPREAD);
const latency = (): Case[] =>
  [5, 15, 30].map((scrapeSeconds) => ({
    kind: 'latency',
    rps: 100,
    stable: slowerThan(500, 100),
    canary: slowerThan(500, 200),
    noise: 'none',
    variant: `p99 400 to 800 ms${scrapeSeconds === SCRAPE ? '' : `, scraped every ${scrapeSeconds} s`}`,
    scrapeSeconds,
    latency: true,
    promise: { caught: true, ...(scrapeSeconds <= 5 ? { seconds: 20 } : {}) },
  }));

/** What gets through although it is worse by what `fast` rules out, and how long a good version takes. */
const fast = (): Case[] =>
  RPS.slice(1).flatMap((rps) =>
    NOISES.flatMap((noise): Case[] => [
      { kind: 'fast', rps, stable: 0.001, canary: 0.006, noise, variant: 'fast', scrapeSeconds: SCRAPE, verdict: { fast: true }, promise: { promotedEarly: 0.05 } },
      { kind: 'fast', rps, stable: 0.001, canary: 0.001, noise, variant: 'fast', scrapeSeconds: SCRAPE, verdict: { fast: true }, promise: { rolledBack: 0.01 } },
    ]),
  );

/** Upper tail of the normal distribution (Abramowitz and Stegun, 7.1.26; error below 2e-7). */
function normalTail(z: number): number {
  const t = 1 / (1 + (0.3275911 * z) / Math.SQRT2);
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return (series * Math.exp((-z * z) / 2)) / 2;
}

/** Every row of the table. */
export const CASES: Case[] = [...healthy(), ...warmUp(), ...lasting(), slowDecay(), ...regressions(), ...shared(), ...latency(), ...fast()];

/** Play one case. The same seed gives the same row. */
export function measure(item: Case, runs: number, seed: number): Row {
  const { rate, latency: slow, verdict, metrics, noise, variant, ...row } = item;
  const traffic: Traffic = { rps: row.rps, stable: row.stable, canary: rate ?? (() => row.canary), noise };
  const release: Release = { traffic, verdict: { ...verdictSpec.parse({}), ...verdict }, scrapeSeconds: row.scrapeSeconds, ...(slow ? { latency: true } : {}), ...(metrics ? { metrics } : {}) };
  const total = { rolledBack: 0, bad: 0, seconds: 0, within20: 0, early: 0, rolledBackThreshold: 0, badThreshold: 0 };
  const draws = Draws.seeded(seed, 0);
  for (let run = 0; run < runs; run += 1) {
    const played = playVerdict(draws, release);
    const after = slow && row.kind === 'latency' ? played.seconds - WARMUP_SECONDS : played.seconds;
    total.rolledBack += played.rolledBack ? 1 : 0;
    total.bad += played.bad;
    total.seconds += after;
    total.within20 += played.rolledBack && after <= 20 ? 1 : 0;
    total.early += played.early ? 1 : 0;
    const rule = playThreshold(draws, release);
    total.rolledBackThreshold += rule.rolledBack ? 1 : 0;
    total.badThreshold += rule.bad;
  }
  const mean = (sum: number): number => Number((sum / runs).toPrecision(4));
  return {
    ...row,
    noise: variant === undefined ? noise : `${noise}, ${variant}`,
    runs,
    rolledBack: total.rolledBack / runs,
    bad: mean(total.bad),
    seconds: mean(total.seconds),
    ...(row.kind === 'latency' ? { within20: total.within20 / runs } : {}),
    ...(row.kind === 'fast' ? { promotedEarly: total.early / runs } : {}),
    rolledBackThreshold: total.rolledBackThreshold / runs,
    badThreshold: mean(total.badThreshold),
  };
}

/** What a row has to keep and does not; empty when it keeps all. */
export function broken({ promise, rolledBack, bad, seconds, promotedEarly = 0 }: Row): string[] {
  if (!promise) return [];
  return [
    ...(promise.rolledBack !== undefined && rolledBack > promise.rolledBack ? [`${(100 * rolledBack).toFixed(2)} % rolled back, at most ${100 * promise.rolledBack} % may be`] : []),
    ...(promise.caught && rolledBack < 1 ? [`${(100 * (1 - rolledBack)).toFixed(2)} % were not caught`] : []),
    ...(promise.bad !== undefined && bad > promise.bad ? [`${bad} bad requests, at most ${promise.bad} may be`] : []),
    ...(promise.seconds !== undefined && seconds > promise.seconds ? [`${seconds} s, at most ${promise.seconds} s it may take`] : []),
    ...(promise.promotedEarly !== undefined && promotedEarly > promise.promotedEarly ? [`${(100 * promotedEarly).toFixed(2)} % got through early, at most ${100 * promise.promotedEarly} % may`] : []),
  ];
}
