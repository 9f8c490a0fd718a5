/** Polls until `check` gives a value that is neither false nor undefined. */
export async function until<T>(what: () => string, check: () => T | undefined | false, timeoutMs = 100_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = check();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
