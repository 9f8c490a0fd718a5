import type { Reason } from '../api/index.js';

/** Nothing is wrong: the world is not ready for this effect yet. The reconcile is tried again soon, without a word. */
export class Waiting extends Error {}

/** Only a person can mend it; shown as the condition `Stalled` with this reason. */
export class Terminal extends Error {
  constructor(
    readonly reason: Reason,
    message: string,
  ) {
    super(message);
  }
}
