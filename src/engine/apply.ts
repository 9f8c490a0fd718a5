import { Annotations, FINALIZER, Labels, SluiceResources, type Canary, type SlotName } from '../api/index.js';
import { NOWHERE, NOWHERE_FIELD } from '../core/daemon-set.js';
import { canaryNames, controlNames, SLOTS } from '../core/names.js';
import type { Effect } from '../core/observation.js';
import { layOver, liftOff, pointer, readOverlay, type Fields } from '../core/overlay.js';
import { callerService, controlService, slotService, slotServicePatch } from '../core/services.js';
import { slotWorkload, type Identity } from '../core/workload.js';
import { isNotFound, KubeError, Resources, type IndexedInformer, type KubeObject } from '../kube/index.js';
import type { Resource } from '../kube/types.js';
import { attachmentWrites } from './attachments.js';
import { Index, keyOf, selectorOf, type Cache } from './cache.js';
import { Terminal, Waiting } from './errors.js';
import { podLabels, readWorkload } from './facts.js';
import { callerServices, isRouted, markedPods, routeInput, TARGET_MARK } from './observe.js';
import type { ObjectWrite, RoutePlan, Router } from './ports.js';
import { readRevision, revisionObjects, snapshotResource, type Desired } from './revisions.js';
import { targetOf, workloadsOf } from './workloads.js';
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

