import type { SideCounts, WindowCounts } from '../../src/core/evidence.js';
import type { MeasureRequest, Windows } from '../../src/engine/ports.js';
import type { Mesh } from './mesh.js';
import type { MetricsState } from './settings.js';

const GRID_MS = 5_000;
/** Of a histogram, in milliseconds. */
const BOUNDS = [100, 250, 500, 1_000];

/** What Prometheus knows of both slots, window by window, from the requests that {@link Mesh.evidence} counts. */
export function windowsOf(mesh: Mesh, state: MetricsState, { metric, service, stableService, from, to }: MeasureRequest, { now, skew }: { now: number; skew: number }): Windows {
  const query = `${metric}{${service},${stableService}}`;
  if (state === 'down') return { kind: 'Error', query, message: 'connection refused', permanent: false };
  const bounds = metric === 'request-duration' ? BOUNDS : [0];
  const side = (name: string, end: number): SideCounts => {
    const { requests, success, latency } = mesh.evidence(name, end - GRID_MS - skew, end - skew);
    const total = state === 'up' ? Math.round(requests) : 0;
    if (total === 0) return { total, bad: bounds.map(() => 0) };
    const failed = Math.min(total, Math.round((requests * (100 - success)) / 100));
    return { total, bad: bounds.map((bound) => (metric !== 'request-duration' ? failed : latency > bound ? total : 0)) };
  };
  const windows: WindowCounts[] = [];
  for (let end = Math.ceil(from / GRID_MS) * GRID_MS + GRID_MS; end <= Math.min(to, now + skew); end += GRID_MS)
    windows.push({ to: end, stable: side(stableService, end), canary: side(service, end) });
  return windows.length > 0 ? { kind: 'Windows', gridMs: GRID_MS, bounds, windows, query } : { kind: 'NoData', query, message: 'no window is complete yet' };
}
