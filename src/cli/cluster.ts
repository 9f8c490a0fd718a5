import { createKubeClientFor, loadClusterAccess, type OwnedKubeClient } from '../kube/index.js';
import { CliError, Exit } from './errors.js';
import type { Io } from './io.js';

/** The flags of every command that asks an API server. */
export interface ClusterFlags {
  kubeconfig?: string;
  context?: string;
  namespace?: string;
  logLevel?: string;
}

/** An API server and the namespace that is meant. */
export interface Cluster {
  client: OwnedKubeClient;
  namespace: string;
}

/** Long enough for a slow server, short enough for a person, in milliseconds. */
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Connect, run, and let go. The work loses to SIGINT, which ends the command with 130; work that ends itself on the signal wins
 * because it is first in the race.
 */
export async function withCluster(io: Io, flags: ClusterFlags, work: (cluster: Cluster) => Promise<number>): Promise<number> {
  const access = await loadAccess(io, flags);
  const client = createKubeClientFor(access, { userAgent: 'sluice-cli', requestTimeoutMs: REQUEST_TIMEOUT_MS });
  const ended = new AbortController();
  const interrupted = new Promise<number>((resolve) => {
    const onAbort = (): void => void setImmediate(() => resolve(Exit.interrupted));
    if (io.signal.aborted) onAbort();
    else io.signal.addEventListener('abort', onAbort, { once: true, signal: ended.signal });
  });
  try {
    return await Promise.race([work({ client, namespace: flags.namespace ?? access.namespace ?? 'default' }), interrupted]);
  } finally {
    ended.abort();
    client.close();
  }
}

async function loadAccess(io: Io, flags: ClusterFlags) {
  try {
    return await loadClusterAccess({ kubeconfig: flags.kubeconfig, context: flags.context, env: io.env });
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error));
  }
}
