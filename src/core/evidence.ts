import type { Reason, SlotName } from '../api/index.js';
import type { StepExtras } from './plan.js';

/** Share of the traffic per slot, in percent. The two always sum to 100. */
export type Weights = Record<SlotName, number>;

/** A cookie that ties a user to a version, and what a browser is told of it. */
export interface AffinityCookie {
  name: string;
  value: string;
  /** `Max-Age=86400; Path=/`. */
  attributes: string;
}

/** What the routes do for the canary beside the weights. Its answers, and the requests that the canary itself sends, belong to `slot`. */
export interface RouteExtras extends StepExtras {
  slot: SlotName;
  affinity?: { canary: AffinityCookie; stable?: AffinityCookie };
}

/** What a person must fix. */
export interface Problem {
  reason: Reason;
  /** Names the object, the field, what was expected and the next step. */
  message: string;
}

/** What the called pods' own proxies counted of the requests that other proxies sent: each try of one that was repeated. */
export interface Tries {
  value: number;
  samples: number;
  query: string;
}

/** Both sides of a value that compares the canary with the stable version. */
export interface Compared {
  as: 'ratio' | 'difference';
  canary: number;
  stable: number;
}

/** `NoData`: asked, and there is none (empty, NaN). `Error`: could not be asked or the answer cannot be used. */
export type Measurement =
  | { kind: 'Value'; value: number; samples?: number; query: string; from: number; to: number; /** Where it was counted. */ tries?: Tries; /** Of a ratio or a difference: what it was made of. */ compared?: Compared }
  | { kind: 'NoData'; query: string; message: string; /** What the question started has not ended: there will be an answer. */ pending?: boolean }
  | { kind: 'Error'; query: string; message: string; /** The query itself is wrong: only a person can mend it. */ permanent: boolean };

/**
 * Requests to one version in one window. `bad[i]` are those of them that are bad by the i-th bound: for errors there is one bound
 * and they failed; for latency they took longer than `bounds[i]` milliseconds.
 */
export interface SideCounts {
  total: number;
  bad: number[];
}

/** What both versions were asked in one window of the grid, (to − gridMs, to], unix milliseconds. A version that nobody asked has zeros. */
export interface WindowCounts {
  to: number;
  stable: SideCounts;
  canary: SideCounts;
}

/** Counts of both versions over the same windows, ascending and without gaps; as far as they are complete. */
export type Windows =
  | { kind: 'Windows'; gridMs: number; /** Of latency: upper bounds of the histogram's buckets, milliseconds, ascending. One entry, 0, for all else. */ bounds: number[]; windows: WindowCounts[]; query: string }
  | Exclude<Measurement, { kind: 'Value' }>;

/** What a webhook said. */
export interface HookAnswer {
  ok: boolean;
  /** Status and the first bytes of the body, or what went wrong. */
  message: string;
}
