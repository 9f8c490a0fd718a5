const POLL_MS = 15;

/**
 * Polls until `probe` gives a value that is neither false nor undefined.
 * @throws Error with what `inVain` says when it gives none for `timeoutMs`.
 */
export async function until<T>(
  inVain: () => string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs: number,
  pollMs = POLL_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain: ${inVain()}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
