import { isLatency } from '../core/checks.js';
import type { Measurement, SideCounts, WindowCounts, Windows } from '../core/evidence.js';
import type { Needs, WindowsNeed } from '../core/observation.js';
import type { StepExtras } from '../core/plan.js';
import { completeEnds } from '../metrics/grid.js';
import { measured, measuredEnds, windowsOf } from './counts.js';
import { DURATION_BUCKETS_MS, slowerThan } from './latency.js';
import type { Draws } from './random.js';

/** Length of the windows that evidence is collected in, milliseconds; the default of the controller. */
export const GRID_MS = 5_000;

/** How one version answers. */
export interface Behaviour {
  /** Failed requests per request. */
  errorRate: number;
  /** 99th percentile of the latency, milliseconds. */
  p99: number;
}

/** What is declared of the traffic and of both versions. */
export interface Declared {
  /** Requests per second to both versions together. */
  rps: number;
  stable: Behaviour;
  canary: Behaviour;
  /** Share of the requests for which the `match` of a step holds. */
  matching: number;
  /** How many requests fail together, on average; 1: each by itself. */
  clusters: number;
}

/** Where the requests go, from an instant on. */
interface Split {
  from: number;
  /** Requests per second that each gets. */
  canary: number;
  stable: number;
  control: number;
  /** Copies to the canary, whose answers nobody gets. */
  copies: number;
}

/** Requests of one kind in one window; `slow[i]` took longer than the i-th bucket's bound. */
interface Drawn {
  total: number;
  failed: number;
  slow: number[];
}
type Party = 'canary' | 'stable' | 'control' | 'copies';
const PARTIES: readonly Party[] = ['canary', 'stable', 'control', 'copies'];
type Cell = Record<Party, Drawn>;

/** What the canary's callers got. */
export interface Served {
  requests: number;
  failed: number;
  /** Took longer than the bound that was asked about. */
  slow: number;
}

/** Requests as they would be counted: drawn window by window, as soon as a window has passed. */
export class SimulatedTraffic {
  readonly #splits: Split[] = [];
  readonly #cells = new Map<number, Cell>();
  readonly #slow: Record<'canary' | 'stable', number[]>;

  /** @param latency whether anybody asks how long requests take */
  constructor(
    private readonly declared: Declared,
    private readonly draws: Draws,
    private readonly latency: boolean,
  ) {
    this.#slow = { canary: slowerThan(declared.canary.p99), stable: slowerThan(declared.stable.p99) };
    this.#splits.push({ from: Number.NEGATIVE_INFINITY, canary: 0, stable: declared.rps, control: 0, copies: 0 });
  }

  /** From `at` on the canary has this weight in percent, and the routes do this beside it. */
  route(at: number, weight: number, { match, mirror }: StepExtras): void {
    const { rps, matching } = this.declared;
    const matched = match ? rps * matching : 0;
    const canary = (matched * (match?.weight ?? 0)) / 100 + ((rps - matched) * weight) / 100;
    const control = match?.control ? (matched * (100 - match.weight)) / 100 : 0;
    this.#splits.push({ from: at, canary, control, stable: rps - canary - control, copies: (rps * (mirror ?? 0)) / 100 });
  }

  windows({ metric, of, from, to, reporter, control }: WindowsNeed, now: number): Windows {
    const ends = completeEnds(from, to, GRID_MS, now);
    const stable = of === 'run' && control ? 'control' : 'stable';
    return windowsOf(metric, this.#counted(metric, ends, reporter, stable), boundsOf(metric), GRID_MS);
  }

  measure({ metric, from, to, reporter }: Needs['metrics'][number], now: number): Measurement {
    const ends = measuredEnds(from, to, GRID_MS, now);
    return measured(metric, this.#counted(metric, ends, reporter, 'stable'), boundsOf(metric), GRID_MS);
  }

  /**
   * What the canary answered its callers in the windows that end from `from` to `to`.
   * @param bound milliseconds above which an answer is slow
   */
  served(from: number, to: number, bound: number): Served {
    const index = DURATION_BUCKETS_MS.findIndex((one) => one >= bound);
    const sum: Served = { requests: 0, failed: 0, slow: 0 };
    for (let end = Math.ceil(from / GRID_MS) * GRID_MS; end <= to; end += GRID_MS) {
      const { canary } = this.#cell(end);
      sum.requests += canary.total;
      sum.failed += canary.failed;
      sum.slow += canary.slow[index] ?? 0;
    }
    return sum;
  }

  #counted(metric: string, ends: readonly number[], reporter: string | undefined, stable: Party): WindowCounts[] {
    return ends.map((to) => {
      const cell = this.#cell(to);
      const canary = sideOf(metric, cell.canary);
      return { to, stable: sideOf(metric, cell[stable]), canary: reporter === 'destination' ? both(canary, sideOf(metric, cell.copies)) : canary };
    });
  }

  #cell(end: number): Cell {
    let cell = this.#cells.get(end);
    if (!cell) this.#cells.set(end, (cell = this.#draw(end)));
    return cell;
  }

  #draw(end: number): Cell {
    const means: Record<Party, number> = { canary: 0, stable: 0, control: 0, copies: 0 };
    for (const [index, split] of this.#splits.entries()) {
      const until = Math.min(end, this.#splits[index + 1]?.from ?? Number.POSITIVE_INFINITY);
      const seconds = (until - Math.max(end - GRID_MS, split.from)) / 1000;
      if (seconds > 0) for (const party of PARTIES) means[party] += split[party] * seconds;
    }
    const drawn = (party: Party, version: 'canary' | 'stable'): Drawn => this.#requests(means[party], version);
    return { canary: drawn('canary', 'canary'), stable: drawn('stable', 'stable'), control: drawn('control', 'stable'), copies: drawn('copies', 'canary') };
  }

  #requests(mean: number, version: 'canary' | 'stable'): Drawn {
    const total = this.draws.poisson(mean);
    const failed = this.#failed(total, this.declared[version].errorRate);
    return { total, failed, slow: this.latency ? this.#slowOf(total, this.#slow[version]) : [] };
  }

  #failed(total: number, rate: number): number {
    const { clusters } = this.declared;
    if (clusters <= 1) return this.draws.binomial(total, rate);
    let sum = 0;
    for (let left = this.draws.poisson((total * rate) / clusters); left > 0; left -= 1) sum += this.draws.geometric(clusters);
    return Math.min(total, sum);
  }

  /** Of those slower than one bound, so many are slower than the next. */
  #slowOf(total: number, shares: readonly number[]): number[] {
    let [left, before] = [total, 1];
    return shares.map((share) => {
      left = this.draws.binomial(left, before > 0 ? share / before : 0);
      before = share;
      return left;
    });
  }
}

const boundsOf = (metric: string): number[] => (isLatency(metric) ? DURATION_BUCKETS_MS : [0]);
const sideOf = (metric: string, { total, failed, slow }: Drawn): SideCounts => ({ total, bad: isLatency(metric) ? slow : [failed] });
const both = (one: SideCounts, other: SideCounts): SideCounts => ({ total: one.total + other.total, bad: one.bad.map((count, index) => count + (other.bad[index] ?? 0)) });
