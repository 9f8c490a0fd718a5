import { SluiceResources, type Canary, type GitSource } from '../../api/index.js';
import { isNotFound, KubeError, type KubeObject, type Resource } from '../../kube/index.js';
import { conditionOf, statusOf } from '../canaries.js';
import { withCluster, type Cluster, type ClusterFlags } from '../cluster.js';
import { CliError, describeError, Exit, UsageError } from '../errors.js';
import { json } from '../format.js';
import type { Io } from '../io.js';

export interface UninstallFlags extends ClusterFlags {
  allNamespaces?: boolean;
  wait?: boolean;
  /** Milliseconds. */
  timeout: number;
  output: 'text' | 'json';
}

/** How often the Canaries that are left are listed, in milliseconds. */
const POLL_MS = 1_000;

interface Work {
  io: Io;
  cluster: Cluster;
  flags: UninstallFlags;
  /** For people; silent with JSON. */
  say: (line: string) => void;
}

/** `sluice uninstall`. */
export async function uninstall(io: Io, flags: UninstallFlags): Promise<number> {
  // Deleting what a forgotten flag stands for would be a surprise: where is said every time.
  if (!flags.allNamespaces && flags.namespace === undefined) throw new UsageError('uninstall needs --namespace or --all-namespaces');
  if (flags.allNamespaces && flags.namespace !== undefined) throw new UsageError('--namespace and --all-namespaces exclude each other');
  return withCluster(io, flags, (cluster) => remove({ io, cluster, flags, say: (line) => flags.output === 'text' && io.out(`${line}\n`) }));
}

async function remove(work: Work): Promise<number> {
  const { io, flags, say } = work;
  // A sync would bring back what is deleted.
  const suspended = await suspendSources(work);
  const canaries = await all(work, SluiceResources.Canary);
  for (const canary of canaries) await deleteCanary(work, canary);
  const left = flags.wait ? await untilGone(work) : [];
  if (flags.output === 'json') io.out(json({ suspended, deleted: canaries.map(titleOf), remaining: left.map(titleOf) }));
  if (left.length === 0) {
    say(flags.wait ? 'No Canary is left' : `Canaries deleted: ${canaries.length}. The controller gives their targets back; uninstall it only when sluice status -A is empty`);
    return io.signal.aborted ? Exit.interrupted : Exit.ok;
  }
  if (io.signal.aborted) return Exit.interrupted;
  throw new CliError(`still there after --timeout: ${left.map(explain).join('; ')}. Is the controller running? Run this command again to go on waiting`, Exit.timeout);
}

const titleOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

/** Why a Canary is still there, in the words of its conditions. */
function explain(canary: Canary): string {
  const status = statusOf(canary);
  const stalled = conditionOf(status, 'Stalled');
  const why = stalled?.status === 'True' ? stalled : conditionOf(status, 'Progressing');
  return `Canary ${titleOf(canary)}${why ? ` (${why.reason}: ${why.message})` : ''}`;
}

async function all<T extends KubeObject>({ cluster, flags }: Work, resource: Resource<T>): Promise<T[]> {
  const where = flags.allNamespaces ? {} : { namespace: cluster.namespace };
  try {
    return (await cluster.client.list(resource, { ...where, dropManagedFields: true })).items;
  } catch (error) {
    // Without the kind there is nothing of it to remove.
    if (isNotFound(error)) return [];
    throw error;
  }
}

async function suspendSources(work: Work): Promise<string[]> {
  const active = (await all<GitSource>(work, SluiceResources.GitSource)).filter((source) => source.spec?.suspend !== true);
  for (const source of active) {
    const { namespace, name } = source.metadata;
    await tolerateGone(`GitSource ${titleOf(source)}`, () => work.cluster.client.patch(SluiceResources.GitSource, namespace, name, { spec: { suspend: true } }, 'merge'));
    work.say(`GitSource ${titleOf(source)} suspended`);
  }
  return active.map(titleOf);
}

async function deleteCanary({ cluster, say }: Work, canary: Canary): Promise<void> {
  const { namespace, name, uid } = canary.metadata;
  await tolerateGone(`Canary ${titleOf(canary)}`, () => cluster.client.delete(SluiceResources.Canary, namespace, name, { propagationPolicy: 'Background', uid }));
  say(`Canary ${titleOf(canary)} is being removed`);
}

async function tolerateGone(title: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (isNotFound(error)) return;
    throw error instanceof KubeError ? new CliError(`${title}: ${describeError(error)}`) : error;
  }
}

/** Waits until no Canary is left, and tells of each that is gone. Gives those that are there at the deadline. */
async function untilGone(work: Work): Promise<Canary[]> {
  const { io, flags, say } = work;
  const deadline = io.now() + flags.timeout;
  let before: Canary[] = [];
  for (;;) {
    const left = await all<Canary>(work, SluiceResources.Canary);
    const names = new Set(left.map(titleOf));
    for (const canary of before) if (!names.has(titleOf(canary))) say(`${canary.spec.targetRef.kind} ${canary.metadata.namespace ?? ''}/${canary.spec.targetRef.name} serves by itself again`);
    if (left.length === 0 || io.signal.aborted || io.now() >= deadline) return left;
    before = left;
    await io.sleep(Math.min(POLL_MS, deadline - io.now()), io.signal);
  }
}
