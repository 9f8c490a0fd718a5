import type { KubeClient, KubeObject, Resource } from '../../../kube/types.js';
import { selectsLabels } from '../../../kube/selector.js';
import { isNotFound } from '../../../kube/types.js';
import type { LabelSelector } from '../types.js';
import { controllerReference } from './context.js';
import type { OwnerIndex } from './ownerIndex.js';

export interface Claim<T extends KubeObject> {
  client: KubeClient;
  resource: Resource<T>;
  index: OwnerIndex<T>;
  owner: KubeObject & { spec: { selector: LabelSelector } };
  ownerKind: { apiVersion: string; kind: string };
  /** Lay the answer of a write over the local copy. */
  observe: (object: T) => void;
}

/**
 * The objects that `owner` manages, after adopting orphans that its selector matches and releasing its own that it no
 * longer matches (as `controller.BaseControllerRefManager` does).
 */
export async function claim<T extends KubeObject>(request: Claim<T>): Promise<T[]> {
  const { owner, index } = request;
  const kept: T[] = [];
  for (const object of index.ownedBy(owner.metadata.uid)) {
    if (selectsLabels(owner.spec.selector, object.metadata.labels)) kept.push(object);
    else if (!object.metadata.deletionTimestamp && !owner.metadata.deletionTimestamp) await release(request, object);
  }
  if (owner.metadata.deletionTimestamp) return kept;
  for (const orphan of index.orphans(owner.metadata.namespace)) {
    if (orphan.metadata.deletionTimestamp || !selectsLabels(owner.spec.selector, orphan.metadata.labels)) continue;
    const adopted = await adopt(request, orphan);
    if (adopted) kept.push(adopted);
  }
  return kept;
}

async function adopt<T extends KubeObject>(request: Claim<T>, orphan: T): Promise<T | undefined> {
  const reference = controllerReference(request.owner, request.ownerKind.apiVersion, request.ownerKind.kind);
  return setOwners(request, orphan, [...(orphan.metadata.ownerReferences ?? []), reference]);
}

async function release<T extends KubeObject>(request: Claim<T>, object: T): Promise<void> {
  const others = (object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== request.owner.metadata.uid);
  await setOwners(request, object, others);
}

async function setOwners<T extends KubeObject>(request: Claim<T>, object: T, ownerReferences: unknown[]): Promise<T | undefined> {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  try {
    const body = { metadata: { uid, resourceVersion, ownerReferences } };
    const written = await request.client.patch(request.resource, namespace, name, body, 'merge');
    request.observe(written);
    return written;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
