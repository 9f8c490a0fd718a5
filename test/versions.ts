/** How the pods of a revision behave in simulated worlds. */
export interface Version {
  /** Milliseconds until a pod is ready; undefined: never. */
  startup?: number;
  /** Share of its requests that fail, percent. */
  errors: number;
  /** p99, milliseconds. */
  latency: number;
}

/** Good ones, one with errors, one that is slow, one that never starts, and one that starts late. */
export const VERSIONS: Record<string, Version> = {
  a1: { startup: 2_000, errors: 0, latency: 20 },
  b2: { startup: 2_000, errors: 0, latency: 20 },
  c3: { startup: 500, errors: 0, latency: 30 },
  d4: { startup: 1_000, errors: 7, latency: 20 },
  e5: { startup: 1_000, errors: 0, latency: 900 },
  f6: { errors: 0, latency: 20 },
  g7: { startup: 45_000, errors: 0, latency: 20 },
};
