import type { Version } from './cluster.js';

/** What happens to one write of a controller. */
export const FAULTS = ['error', 'unavailable', 'conflict', 'lostAnswer', 'slow', 'killBefore', 'killAfter', 'pauseBefore', 'pauseAfter'] as const;
export type Fault = (typeof FAULTS)[number];

export type MetricsState = 'up' | 'down' | 'nan' | 'empty';

/** What one world is like, before anything happens in it. */
export interface Setting {
  seed: number;
  /** Two controllers and a Lease, or one controller. */
  election: boolean;
  /** The user's own VirtualService, or a generated one. */
  ownRoutes: boolean;
  tool: 'sluice' | 'kubectl';
  webhooks: boolean;
  replicas: number;
  /** How late a proxy may be, in milliseconds; less than `drainFor`. */
  proxyLag: number;
  /** How late an event of a watch may be. */
  watchLag: number;
  /** Faults of the controllers' writes, by their number. */
  faults: [number, Fault][];
}

export const VERSIONS: Record<string, Version> = {
  a1: { startup: 2_000, errors: 0, latency: 20 },
  b2: { startup: 2_000, errors: 0, latency: 20 },
  c3: { startup: 500, errors: 0, latency: 30 },
  d4: { startup: 1_000, errors: 7, latency: 20 },
  e5: { startup: 1_000, errors: 0, latency: 900 },
  f6: { errors: 0, latency: 20 },
  g7: { startup: 45_000, errors: 0, latency: 20 },
};
export const INTERVAL_MS = 10_000;
export const DRAIN_MS = 10_000;
export const DEADLINE_S = 60;
