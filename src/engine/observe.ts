import { FINALIZER, Labels, type Canary, type CanaryStatus, type SlotName } from '../api/index.js';
import type { HookAnswer, Measurement, Problem } from '../core/evidence.js';
import { canaryNames, SLOTS } from '../core/names.js';
import type { ActionObservation, Observation, SlotObservation } from '../core/observation.js';
import { readOverlay, userValue } from '../core/overlay.js';
import { restartOf } from '../core/workload.js';
import type { KubeObject } from '../kube/index.js';
import { attachmentWrites } from './attachments.js';
import { firstLabel, Index, keyOf, overlaidKey, selectedKey, selectorOf, type Cache } from './cache.js';
import { isReady, podLabels, readDeployment, readyIn } from './facts.js';
import { podFailure } from './pod-failure.js';
import type { Router, RouteInput } from './ports.js';
import type { Desired } from './revisions.js';

/** Value of the slot's label on pods that belong to the target itself. */
export const TARGET_MARK = 'target';

/** Ready endpoints of a Service, over all its slices. */
export function readyEndpoints(cache: Cache, namespace: string, service: string): Set<string> {
  const names = new Set<string>();
  for (const slice of cache.endpointSlices.byIndex(Index.service, `${namespace}/${service}`)) for (const name of readyIn(slice)) names.add(name);
  return names;
}

function observeSlot(cache: Cache, canary: Canary, slot: SlotName): SlotObservation {
  const namespace = canary.metadata.namespace ?? '';
  const name = canaryNames(canary.spec).slots[slot];
  const live = cache.deployments.get(namespace, name);
  const ours = live?.metadata.labels?.[Labels.canary] === canary.metadata.name ? live : undefined;
  const pods = cache.pods.byIndex(Index.slot, `${namespace}/${canary.metadata.name}/${slot}`).filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const endpoints = readyEndpoints(cache, namespace, name);
  const ready = pods.filter((pod) => isReady(pod) && endpoints.has(pod.metadata.name)).length;
  const failure = pods.map(podFailure).find((words) => words !== undefined);
  return {
    ...(ours ? observeDeployment(ours) : { replicas: 0, exceeded: false }),
    ready,
    endpoints: endpoints.size,
    pods: Math.max(pods.length, ours ? unseenPods(ours) : 0),
    ...(failure === undefined ? {} : { failure }),
    ...oldestOf(pods),
  };
}

/**
 * Pods of a slot that was scaled to zero, as its Deployment counts them: those that were made a moment ago may not be in the cache
 * yet. Until the Deployment has been looked at since its last change, there may be one.
 */
function unseenPods(live: KubeObject): number {
  const data = readDeployment(live);
  if (data?.spec?.replicas !== 0) return 0;
  return data.status?.observedGeneration === live.metadata.generation ? (data.status?.replicas ?? 0) : 1;
}

function oldestOf(pods: KubeObject[]): Pick<SlotObservation, 'oldestPod'> {
  const made = pods.map((pod) => Date.parse(pod.metadata.creationTimestamp ?? '')).filter((at) => !Number.isNaN(at));
  return made.length > 0 ? { oldestPod: Math.min(...made) } : {};
}

function observeDeployment(live: KubeObject): Pick<SlotObservation, 'revision' | 'replicas' | 'exceeded' | 'edited' | 'restartedAt'> {
  const data = readDeployment(live);
  const current = data?.status?.observedGeneration === live.metadata.generation;
  const revision = live.metadata.labels?.[Labels.revision];
  const held = data?.spec?.template?.metadata?.labels?.[Labels.revision];
  const restartedAt = restartOf(live);
  return {
    ...(revision === undefined ? {} : { revision }),
    replicas: data?.spec?.replicas ?? 0,
    exceeded: current && (data?.status?.conditions ?? []).some((item) => item.type === 'Progressing' && item.reason === 'ProgressDeadlineExceeded'),
    ...(restartedAt === undefined ? {} : { restartedAt }),
    ...(revision !== undefined && held !== revision ? { edited: `Deployment ${live.metadata.name} carries template revision ${held ?? 'none'}` } : {}),
  };
}

