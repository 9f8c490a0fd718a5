
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
  /** `service.routing: subsets`; default is `services`. */
  subsets?: boolean;
  /** The plan begins with a step that matches, with `analysis.control`. */
  control?: boolean;
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

export const INTERVAL_MS = 10_000;
export const DRAIN_MS = 10_000;
export const DEADLINE_S = 60;
