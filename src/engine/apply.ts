import { FINALIZER, Labels, SluiceResources, type Canary, type SlotName } from '../api/index.js';
import { canaryNames, SLOTS } from '../core/names.js';
import type { Effect } from '../core/observation.js';
import { layOver, liftOff, pointer, readOverlay, type Fields } from '../core/overlay.js';
import { callerService, slotDeployment, slotService, type Identity } from '../core/workload.js';
import { Resources, type IndexedInformer, type KubeObject } from '../kube/index.js';
import { Index, keyOf, type Cache } from './cache.js';
import { Terminal, Waiting } from './errors.js';
import { callerServices, routeInput, selectorOf } from './observe.js';
import type { ObjectWrite, RoutePlan, Router } from './ports.js';
import { readRevision, revisionObjects, snapshotResource, type Desired } from './revisions.js';
import type { Writer } from './writer.js';

export interface ApplyContext {
  cache: Cache;
  router: Router;
  writer: Writer;
  canary: Canary;
  desired: Desired;
  now: () => number;
}

const identityOf = (canary: Canary): Identity => ({ name: canary.metadata.name, namespace: canary.metadata.namespace ?? '', spec: canary.spec });
const targetOf = ({ cache, canary }: ApplyContext): KubeObject | undefined => cache.deployments.get(canary.metadata.namespace, canary.spec.targetRef.name);

/** Carry out one effect. Idempotent; rejects when the cluster refuses. */
export async function apply(context: ApplyContext, effect: Effect): Promise<void> {
  switch (effect.type) {
    case 'addFinalizer':
      return setFinalizers(context, [...(context.canary.metadata.finalizers ?? []), FINALIZER]);
    case 'removeFinalizer':
      return setFinalizers(context, (context.canary.metadata.finalizers ?? []).filter((item) => item !== FINALIZER));
    case 'seedReplicas':
      await context.writer.patch(SluiceResources.Canary, context.canary, { spec: { replicas: effect.replicas } }, context.cache.canaries);
      return;
    case 'keepRevision':
      return keepRevision(context, effect.revision);
    case 'createSlotServices':
      return createServices(context);
    case 'fillSlot':
      return fillSlot(context, effect);
    case 'scaleSlot':
      return scaleSlot(context, effect.slot, effect.replicas);
    case 'setWeights':
      return writeRoutes(context, context.router.plan(routeInput(context.cache, context.canary), effect.weights));
    case 'releaseRoutes':
      return writeRoutes(context, context.router.release(routeInput(context.cache, context.canary)));
    case 'selectService':
      return selectService(context, effect.slots);
    case 'releaseServices':
      return releaseServices(context);
    case 'overlayTarget':
      return overlayTarget(context);
    case 'restoreTarget':
      return restoreTarget(context, effect.replicas);
    case 'deleteSlots':
      return deleteSlots(context);
    case 'finishAction':
      return finishAction(context, effect);
    case 'pruneRevisions':
      return pruneRevisions(context, effect.keep);
  }
}

async function setFinalizers({ writer, cache, canary }: ApplyContext, finalizers: string[]): Promise<void> {
  const live = cache.canaries.get(canary.metadata.namespace, canary.metadata.name) ?? canary;
  await writer.patch(SluiceResources.Canary, canary, { metadata: { finalizers, resourceVersion: live.metadata.resourceVersion } }, cache.canaries);
}

async function keepRevision({ cache, writer, canary, desired }: ApplyContext, revision: string): Promise<void> {
  if (readRevision(cache, canary, revision)) return;
  if (!desired || !('revision' in desired) || desired.revision.name !== revision)
    throw new Terminal('RevisionMissing', `ControllerRevision of revision ${revision} is gone and the target holds another one; apply a manifest with the wanted template`);
  for (const object of revisionObjects(canary, desired.revision, desired.observation.provenance)) {
    if (object.kind === 'ControllerRevision') await writer.create(Resources.ControllerRevision, object, cache.revisions);
    else if (object.kind !== 'ConfigMap' || !cache.configMaps.get(object.metadata.namespace, object.metadata.name)) await writer.create(snapshotResource(object.kind), object);
  }
}

function assertOurs(live: KubeObject, canary: Canary): void {
  if (live.metadata.labels?.[Labels.canary] === canary.metadata.name) return;
  throw new Terminal(
    'NameTaken',
    `${live.kind} ${live.metadata.name} exists and does not belong to Canary ${canary.metadata.name}; rename it, or set spec.service.slots to other suffixes`,
  );
}

