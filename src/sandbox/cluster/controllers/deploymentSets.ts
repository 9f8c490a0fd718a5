import type { KubeClient } from '../../../kube/types.js';
import { isAlreadyExists, isNotFound } from '../../../kube/types.js';
import { safeHash } from '../names.js';
import { Kinds } from '../types.js';
import type { Deployment, PodTemplate, ReplicaSet } from '../types.js';
import { canonical, controllerOf, controllerReference, sameValue } from './context.js';
import { DESIRED_REPLICAS, MAX_REPLICAS, REVISION, maxSurge, newSetSize, wanted } from './replicaCounts.js';

const TEMPLATE_HASH = 'pod-template-hash';
/** Annotations of a Deployment that its ReplicaSets do not inherit. */
const NOT_INHERITED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  'deployment.kubernetes.io/revision-history',
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
]);

const created = (set: ReplicaSet): number => Date.parse(set.metadata.creationTimestamp ?? '') || 0;
export const oldestFirst = (a: ReplicaSet, b: ReplicaSet): number =>
  created(a) - created(b) || (a.metadata.name < b.metadata.name ? -1 : 1);
export const revisionOf = (set: ReplicaSet): number => Number(set.metadata.annotations?.[REVISION] ?? 0) || 0;

function withoutHash(template: PodTemplate): PodTemplate {
  const { [TEMPLATE_HASH]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** Server defaults such as `creationTimestamp: null` in a template do not make it another one. */
function templateText(template: PodTemplate): string {
  const { labels, annotations } = withoutHash(template).metadata ?? {};
  return canonical({ labels: labels ?? {}, annotations: annotations ?? {}, spec: template.spec });
}

/** The oldest ReplicaSet with the Deployment's template. */
export function findNewSet(deployment: Deployment, sets: ReplicaSet[]): ReplicaSet | undefined {
  const text = templateText(deployment.spec.template);
  return [...sets].sort(oldestFirst).find((set) => templateText(set.spec.template) === text);
}

/** What {@link ensureNewSet} found: another Deployment's ReplicaSet has the name, so the hash must be salted anew. */
export class NameCollision extends Error {}

/** Annotations that the ReplicaSet of the current template carries. */
function annotationsFor(deployment: Deployment, existing: ReplicaSet | undefined, revision: number): Record<string, string> {
  const inherited = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !NOT_INHERITED.has(key));
  return {
    ...existing?.metadata.annotations,
    ...Object.fromEntries(inherited),
    [REVISION]: String(Math.max(revision, existing ? revisionOf(existing) : 0)),
  };
}

export const sizeAnnotations = (deployment: Deployment): Record<string, string> => ({
  [DESIRED_REPLICAS]: String(wanted(deployment)),
  [MAX_REPLICAS]: String(wanted(deployment) + maxSurge(deployment)),
});

/** Gives an existing new ReplicaSet its revision number, the Deployment's annotations and minReadySeconds. */
export async function refreshNewSet(
  client: KubeClient,
  deployment: Deployment,
  set: ReplicaSet,
  revision: number,
): Promise<ReplicaSet> {
  const annotations = annotationsFor(deployment, set, revision);
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  if (sameValue(annotations, set.metadata.annotations ?? {}) && (set.spec.minReadySeconds ?? 0) === minReadySeconds) return set;
  const { namespace, name, resourceVersion } = set.metadata;
  return client.patch(
    Kinds.ReplicaSet,
    namespace,
    name,
    { metadata: { resourceVersion, annotations }, spec: { minReadySeconds } },
    'merge',
  );
}

/**
 * Makes the ReplicaSet for the Deployment's template.
 * @throws NameCollision when the name belongs to something else.
 */
export async function createNewSet(
  client: KubeClient,
  deployment: Deployment,
  old: ReplicaSet[],
  revision: number,
): Promise<ReplicaSet> {
  const set = draft(deployment, old, revision);
  try {
    return await client.create(Kinds.ReplicaSet, set);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const existing = await client.get(Kinds.ReplicaSet, set.metadata.namespace, set.metadata.name);
    const ours = controllerOf(existing)?.uid === deployment.metadata.uid;
    if (ours && templateText(existing.spec.template) === templateText(deployment.spec.template)) return existing;
    throw new NameCollision(
      `ReplicaSet ${set.metadata.name} exists and is not of Deployment ${deployment.metadata.name}'s template`,
    );
  }
}

function draft(deployment: Deployment, old: ReplicaSet[], revision: number): ReplicaSet {
  const { template, selector, minReadySeconds = 0 } = deployment.spec;
  const hash = safeHash(`${templateText(template)}/${deployment.status?.collisionCount ?? 0}`);
  const labels = { ...template.metadata?.labels, [TEMPLATE_HASH]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace,
      labels,
      annotations: { ...annotationsFor(deployment, undefined, revision), ...sizeAnnotations(deployment) },
      ownerReferences: [controllerReference(deployment, 'apps/v1', 'Deployment')],
    },
    spec: {
      replicas: newSetSize(deployment, old, 0),
      minReadySeconds,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [TEMPLATE_HASH]: hash } },
      template: { metadata: { ...template.metadata, labels }, spec: structuredClone(template.spec) },
    },
  };
}

/** Removes ReplicaSets beyond `revisionHistoryLimit`, the lowest revisions first, only those that hold no pods. */
export async function removeOldSets(client: KubeClient, deployment: Deployment, old: ReplicaSet[]): Promise<void> {
  const candidates = old
    .filter((set) => !set.metadata.deletionTimestamp)
    .sort((a, b) => revisionOf(a) - revisionOf(b) || oldestFirst(a, b));
  const surplus = candidates.length - (deployment.spec.revisionHistoryLimit ?? 10);
  for (const set of candidates.slice(0, Math.max(0, surplus))) {
    const settled = (set.status?.observedGeneration ?? 0) >= (set.metadata.generation ?? 0);
    if (wanted(set) > 0 || (set.status?.replicas ?? 0) > 0 || !settled) continue;
    await client
      .delete(Kinds.ReplicaSet, set.metadata.namespace, set.metadata.name, { uid: set.metadata.uid })
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
  }
}
