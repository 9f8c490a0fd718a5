import { createHash } from 'node:crypto';

/** Something that is good until a moment, unix milliseconds. */
export interface Lent<T> {
  value: T;
  expiresAt: number;
}

/** A token that is as near to its end as this is not used any more, milliseconds. */
const MARGIN_MS = 60_000;
const KEPT = 200;

/** Keeps what was exchanged for credentials until shortly before it expires. Failures are not kept. */
export class Tokens<T> {
  readonly #kept = new Map<string, Promise<Lent<T>>>();

  /** @param now unix milliseconds */
  constructor(private readonly now: () => number) {}

  /**
   * @param identity all that the token depends on; only a digest of it is kept
   * @throws whatever `exchange` throws
   */
  async get(identity: readonly string[], exchange: () => Promise<Lent<T>>): Promise<T> {
    const key = createHash('sha256').update(JSON.stringify(identity)).digest('base64');
    const held = this.#kept.get(key);
    if (held) {
      const lent = await held.catch(() => undefined);
      if (lent && lent.expiresAt - MARGIN_MS > this.now()) return lent.value;
      if (this.#kept.get(key) === held) this.#kept.delete(key);
    }
    return (await this.#exchanged(key, exchange)).value;
  }

  /** One exchange for all that ask at the same time. */
  #exchanged(key: string, exchange: () => Promise<Lent<T>>): Promise<Lent<T>> {
    const running = this.#kept.get(key);
    if (running) return running;
    const started = exchange();
    this.#kept.set(key, started);
    started.catch(() => {
      if (this.#kept.get(key) === started) this.#kept.delete(key);
    });
    // Credentials that are asked with no more would stay otherwise.
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(oldest);
    }
    return started;
  }
}
