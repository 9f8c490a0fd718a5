/** Time as the stand-ins see it, so that tests can move it by hand. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `action` once after `ms` milliseconds; the result cancels it. */
  after(ms: number, action: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, action) {
    // Node fires timers beyond 2^31-1 ms at once; nothing here waits longer than a day anyway.
    const timer = setTimeout(action, Math.min(ms, 86_400_000));
    return () => clearTimeout(timer);
  },
};

/** `metav1.Time`: RFC 3339 with whole seconds, as the API server stores it. */
export const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
