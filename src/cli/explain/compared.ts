import { canarySpec, type Canary } from '../../api/index.js';
import { odds, strengthOf } from '../../core/verdict/outcome.js';
import { statusOf } from '../canaries.js';

/** One metric by which the canary is compared with the stable version. Rates in percent, differences in percentage points. */
export interface ComparedView {
  metric: string;
  /** Of latency: milliseconds beyond which a request is slow. */
  bound?: number;
  canary: { total: number; bad: number };
  stable: { total: number; bad: number };
  /** The difference is between these. */
  low?: number;
  high?: number;
  /** Of how many runs of a version that is not worse, one would show as much: `1 in 12`. */
  odds: string;
  until: string;
}

/** What the comparison has shown so far, as far as it is stored; undefined where nothing is compared. */
export function comparedOf(canary: Canary): { streams: ComparedView[]; missing?: number; rollbackAt: string; error?: string } | undefined {
  const { verdict, run } = statusOf(canary);
  const spec = canarySpec.safeParse(canary.spec).data?.analysis.verdict;
  if (!verdict || !spec || verdict.run !== run?.id) return undefined;
  const metrics = new Set(verdict.streams.map(({ metric }) => metric)).size;
  const streams = verdict.streams.map((stream): ComparedView => {
    const { metric, bound, canary: one, stable, low, high, until } = stream;
    return { metric, ...(bound === undefined ? {} : { bound }), canary: one, stable, ...(low === undefined ? {} : { low }), ...(high === undefined ? {} : { high }), odds: odds(Math.max(0, strengthOf(stream, verdict.streams, metrics))), until };
  });
  return {
    streams,
    rollbackAt: odds(Math.log(1 / spec.alpha)),
    ...(verdict.missing !== undefined ? { missing: verdict.missing } : {}),
    ...(verdict.error === undefined ? {} : { error: verdict.error }),
  };
}
