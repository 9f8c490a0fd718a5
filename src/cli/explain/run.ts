import { getCanary } from '../canaries.js';
import { withCluster, type ClusterFlags } from '../cluster.js';
import { Exit } from '../errors.js';
import { json } from '../format.js';
import type { Io } from '../io.js';
import { explanationOf } from './explanation.js';
import { readDecision } from './read.js';
import { text } from './text.js';

export interface ExplainFlags extends ClusterFlags {
  output: 'text' | 'json';
}

/** `sluice explain`. */
export async function explain(io: Io, name: string, flags: ExplainFlags): Promise<number> {
  return withCluster(io, flags, async (cluster) => {
    const canary = await getCanary(cluster, name);
    const explanation = explanationOf(canary, await readDecision(io, cluster.client, canary), io.now());
    io.out(flags.output === 'json' ? json(explanation) : text(io, explanation));
    return Exit.ok;
  });
}
