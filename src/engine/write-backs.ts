import type { Canary, CanaryStatus, WriteBack } from '../api/index.js';
import type { GitWriter, WriteBackOutcome } from './ports.js';

/** A repository that cannot be written to for this long does not get the verdict any more, in milliseconds. */
const GIVE_UP_MS = 24 * 3_600_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
const MAX_TEXT = 512;
/** Results of this many write-backs are kept until the status holds them; far more than are ever under way. */
const MAX_RESULTS = 10_000;

export interface WriteBacksOptions {
  writer: GitWriter;
  now: () => number;
  /** The Canary has news to store. */
  onDone: (key: string, at: number) => void;
  onResult: (canary: Canary, request: WriteBack, outcome: WriteBackOutcome) => void;
  onFailure: (canary: Canary, request: WriteBack, message: string) => void;
}

interface Attempt {
  tries: number;
  nextAt: number;
  underWay: boolean;
}

const idOf = (canary: Pick<Canary, 'metadata'>, { kind, run }: WriteBack): string => `${canary.metadata.uid ?? ''}/${run}/${kind}`;

/**
 * Carries out what a stored status says is pending for Git. The outcome is laid over the status at the next tick; after a crash
 * between the push and that, the same request is made again, and the writer finds what was pushed.
 */
export class WriteBacks {
  readonly #results = new Map<string, WriteBackOutcome>();
  readonly #attempts = new Map<string, Attempt>();

  constructor(private readonly options: WriteBacksOptions) {}

  /** The status with the outcomes that it does not hold yet. */
  withOutcomes(canary: Pick<Canary, 'metadata'>, status: CanaryStatus): CanaryStatus {
    if (!status.writeBacks?.length || this.#results.size === 0) return status;
    const writeBacks = status.writeBacks.map((item): WriteBack => {
      const outcome = item.state === 'Pending' ? this.#results.get(idOf(canary, item)) : undefined;
      return outcome ? { ...item, ...outcome, message: outcome.message.slice(0, MAX_TEXT) } : item;
    });
    return { ...status, writeBacks };
  }

  /** Start what is due; returns when to look again (unix milliseconds). */
  carryOut(key: string, canary: Canary): number | undefined {
    let wakeAt: number | undefined;
    for (const request of canary.status?.writeBacks ?? []) {
      const id = idOf(canary, request);
      if (request.state !== 'Pending' || this.#results.has(id)) continue;
      const attempt = this.#attempts.get(id) ?? { tries: 0, nextAt: 0, underWay: false };
      this.#attempts.set(id, attempt);
      if (attempt.underWay) continue;
      if (attempt.nextAt > this.options.now()) wakeAt = Math.min(wakeAt ?? Infinity, attempt.nextAt);
      else void this.#try(key, canary, request, id, attempt);
    }
    return wakeAt;
  }

  async #try(key: string, canary: Canary, request: WriteBack, id: string, attempt: Attempt): Promise<void> {
    const { now } = this.options;
    attempt.underWay = true;
    try {
      this.#finish(canary, request, id, await this.options.writer.write(canary, request));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      attempt.tries += 1;
      attempt.nextAt = now() + Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt.tries - 1));
      if (now() - Date.parse(request.at) > GIVE_UP_MS) this.#finish(canary, request, id, { state: 'Skipped', message: `given up after a day: ${message}` });
      else this.options.onFailure(canary, request, message);
    } finally {
      attempt.underWay = false;
      this.options.onDone(key, attempt.nextAt > now() ? attempt.nextAt : now());
    }
  }

  #finish(canary: Canary, request: WriteBack, id: string, outcome: WriteBackOutcome): void {
    this.#attempts.delete(id);
    this.#results.set(id, outcome);
    if (this.#results.size > MAX_RESULTS) this.#results.delete(this.#results.keys().next().value ?? '');
    this.options.onResult(canary, request, outcome);
  }
}
