import { Annotations } from '../api/index.js';
import { isNotFound, type KubeClient, type KubeObject, type Resource } from '../kube/types.js';
import type { Discovery } from './discovery.js';
import { describeObject, identityKey, parseId, sourceLabels, type InventoryEntry } from './identity.js';
import { requireLeading } from './leading.js';
import type { ObjectFailure } from './manifests.js';
import { stageOf } from './order.js';
import { beyondReach, mayReach, type Tenancy } from './tenancy.js';

export interface PruneContext {
  client: KubeClient;
  discovery: Discovery;
  tenancy: Tenancy;
  /** Throws when this process must not write any more. */
  assertLeading: () => void;
}

export interface PruneResult {
  /** For people: `Deployment shop/reviews`. */
  deleted: string[];
  /** What could not be deleted now: it stays in the inventory. */
  kept: InventoryEntry[];
  failures: ObjectFailure[];
}

/** What was applied earlier and is declared no more, dependants first. */
export function leftGit(before: InventoryEntry[], now: InventoryEntry[]): InventoryEntry[] {
  const declared = new Set(now.map(({ id }) => identityKey(id)));
  const stage = (entry: InventoryEntry): number => stageOf(parseId(entry.id)?.kind ?? '');
  return before.filter(({ id }) => !declared.has(identityKey(id))).toSorted((a, b) => stage(b) - stage(a));
}

/**
 * Deletes objects that left Git, in the background. Left alone, and forgotten, is what is gone already, carries the annotation
 * `sluice.dev/prune: disabled`, or is not labelled as applied from this source.
 */
export async function pruneObjects(
  context: PruneContext,
  source: { namespace: string; name: string },
  entries: InventoryEntry[],
): Promise<PruneResult> {
  const result: PruneResult = { deleted: [], kept: [], failures: [] };
  const labels = sourceLabels(source.namespace, source.name);
  for (const entry of entries) {
    requireLeading(context);
    try {
      if (await pruneOne(context, source.namespace, labels, entry)) result.deleted.push(nameOf(entry));
    } catch (error) {
      result.kept.push(entry);
      result.failures.push({
        id: entry.id,
        file: entry.file ?? '',
        message:
          `${nameOf(entry)} left the repository but could not be deleted: ${error instanceof Error ? error.message : String(error)}; it is tried again`.slice(
            0,
            1024,
          ),
      });
    }
  }
  return result;
}

async function pruneOne(
  { client, discovery, tenancy }: PruneContext,
  from: string,
  labels: Record<string, string>,
  entry: InventoryEntry,
): Promise<boolean> {
  const id = parseId(entry.id);
  const resource = id && (await discovery.find(id.group, id.version, id.kind));
  if (!id || !resource) return false;
  const namespace = id.namespace || undefined;
  const live = await getLive(client, resource, namespace, id.name);
  if (!live || live.metadata.deletionTimestamp || !isOurs(live, labels)) return false;
  if (!mayReach(tenancy, from, namespace)) throw new Error(beyondReach(from, namespace));
  try {
    await client.delete(resource, namespace, id.name, { propagationPolicy: 'Background', uid: live.metadata.uid });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  return true;
}

function isOurs({ metadata }: KubeObject, labels: Record<string, string>): boolean {
  if (metadata.annotations?.[Annotations.prune] === 'disabled') return false;
  return Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value);
}

async function getLive(
  client: KubeClient,
  resource: Resource,
  namespace: string | undefined,
  name: string,
): Promise<KubeObject | undefined> {
  try {
    return await client.get(resource, namespace, name);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function nameOf({ id }: InventoryEntry): string {
  const parsed = parseId(id);
  return parsed ? describeObject(parsed) : id;
}
