import type { Reason, SlotName } from '../api/index.js';

/** Share of the traffic per slot, in percent. The two always sum to 100. */
export type Weights = Record<SlotName, number>;

/** What a person must fix. */
export interface Problem {
  reason: Reason;
  /** Names the object, the field, what was expected and the next step. */
  message: string;
}

/** `NoData`: asked, and there is none (empty, NaN). `Error`: could not be asked or the answer cannot be used. */
export type Measurement =
  | { kind: 'Value'; value: number; samples?: number; query: string; from: number; to: number }
  | { kind: 'NoData'; query: string; message: string }
  | { kind: 'Error'; query: string; message: string; /** The query itself is wrong: only a person can mend it. */ permanent: boolean };

/** What a webhook said. */
export interface HookAnswer {
  ok: boolean;
  /** Status and the first bytes of the body, or what went wrong. */
  message: string;
}
