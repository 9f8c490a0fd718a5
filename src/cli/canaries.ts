import { canaryStatus, SluiceResources, type Canary, type CanaryStatus, type Condition, type Provenance } from '../api/index.js';
import { isNotFound, KubeError, type KubeObject } from '../kube/index.js';
import type { Cluster } from './cluster.js';
import { CliError, describeError } from './errors.js';
import { shortCommit } from './format.js';

/** The status as this version knows it; what a newer controller wrote in another shape reads as empty. */
export function statusOf(canary: KubeObject): CanaryStatus {
  const parsed = canaryStatus.safeParse(canary['status'] ?? {});
  return parsed.success ? parsed.data : canaryStatus.parse({});
}

export const conditionOf = (status: CanaryStatus, type: string): Condition | undefined =>
  status.conditions?.find((item) => item.type === type);

/**
 * One Canary from the API server.
 * @throws CliError that names it when it does not exist.
 */
export async function getCanary({ client, namespace }: Cluster, name: string): Promise<Canary> {
  try {
    return await client.get(SluiceResources.Canary, namespace, name);
  } catch (error) {
    // A missing object names the object; a missing kind does not.
    if (isNotFound(error) && error instanceof KubeError && error.message.includes(`"${name}"`))
      throw new CliError(`Canary ${namespace}/${name} does not exist; see which there are with: sluice status -A`);
    throw new CliError(`Canary ${namespace}/${name}: ${describeError(error)}`);
  }
}

/** `commit 1a2b3c4 by Ada: "Red stars"`, or what of it is known. */
export function commitWords(from: Provenance): string {
  if (!from.commit) return 'commit unknown';
  return `commit ${shortCommit(from.commit)}${from.author ? ` by ${from.author}` : ''}${from.subject ? `: "${from.subject}"` : ''}`;
}

/** `-n NAMESPACE` for commands that are shown, where it is needed. */
export const namespaceFlag = (namespace: string): string => (namespace === 'default' ? '' : ` -n ${namespace}`);