async function createServices(context: ApplyContext): Promise<void> {
  const { cache, writer, canary } = context;
  const identity = identityOf(canary);
  const names = canaryNames(canary.spec);
  const callers = cache.services.get(identity.namespace, names.service);
  for (const slot of SLOTS) {
    const live = cache.services.get(identity.namespace, names.slots[slot]);
    const wanted = slotService(identity, slot, callers);
    if (!live) await writer.create(Resources.Service, wanted, cache.services);
    else await keepPorts(context, live, wanted);
  }
  if (callers) return;
  const labels = (targetOf(context)?.['spec'] as { selector?: { matchLabels?: Record<string, string> } } | undefined)?.selector?.matchLabels;
  if (labels) await writer.create(Resources.Service, callerService(identity, labels), cache.services);
}

interface PortLike {
  name?: string;
  port?: number;
  protocol?: string;
  targetPort?: unknown;
  appProtocol?: string;
}
const portsText = (service: KubeObject): string =>
  JSON.stringify(
    ((service['spec'] as { ports?: PortLike[] } | undefined)?.ports ?? []).map((port) => [port.name, port.port, port.protocol ?? 'TCP', port.targetPort ?? port.port, port.appProtocol]),
  );

async function keepPorts({ cache, writer, canary }: ApplyContext, live: KubeObject, wanted: KubeObject): Promise<void> {
  assertOurs(live, canary);
  if (portsText(live) === portsText(wanted)) return;
  await writer.patch(Resources.Service, live, { spec: { ports: (wanted['spec'] as { ports: unknown }).ports } }, cache.services);
}

async function fillSlot(context: ApplyContext, effect: Extract<Effect, { type: 'fillSlot' }>): Promise<void> {
  const { cache, writer, canary } = context;
  const data = readRevision(cache, canary, effect.revision);
  if (!data) throw new Waiting(`ControllerRevision of revision ${effect.revision} is not visible yet`);
  const wanted = slotDeployment(identityOf(canary), effect.slot, effect.revision, data, targetOf(context), effect.replicas);
  const live = cache.deployments.get(wanted.metadata.namespace, wanted.metadata.name);
  if (!live) {
    await writer.create(Resources.Deployment, wanted, cache.deployments);
    return;
  }
  assertOurs(live, canary);
  // Whole, with the version that was seen: a slot that meanwhile got pods is not overwritten.
  await writer.update(
    Resources.Deployment,
    { ...live, metadata: { ...live.metadata, labels: { ...live.metadata.labels, ...wanted.metadata.labels } }, spec: { ...(wanted['spec'] as object) } },
    cache.deployments,
  );
}

async function scaleSlot({ cache, writer, canary }: ApplyContext, slot: SlotName, replicas: number): Promise<void> {
  const live = cache.deployments.get(canary.metadata.namespace, canaryNames(canary.spec).slots[slot]);
  if (!live) return;
  assertOurs(live, canary);
  await writer.scale(Resources.Deployment, live, replicas, cache.deployments);
}

async function writeRoutes(context: ApplyContext, plan: RoutePlan): Promise<void> {
  const [problem] = plan.problems;
  if (problem) throw new Terminal(problem.reason, plan.problems.map((item) => item.message).join('; '));
  for (const write of plan.writes) await writeObject(context, write);
}

async function writeObject({ cache, writer }: ApplyContext, write: ObjectWrite): Promise<void> {
  const into = (write.resource.kind === 'VirtualService' ? cache.virtualServices : write.resource.kind === 'DestinationRule' ? cache.destinationRules : undefined) as
    | IndexedInformer<KubeObject>
    | undefined;
  if (write.op === 'create') await writer.create(write.resource, write.object, into);
  else if (write.op === 'update') await writer.update(write.resource, write.object, into);
  else await writer.delete(write.resource, write.object, { resourceVersion: write.object.metadata.resourceVersion });
}

async function selectService(context: ApplyContext, slots: SlotName[]): Promise<void> {
  const { cache, writer, canary } = context;
  const [only] = slots;
  const fields: Fields = {
    [pointer('spec', 'selector', Labels.canary)]: canary.metadata.name,
    [pointer('spec', 'selector', Labels.slot)]: slots.length === 1 && only ? only : null,
  };
  for (const service of callerServices(cache, canary, targetOf(context))) {
    if (selectorOf(service) === undefined) throw new Terminal('InvalidSpec', `Service ${service.metadata.name} has no selector; give it one that matches the pods of the target`);
    const patch = layOver(service, canary.metadata.name, fields);
    if (patch) await writer.patch(Resources.Service, service, versioned(patch, service), cache.services);
  }
}