/** Carry out one effect. Idempotent; rejects when the cluster refuses. */
export async function apply(context: ApplyContext, effect: Effect): Promise<void> {
  if (isOfRoutes(effect)) return writeRoutes(context, routePlan(context, effect));
  switch (effect.type) {
    case 'addFinalizer':
      return setFinalizers(context, (others) => [...others, FINALIZER]);
    case 'removeFinalizer':
      return setFinalizers(context, (others) => others);
    case 'seedReplicas':
      await context.writer.patch(SluiceResources.Canary, context.canary, versioned({ spec: { replicas: effect.replicas } }, newest(context)), context.cache.canaries);
      return;
    case 'keepRevision':
      return keepRevision(context, effect.revision);
    case 'createSlotServices':
      return createServices(context);
    case 'deleteControl':
      return deleteServices(context, Object.values(controlNames(canaryNames(context.canary.spec).slots)));
    case 'fillSlot':
      return fillSlot(context, effect);
    case 'scaleSlot':
      return scaleSlot(context, effect.slot, effect.replicas);
    case 'restartSlot':
      return restartSlot(context, effect.slot, effect.at);
    case 'selectService':
      return selectService(context, effect.slots);
    case 'selectTarget':
      return layOverServices(context, TARGET_MARK);
    case 'markTarget':
      return markTarget(context);
    case 'unmarkTarget':
      return unmarkTarget(context.cache, context.writer, keyOf(context.canary));
    case 'releaseServices':
      return releaseServices(context);
    case 'overlayTarget':
      return overlayTarget(context);
    case 'attach':
      return attach(context, effect.stable);
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

/** The Canary with our own writes of this very tick. */
const newest = ({ cache, canary }: ApplyContext): Canary => cache.canaries.get(canary.metadata.namespace, canary.metadata.name) ?? canary;

async function setFinalizers(context: ApplyContext, change: (others: string[]) => string[]): Promise<void> {
  const live = newest(context);
  const finalizers = change((live.metadata.finalizers ?? []).filter((item) => item !== FINALIZER));
  await context.writer.patch(SluiceResources.Canary, live, versioned({ metadata: { finalizers } }, live), context.cache.canaries);
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
  // With subsets the routes name the Service of all callers, and no other is needed.
  const slots = names.subsets ? [] : SLOTS.map((slot) => slotService(identity, slot, callers));
  const control = names.control ? SLOTS.map((slot) => controlService(identity, slot, callers)) : [];
  for (const wanted of [...slots, ...control]) {
    const live = cache.services.get(identity.namespace, wanted.metadata.name);
    if (!live) await writer.create(Resources.Service, wanted, cache.services);
    else await keepAlike(context, live, wanted);
  }
  if (callers) return;
  const labels = (targetOf(cache, canary)?.['spec'] as { selector?: { matchLabels?: Record<string, string> } } | undefined)?.selector?.matchLabels;
  if (labels) await writer.create(Resources.Service, callerService(identity, labels), cache.services);
}

async function keepAlike({ cache, writer, canary }: ApplyContext, live: KubeObject, wanted: KubeObject): Promise<void> {
  assertOurs(live, canary);
  const patch = slotServicePatch(live, wanted);
  if (patch) await writer.patch(Resources.Service, live, versioned(patch, live), cache.services);
}

async function fillSlot(context: ApplyContext, effect: Extract<Effect, { type: 'fillSlot' }>): Promise<void> {
  const { cache, writer, canary } = context;
  const data = readRevision(cache, canary, effect.revision);
  if (!data) throw new Waiting(`ControllerRevision of revision ${effect.revision} is not visible yet`);
  const { resource, informer } = workloadsOf(cache, canary);
  const wanted = slotWorkload(identityOf(canary), effect.slot, effect.revision, data, targetOf(cache, canary), effect.replicas);
  const live = informer.get(wanted.metadata.namespace, wanted.metadata.name);
  if (!live) {
    await writer.create(resource, wanted, informer);
    return;
  }
  assertOurs(live, canary);
  // Whole, with the version that was seen: a slot that meanwhile got pods is not overwritten.
  await writer.update(
    resource,
    { ...live, metadata: { ...live.metadata, labels: { ...live.metadata.labels, ...wanted.metadata.labels } }, spec: { ...(wanted['spec'] as object) } },
    informer,
  );
}

async function scaleSlot({ cache, writer, canary }: ApplyContext, slot: SlotName, replicas: number): Promise<void> {
  const { resource, informer } = workloadsOf(cache, canary);
  const live = informer.get(canary.metadata.namespace, canaryNames(canary.spec).slots[slot]);
  if (!live) return;
  assertOurs(live, canary);
  // Somebody may have given the slot weight since the watch broke.
  if (replicas === 0 && !cache.virtualServices.following) throw new Waiting('the routes are not seen at the moment; the slot is emptied when they are');
  if (resource.kind === 'DaemonSet') await runNowhere(writer, live, replicas === 0, informer);
  else await writer.scale(resource, live, replicas, informer);
}

/** Takes a DaemonSet's pods away, or lets it have them. */
async function runNowhere(writer: Writer, live: KubeObject, away: boolean, informer: IndexedInformer<KubeObject>): Promise<void> {
  const { resourceVersion } = live.metadata;
  const nodeSelector = { [Labels.nowhere]: away ? NOWHERE[Labels.nowhere] : null };
  await writer.patch(Resources.DaemonSet, live, { metadata: { resourceVersion }, spec: { template: { spec: { nodeSelector } } } }, informer);
}

async function restartSlot({ cache, writer, canary }: ApplyContext, slot: SlotName, at: string): Promise<void> {
  const { resource, informer } = workloadsOf(cache, canary);
  const live = informer.get(canary.metadata.namespace, canaryNames(canary.spec).slots[slot]);
  if (!live) return;
  assertOurs(live, canary);
  const { resourceVersion } = live.metadata;
  await writer.patch(resource, live, { metadata: { resourceVersion }, spec: { template: { metadata: { annotations: { [Annotations.restartedAt]: at } } } } }, informer);
}

type RouteEffect = Extract<Effect, { type: 'prepareRoutes' | 'setWeights' | 'releaseRoutes' }>;
const isOfRoutes = (effect: Effect): effect is RouteEffect => effect.type === 'prepareRoutes' || effect.type === 'setWeights' || effect.type === 'releaseRoutes';

function routePlan({ cache, router, canary }: ApplyContext, effect: RouteEffect): RoutePlan {
  const input = routeInput(cache, canary);
  if (effect.type === 'prepareRoutes') return router.prepare(input);
  return effect.type === 'setWeights' ? router.plan(input, effect.weights, effect.extras) : router.release(input, effect.keepRules);
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
  else await writer.delete(write.resource, write.object);
}

async function selectService(context: ApplyContext, slots: SlotName[]): Promise<void> {
  const [only] = slots;
  return layOverServices(context, slots.length === 1 && only ? only : null);
}

/** @param slot null selects both slots. */
async function layOverServices(context: ApplyContext, slot: SlotName | typeof TARGET_MARK | null): Promise<void> {
  const { cache, writer, canary } = context;
  for (const service of callerServices(cache, canary, targetOf(cache, canary))) {
    const fields: Fields = {
      [pointer('spec', 'selector', Labels.canary)]: canary.metadata.name,
      [pointer('spec', 'selector', Labels.slot)]: isRouted(service, canary) && slot !== TARGET_MARK ? null : slot,
    };
    if (selectorOf(service) === undefined) throw new Terminal('InvalidSpec', `Service ${service.metadata.name} has no selector; give it one that matches the pods of the target`);
    const patch = layOver(service, canary.metadata.name, fields);
    if (patch) await overlay(writer, Resources.Service, service, patch, cache.services);
  }
}

/** Pods that were not analysed would be called by what cannot be changed: that is for a person to mend (trap K2). */
async function overlay(writer: Writer, resource: Resource, object: KubeObject, patch: Record<string, unknown>, into: IndexedInformer<KubeObject>): Promise<void> {
  try {
    await writer.patch(resource, object, versioned(patch, object), into);
  } catch (error) {
    if (!(error instanceof KubeError) || (error.code !== 403 && error.code !== 422)) throw error;
    throw new Terminal('OverlayRefused', `${resource.kind} ${object.metadata.name} selects the pods of the target and may not be changed: ${error.message}. Let Sluice patch it, or let it select other pods`);
  }
}

/** The patch is refused when the object is no longer the one that it was made from. */
function versioned(patch: Record<string, unknown>, object: KubeObject): Record<string, unknown> {
  return { ...patch, metadata: { ...(patch['metadata'] as object), resourceVersion: object.metadata.resourceVersion } };
}

/** Pods of the bare target are watched by nobody, so they are listed here, once per deletion; the mark brings them into the cache. */
async function markTarget(context: ApplyContext): Promise<void> {
  const { cache, writer, canary } = context;
  const labels = podLabels(targetOf(cache, canary)) ?? {};
  const labelSelector = [...Object.entries(labels).map(([key, value]) => `${key}=${value}`), `!${Labels.slot}`].join(',');
  for (const pod of await writer.list(Resources.Pod, canary.metadata.namespace, labelSelector))
    if (pod.metadata.deletionTimestamp === undefined) await labelPod(writer, pod, { [Labels.canary]: canary.metadata.name, [Labels.slot]: TARGET_MARK }, cache.pods);
}

/** @param key of the Canary, which may be gone. */
export async function unmarkTarget(cache: Cache, writer: Writer, key: string): Promise<void> {
  for (const pod of markedPods(cache, key)) await labelPod(writer, pod, { [Labels.canary]: null, [Labels.slot]: null });
}

async function labelPod(writer: Writer, pod: KubeObject, labels: Record<string, string | null>, into?: IndexedInformer<KubeObject>): Promise<void> {
  try {
    await writer.patch(Resources.Pod, pod, { metadata: { labels, uid: pod.metadata.uid } }, into);
  } catch (error) {
    // A pod that went by itself needs no mark.
    if (!isNotFound(error)) throw error;
  }
}

async function releaseServices(context: ApplyContext): Promise<void> {
  const { cache, writer, canary } = context;
  for (const service of callerServices(cache, canary, targetOf(cache, canary))) {
    const patch = liftOff(service);
    if (patch) await writer.patch(Resources.Service, service, versioned(patch, service), cache.services);
  }
}

async function attach(context: ApplyContext, stable: SlotName | undefined): Promise<void> {
  const { cache, writer, canary } = context;
  for (const write of attachmentWrites(cache, canary, targetOf(cache, canary), stable)) {
    const { resource, object, into } = write;
    if (write.op === 'patch') await overlay(writer, resource, object, write.patch, into);
    else if (write.op === 'create') await writer.create(resource, object, into);
    else if (write.op === 'update') await writer.update(resource, object, into);
    else await writer.delete(resource, object);
  }
}

async function overlayTarget(context: ApplyContext): Promise<void> {
  const { cache, writer, canary } = context;
  const target = targetOf(cache, canary);
  const { resource, informer } = workloadsOf(cache, canary);
  const none: Fields = resource.kind === 'DaemonSet' ? { [NOWHERE_FIELD]: NOWHERE[Labels.nowhere] } : { '/spec/replicas': 0 };
  const patch = target && layOver(target, canary.metadata.name, none);
  if (target && patch) await writer.patch(resource, target, versioned(patch, target), informer);
}

async function restoreTarget(context: ApplyContext, replicas: number): Promise<void> {
  const { cache, writer, canary } = context;
  const { resource, informer } = workloadsOf(cache, canary);
  const target = targetOf(cache, canary);
  if (!target) return;
  const lifted = readOverlay(target) ? liftOff(target) : {};
  // An autoscaler may have raised the number since the user wrote theirs: what serves now is what must go on serving.
  if (resource.kind === 'DaemonSet') {
    if (lifted) await writer.patch(resource, target, versioned(lifted, target), informer);
    const now = informer.get(target.metadata.namespace, target.metadata.name);
    // An overlay that lost its memo left this behind.
    if (now && readWorkload(now)?.spec?.replicas === 0) await runNowhere(writer, now, false, informer);
    return;
  }
  const patch = { ...lifted, spec: { ...(lifted?.['spec'] as object | undefined), replicas } };
  await writer.patch(resource, target, versioned(patch, target), informer);
}

async function deleteSlots({ cache, writer, canary }: ApplyContext): Promise<void> {
  const key = keyOf(canary);
  const { resource, informer } = workloadsOf(cache, canary);
  for (const workload of informer.byIndex(Index.canary, key)) await writer.delete(resource, workload);
  const { slots } = canaryNames(canary.spec);
  await deleteServices({ cache, writer, canary }, [...Object.values(slots), ...Object.values(controlNames(slots))]);
  for (const revision of cache.revisions.byIndex(Index.canary, key)) await deleteRevision({ cache, writer, canary }, revision, new Set());
  // Frozen copies that no revision names: somebody died, or the target changed, between the two writes.
  for (const config of cache.configMaps.byIndex(Index.canary, key)) if (config.metadata.labels?.[Labels.configOf]) await writer.delete(Resources.ConfigMap, config);
}

async function deleteServices({ cache, writer, canary }: Pick<ApplyContext, 'cache' | 'writer' | 'canary'>, names: string[]): Promise<void> {
  for (const service of cache.services.byIndex(Index.canary, keyOf(canary))) if (names.includes(service.metadata.name)) await writer.delete(Resources.Service, service);
}

async function finishAction({ cache, writer, canary, now }: ApplyContext, effect: Extract<Effect, { type: 'finishAction' }>): Promise<void> {
  const action = cache.actions.get(canary.metadata.namespace, effect.name);
  if (!action || action.status?.result) return;
  const status = { result: effect.result, message: effect.message, at: new Date(now()).toISOString() };
  await writer.patch(SluiceResources.CanaryAction, action, versioned({ status }, action), cache.actions, { subresource: 'status' });
}

type RevisionContext = Pick<ApplyContext, 'cache' | 'writer' | 'canary'>;
interface StoredConfig {
  kind: string;
  snapshot?: string | null;
}
const configsOf = (revision: KubeObject): StoredConfig[] => (revision['data'] as { configs?: StoredConfig[] } | undefined)?.configs ?? [];

/** Delete a revision with the frozen configuration that no other revision uses. */
async function deleteRevision({ cache, writer, canary }: RevisionContext, revision: KubeObject, used: Set<string>): Promise<void> {
  for (const { kind, snapshot } of configsOf(revision)) {
    if (typeof snapshot !== 'string' || used.has(`${kind}/${snapshot}`)) continue;
    const { namespace = '' } = canary.metadata;
    // As it was seen, where it is watched; copies of Secrets are not.
    const seen = kind === 'ConfigMap' ? cache.configMaps.get(namespace, snapshot) : undefined;
    await writer.delete(snapshotResource(kind), seen ?? { apiVersion: 'v1', kind, metadata: { name: snapshot, namespace } });
  }
  await writer.delete(Resources.ControllerRevision, revision);
}

/** Forget revisions that are neither kept, nor in a slot, nor wanted by the target. */
async function pruneRevisions(context: ApplyContext, keep: string[]): Promise<void> {
  const { cache, canary, desired } = context;
  const { informer } = workloadsOf(cache, canary);
  const live = SLOTS.flatMap((slot) => informer.get(canary.metadata.namespace, canaryNames(canary.spec).slots[slot])?.metadata.labels?.[Labels.revision] ?? []);
  const wanted = new Set([...keep, ...live, ...(desired && 'revision' in desired ? [desired.revision.name] : [])]);
  const all = cache.revisions.byIndex(Index.canary, keyOf(canary));
  const kept = all.filter((revision) => wanted.has(revision.metadata.labels?.[Labels.revision] ?? ''));
  const used = new Set(kept.flatMap((revision) => configsOf(revision).map(({ kind, snapshot }) => `${kind}/${snapshot}`)));
  for (const revision of all) if (!kept.includes(revision)) await deleteRevision(context, revision, used);
}