/** Services whose selector matches the pods of the target: callers reach them, so all must select the slot that serves (trap K2). */
export function callerServices(cache: Cache, canary: Canary, target: KubeObject | undefined): KubeObject[] {
  const namespace = canary.metadata.namespace ?? '';
  const labels = podLabels(target);
  const names = canaryNames(canary.spec);
  const own = new Set(Object.values(names.slots));
  const found = new Set(cache.services.byIndex(Index.callers, overlaidKey(namespace, canary.metadata.name)));
  const named = cache.services.get(namespace, names.service);
  if (named && !readOverlay(named)) found.add(named);
  for (const [label, value] of Object.entries(labels ?? {}))
    for (const service of cache.services.byIndex(Index.callers, selectedKey(namespace, label, value)))
      if (Object.entries(selectorOf(service) ?? {}).every(([key, wanted]) => labels?.[key] === wanted)) found.add(service);
  return [...found].filter((service) => !own.has(service.metadata.name));
}

function selects(service: KubeObject, canary: Canary): 'target' | 'marked' | SlotName | 'both' {
  const selector = selectorOf(service) ?? {};
  if (selector[Labels.canary] !== canary.metadata.name) return 'target';
  const slot = selector[Labels.slot];
  if (slot === TARGET_MARK) return 'marked';
  return slot === undefined ? 'both' : slot === 'green' ? 'green' : 'blue';
}

interface ServiceSpec {
  clusterIP?: string;
  type?: string;
  externalTrafficPolicy?: string;
}

/** Its callers hold addresses of pods: from DNS, or as the targets of a load balancer. */
function isSlow(service: KubeObject): boolean {
  const { clusterIP, type, externalTrafficPolicy } = (service['spec'] ?? {}) as ServiceSpec;
  return clusterIP === 'None' || type === 'LoadBalancer' || externalTrafficPolicy === 'Local';
}

function observeService(services: KubeObject[], canary: Canary): Observation['service'] {
  const answers = new Set(services.map((service) => selects(service, canary)));
  const [only] = answers;
  if (answers.size === 0) return { selects: 'none' };
  return { ...(answers.size === 1 && only ? { selects: only } : {}), ...(services.some(isSlow) ? { slow: true } : {}) };
}

/** Pods of the target itself that carry the mark of the hand-over. */
export const markedPods = (cache: Cache, canary: Canary): KubeObject[] => cache.pods.byIndex(Index.slot, `${keyOf(canary)}/${TARGET_MARK}`);

function observeTarget(target: KubeObject | undefined, marked: () => number): Observation['target'] {
  if (!target) return undefined;
  const data = readDeployment(target);
  const wished = userValue(target, '/spec/replicas');
  const readyReplicas = data?.status?.observedGeneration === target.metadata.generation ? (data?.status?.readyReplicas ?? 0) : 0;
  const restartedAt = restartOf(target);
  return {
    ...(restartedAt === undefined ? {} : { restartedAt }),
    replicas: data?.spec?.replicas ?? 1,
    readyReplicas,
    overlaid: readOverlay(target) !== undefined,
    marked: marked(),
    userReplicas: typeof wished === 'number' ? wished : 1,
  };
}

function observeActions(cache: Cache, canary: Canary): ActionObservation[] {
  const actions = cache.actions.byIndex(Index.canary, keyOf(canary));
  actions.sort((a, b) => `${a.metadata.creationTimestamp}${a.metadata.name}`.localeCompare(`${b.metadata.creationTimestamp}${b.metadata.name}`));
  return actions.map((action) => ({
    name: action.metadata.name,
    verb: action.spec.verb,
    by: action.spec.by ?? 'somebody',
    finished: action.status?.result !== undefined,
    ...(action.spec.revision ? { revision: action.spec.revision } : {}),
    ...(action.spec.reason ? { reason: action.spec.reason } : {}),
  }));
}