/** The patch is refused when the object is no longer the one that it was made from. */
function versioned(patch: Record<string, unknown>, object: KubeObject): Record<string, unknown> {
  return { ...patch, metadata: { ...(patch['metadata'] as object), resourceVersion: object.metadata.resourceVersion } };
}

async function releaseServices(context: ApplyContext): Promise<void> {
  const { cache, writer, canary } = context;
  for (const service of callerServices(cache, canary, targetOf(context))) {
    const patch = liftOff(service);
    if (patch) await writer.patch(Resources.Service, service, versioned(patch, service), cache.services);
  }
}

async function overlayTarget(context: ApplyContext): Promise<void> {
  const { cache, writer, canary } = context;
  const target = targetOf(context);
  const patch = target && layOver(target, canary.metadata.name, { '/spec/replicas': 0 });
  if (target && patch) await writer.patch(Resources.Deployment, target, versioned(patch, target), cache.deployments);
}

async function restoreTarget(context: ApplyContext, replicas: number): Promise<void> {
  const { cache, writer } = context;
  const target = targetOf(context);
  if (!target) return;
  const lifted = readOverlay(target) ? liftOff(target) : {};
  // An autoscaler may have raised the number since the user wrote theirs: what serves now is what must go on serving.
  const patch = { ...lifted, spec: { ...(lifted?.['spec'] as object | undefined), replicas } };
  await writer.patch(Resources.Deployment, target, versioned(patch, target), cache.deployments);
}

async function deleteSlots({ cache, writer, canary }: ApplyContext): Promise<void> {
  const key = keyOf(canary);
  for (const deployment of cache.deployments.byIndex(Index.canary, key)) await writer.delete(Resources.Deployment, deployment);
  const names = new Set(Object.values(canaryNames(canary.spec).slots));
  for (const service of cache.services.byIndex(Index.canary, key)) if (names.has(service.metadata.name)) await writer.delete(Resources.Service, service);
  for (const revision of cache.revisions.byIndex(Index.canary, key)) await deleteRevision({ writer, canary }, revision, new Set());
}

async function finishAction({ cache, writer, canary, now }: ApplyContext, effect: Extract<Effect, { type: 'finishAction' }>): Promise<void> {
  const action = cache.actions.get(canary.metadata.namespace, effect.name);
  if (!action || action.status?.result) return;
  const status = { result: effect.result, message: effect.message, at: new Date(now()).toISOString() };
  await writer.patch(SluiceResources.CanaryAction, action, { status }, cache.actions, { subresource: 'status' });
}

type RevisionContext = Pick<ApplyContext, 'writer' | 'canary'>;
interface StoredConfig {
  kind: string;
  snapshot?: string | null;
}
const configsOf = (revision: KubeObject): StoredConfig[] => (revision['data'] as { configs?: StoredConfig[] } | undefined)?.configs ?? [];

/** Delete a revision with the frozen configuration that no other revision uses. */
async function deleteRevision({ writer, canary }: RevisionContext, revision: KubeObject, used: Set<string>): Promise<void> {
  for (const { kind, snapshot } of configsOf(revision)) {
    if (typeof snapshot !== 'string' || used.has(`${kind}/${snapshot}`)) continue;
    const object: KubeObject = { apiVersion: 'v1', kind, metadata: { name: snapshot, namespace: canary.metadata.namespace ?? '' } };
    await writer.delete(snapshotResource(kind), object);
  }
  await writer.delete(Resources.ControllerRevision, revision);
}

/** Forget revisions that are neither kept, nor in a slot, nor wanted by the target. */
async function pruneRevisions(context: ApplyContext, keep: string[]): Promise<void> {
  const { cache, canary, desired } = context;
  const live = SLOTS.flatMap((slot) => cache.deployments.get(canary.metadata.namespace, canaryNames(canary.spec).slots[slot])?.metadata.labels?.[Labels.revision] ?? []);
  const wanted = new Set([...keep, ...live, ...(desired && 'revision' in desired ? [desired.revision.name] : [])]);
  const all = cache.revisions.byIndex(Index.canary, keyOf(canary));
  const kept = all.filter((revision) => wanted.has(revision.metadata.labels?.[Labels.revision] ?? ''));
  const used = new Set(kept.flatMap((revision) => configsOf(revision).map(({ kind, snapshot }) => `${kind}/${snapshot}`)));
  for (const revision of all) if (!kept.includes(revision)) await deleteRevision(context, revision, used);
}