/** What the router looks at: the objects that may belong to this Canary, not those of five hundred others. */
export function routeInput(cache: Cache, canary: Canary): RouteInput {
  const namespace = canary.metadata.namespace ?? '';
  const names = canaryNames(canary.spec);
  const wanted = new Set([names.service, canary.spec.service.virtualService?.name]);
  const overlaid = cache.virtualServices.byIndex(Index.canary, keyOf(canary));
  const named = [...wanted].flatMap((name) => (name === undefined ? [] : (cache.virtualServices.get(namespace, name) ?? [])));
  const called = (canary.spec.analysis.steps ?? []).flatMap(({ fault }) => (fault ? [fault.host] : []));
  const hosting = [names.service, ...called].flatMap((host) => cache.virtualServices.byIndex(Index.service, `${namespace}/${firstLabel(host)}`));
  const hosts = [names.service, ...Object.values(names.slots)];
  const rules = [...hosts, '*'].flatMap((host) => cache.destinationRules.byIndex(Index.service, host));
  return { canary, names, virtualServices: [...new Set([...named, ...overlaid, ...hosting])], destinationRules: [...new Set(rules)] };
}

/** What was gathered for one tick beyond the caches. */
export interface Gathered {
  measurements?: { metric: string; measurement: Measurement }[];
  hooks?: Record<string, HookAnswer>;
  writeError?: string;
  refused?: Problem;
  problems: Problem[];
}

/** Budgets and autoscalers are touched between the adoption and the end. */
function isAttached(cache: Cache, canary: Canary, target: KubeObject | undefined): boolean {
  const { adoptedAt, stable } = canary.status ?? {};
  if (adoptedAt === undefined) return true;
  return attachmentWrites(cache, canary, target, canary.metadata.deletionTimestamp === undefined ? stable?.slot : undefined).length === 0;
}

/** Every fact that one decision may use, from the caches alone. */
export function observe(cache: Cache, router: Router, canary: Canary, desired: Desired, gathered: Gathered): Observation {
  const target = cache.deployments.get(canary.metadata.namespace, canary.spec.targetRef.name);
  const slots = Object.fromEntries(SLOTS.map((slot) => [slot, observeSlot(cache, canary, slot)])) as Observation['slots'];
  const observedTarget = observeTarget(target, () => markedPods(cache, canary).filter(isReady).length);
  const problems = [...gathered.problems];
  if (desired && 'problem' in desired) problems.push(desired.problem);
  for (const slot of SLOTS) {
    const { edited } = slots[slot];
    if (edited) problems.push({ reason: 'SlotEdited', message: `${edited}, but its label says ${slots[slot].revision}: somebody edited a slot. Change the target instead, then run: sluice retry` });
  }
  return {
    name: canary.metadata.name,
    namespace: canary.metadata.namespace ?? '',
    generation: canary.metadata.generation ?? 0,
    deleting: canary.metadata.deletionTimestamp !== undefined,
    finalizer: canary.metadata.finalizers?.includes(FINALIZER) ?? false,
    slots,
    routes: router.observe(routeInput(cache, canary)),
    service: observeService(callerServices(cache, canary, target), canary),
    attached: isAttached(cache, canary, target),
    problems,
    actions: observeActions(cache, canary),
    ...(observedTarget ? { target: observedTarget } : {}),
    ...(desired && 'observation' in desired ? { desired: desired.observation } : {}),
    ...(gathered.measurements ? { measurements: gathered.measurements } : {}),
    ...(gathered.hooks ? { hooks: gathered.hooks } : {}),
    ...(gathered.writeError ? { writeError: gathered.writeError } : {}),
    ...(gathered.refused ? { refused: gathered.refused } : {}),
  };
}

/** Messages that their receivers have accepted leave the outbox. */
export function withoutDelivered(status: CanaryStatus, delivered: ReadonlySet<string>): CanaryStatus {
  if (!status.messages?.length || delivered.size === 0) return status;
  const messages = status.messages.map((message) => ({ ...message, to: message.to.filter((receiver) => !delivered.has(`${message.id}>${receiver}`)) }));
  return { ...status, messages: messages.filter((message) => message.to.length > 0) };
}
