import { z } from 'zod';
import { FINALIZER, Labels, type Canary, type CanaryStatus, type SlotName } from '../api/index.js';
import type { Problem } from '../core/evidence.js';
import { canaryNames, controlNames, hasSubsets, OWN_MANAGERS, ownVirtualServices, SLOTS } from '../core/names.js';
import type { ActionObservation, Observation, SlotObservation } from '../core/observation.js';
import type { Traffic } from '../core/outdated.js';
import { readOverlay, userValue } from '../core/overlay.js';
import { perObject } from '../core/per-object.js';
import { restartOf } from '../core/workload.js';
import type { KubeObject } from '../kube/index.js';
import { attachmentWrites } from './attachments.js';
import { observeAutoscaler } from './autoscaler.js';
import { firstLabel, Index, keyOf, overlaidKey, selectedKey, selectorOf, type Cache } from './cache.js';
import { isReady, podLabels, readWorkload, readyIn } from './facts.js';
import { podFailure } from './pod-failure.js';
import type { Router, RouteInput } from './ports.js';
import { resetsOf } from './resets.js';
import type { Desired } from './revisions.js';
import { targetOf, workloadsOf } from './workloads.js';

/** Value of the slot's label on pods that belong to the target itself. */
export const TARGET_MARK = 'target';

/** Ready endpoints of a Service, over all its slices. */
function readyEndpoints(cache: Cache, namespace: string, service: string): Set<string> {
  const names = new Set<string>();
  for (const slice of cache.endpointSlices.byIndex(Index.service, `${namespace}/${service}`)) for (const name of readyIn(slice)) names.add(name);
  return names;
}

/** Ready endpoints that routes reach a slot by: those of its Service, or its pods among those of the Service of all callers. */
function slotEndpoints(cache: Cache, canary: Canary, slot: SlotName, pods: KubeObject[]): Set<string> {
  const namespace = canary.metadata.namespace ?? '';
  const { service, slots, subsets } = canaryNames(canary.spec);
  if (!subsets) return readyEndpoints(cache, namespace, slots[slot]);
  const all = readyEndpoints(cache, namespace, service);
  return new Set(pods.map((pod) => pod.metadata.name).filter((name) => all.has(name)));
}

/** On how many nodes a DaemonSet runs, by what is known of the target and its slots; undefined for a Deployment. */
function nodesOf(cache: Cache, canary: Canary, target: KubeObject | undefined): number | undefined {
  if (canary.spec.targetRef.kind !== 'DaemonSet') return undefined;
  const { informer } = workloadsOf(cache, canary);
  const slots = Object.values(canaryNames(canary.spec).slots).map((name) => informer.get(canary.metadata.namespace, name));
  return Math.max(1, ...[target, ...slots].map((workload) => (workload && readWorkload(workload)?.spec?.replicas) ?? 0));
}

/** The slot's second Service, wanted or not. */
function controlOf(cache: Cache, { metadata, spec }: Canary, slot: SlotName): Pick<SlotObservation, 'control'> {
  const name = controlNames(canaryNames(spec).slots)[slot];
  if (cache.services.get(metadata.namespace, name)?.metadata.labels?.[Labels.canary] !== metadata.name) return {};
  return { control: { endpoints: readyEndpoints(cache, metadata.namespace ?? '', name).size } };
}

function observeSlot(cache: Cache, canary: Canary, slot: SlotName, nodes: number | undefined): SlotObservation {
  const namespace = canary.metadata.namespace ?? '';
  const name = canaryNames(canary.spec).slots[slot];
  const live = workloadsOf(cache, canary).informer.get(namespace, name);
  const ours = live?.metadata.labels?.[Labels.canary] === canary.metadata.name ? live : undefined;
  const all = cache.pods.byIndex(Index.slot, `${namespace}/${canary.metadata.name}/${slot}`);
  const pods = all.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const endpoints = slotEndpoints(cache, canary, slot, all);
  const ready = pods.filter((pod) => isReady(pod) && endpoints.has(pod.metadata.name)).length;
  const failure = pods.map(podFailure).find((words) => words !== undefined);
  return {
    ...(ours ? observeWorkload(ours, nodes) : { replicas: 0, exceeded: false }),
    ready,
    endpoints: endpoints.size,
    pods: Math.max(pods.length, ours ? unseenPods(ours) : 0),
    ...(failure === undefined ? {} : { failure }),
    ...oldestOf(pods),
    ...controlOf(cache, canary, slot),
  };
}

/**
 * Pods of a slot that was scaled to zero, as its Deployment counts them: those that were made a moment ago may not be in the cache
 * yet. Until the Deployment has been looked at since its last change, there may be one.
 */
function unseenPods(live: KubeObject): number {
  const data = readWorkload(live);
  if (data?.spec?.replicas !== 0) return 0;
  return data.status?.observedGeneration === live.metadata.generation ? (data.status?.replicas ?? 0) : 1;
}

function oldestOf(pods: KubeObject[]): Pick<SlotObservation, 'oldestPod'> {
  const made = pods.map((pod) => Date.parse(pod.metadata.creationTimestamp ?? '')).filter((at) => !Number.isNaN(at));
  return made.length > 0 ? { oldestPod: Math.min(...made) } : {};
}

/** A DaemonSet asks for a pod on every node, or for none. */
function replicasOf(data: ReturnType<typeof readWorkload>, nodes: number | undefined): number {
  const own = data?.spec?.replicas;
  return nodes !== undefined && own !== 0 ? nodes : (own ?? 0);
}

function observeWorkload(live: KubeObject, nodes: number | undefined): Pick<SlotObservation, 'revision' | 'replicas' | 'exceeded' | 'edited' | 'restartedAt'> {
  const data = readWorkload(live);
  const current = data?.status?.observedGeneration === live.metadata.generation;
  const revision = live.metadata.labels?.[Labels.revision];
  const held = data?.spec?.template?.metadata?.labels?.[Labels.revision];
  const restartedAt = restartOf(live);
  return {
    ...(revision === undefined ? {} : { revision }),
    replicas: replicasOf(data, nodes),
    exceeded: current && (data?.status?.conditions ?? []).some((item) => item.type === 'Progressing' && item.reason === 'ProgressDeadlineExceeded'),
    ...(restartedAt === undefined ? {} : { restartedAt }),
    ...(revision !== undefined && held !== revision ? { edited: `${live.kind} ${live.metadata.name} carries template revision ${held ?? 'none'}` } : {}),
  };
}

/** Services whose selector matches the pods of the target: callers reach them, so all must select the slot that serves (trap K2). */
export function callerServices(cache: Cache, canary: Canary, target: KubeObject | undefined): KubeObject[] {
  const namespace = canary.metadata.namespace ?? '';
  const labels = podLabels(target);
  const names = canaryNames(canary.spec);
  const own = new Set([...Object.values(names.slots), ...Object.values(controlNames(names.slots))]);
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

/** The Service whose subsets the routes name has to select both slots, whatever the others do. */
export const isRouted = (service: KubeObject, { spec }: Canary): boolean => hasSubsets(spec) && service.metadata.name === canaryNames(spec).service;

function observeService(services: KubeObject[], canary: Canary): Observation['service'] {
  const slow = services.some(isSlow) ? { slow: true } : {};
  const routed = services.find((service) => isRouted(service, canary));
  const now = routed && selects(routed, canary);
  // One slot alone is what the routed Service must never select.
  if (now === 'blue' || now === 'green') return slow;
  const others = services.filter((service) => service !== routed).map((service) => selects(service, canary));
  const answers = new Set(now === undefined || now === 'both' ? others : [now, ...others]);
  const [only] = answers;
  if (only === undefined) return { selects: now ? 'slots' : 'none', ...slow };
  return { ...(answers.size === 1 ? { selects: only } : {}), ...slow };
}

/** Pods of the target itself that carry the mark of the hand-over. */
export const markedPods = (cache: Cache, key: string): KubeObject[] => cache.pods.byIndex(Index.slot, `${key}/${TARGET_MARK}`);

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const applied = z.object({ spec: z.object({ replicas: z.unknown().optional() }) });

/** Client-side apply took the number out of the manifest: the 1 that the server puts in its place is nobody's wish. */
const isDefaulted = perObject((target: KubeObject): boolean => {
  const text = target.metadata.annotations?.[LAST_APPLIED];
  if (text === undefined || userValue(target, '/spec/replicas') !== 1) return false;
  try {
    const read = applied.safeParse(JSON.parse(text));
    return read.success && read.data.spec.replicas === undefined;
  } catch {
    return false;
  }
});

const selecting = z.object({ spec: z.object({ selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }) }) });
const selectorText = perObject((target: KubeObject): string | undefined => {
  const { matchLabels } = selecting.safeParse(target).data?.spec.selector ?? {};
  return matchLabels && Object.entries(matchLabels).map(([label, value]) => `${label}=${value}`).join(',');
});

function observeTarget(target: KubeObject | undefined, known: number | undefined, marked: () => number): Observation['target'] {
  if (!target) return undefined;
  const data = readWorkload(target);
  const wished = known !== undefined && isDefaulted(target) ? known : userValue(target, '/spec/replicas');
  const readyReplicas = data?.status?.observedGeneration === target.metadata.generation ? (data?.status?.readyReplicas ?? 0) : 0;
  const restartedAt = restartOf(target);
  const selector = selectorText(target);
  return {
    ...(selector ? { selector } : {}),
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
  const wanted = new Set([names.service, ...ownVirtualServices(canary.spec).map(({ name }) => name)]);
  const overlaid = cache.virtualServices.byIndex(Index.canary, keyOf(canary));
  const named = [...wanted].flatMap((name) => cache.virtualServices.get(namespace, name) ?? []);
  const called = (canary.spec.analysis.steps ?? []).flatMap(({ fault }) => (fault ? [fault.host] : []));
  // With subsets, whoever else sends to the Service reaches both slots.
  const sending = names.subsets ? cache.virtualServices.byIndex(Index.destination, names.service) : [];
  const hosting = [names.service, ...called].flatMap((host) => cache.virtualServices.byIndex(Index.service, `${namespace}/${firstLabel(host)}`));
  const hosts = [names.service, ...Object.values(names.slots), ...Object.values(names.control ?? {})];
  const rules = [...hosts, '*'].flatMap((host) => cache.destinationRules.byIndex(Index.service, host));
  return { canary, names, virtualServices: [...new Set([...named, ...overlaid, ...hosting, ...sending])], destinationRules: [...new Set(rules)] };
}

/** What was gathered for one tick beyond the caches. */
export interface Gathered extends Pick<Observation, 'measurements' | 'windows' | 'hooks' | 'counted'> {
  writeError?: string;
  refused?: Problem;
  problems: Problem[];
}

const answersIn = ({ measurements, windows, hooks, counted, writeError, refused }: Gathered): Partial<Observation> => ({
  ...(measurements ? { measurements } : {}),
  ...(windows ? { windows } : {}),
  ...(hooks ? { hooks } : {}),
  ...(counted?.length ? { counted } : {}),
  ...(writeError ? { writeError } : {}),
  ...(refused ? { refused } : {}),
});

/** Budgets and autoscalers are touched between the adoption and the end. */
function isAttached(cache: Cache, canary: Canary, target: KubeObject | undefined): boolean {
  const stable = canary.status?.stable?.slot;
  const deleting = canary.metadata.deletionTimestamp !== undefined;
  if (!deleting && stable === undefined) return true;
  return attachmentWrites(cache, canary, target, deleting ? undefined : stable).length === 0;
}

/** The facts that may change between a decision and its effects. */
export function observeTraffic(cache: Cache, router: Router, canary: Canary): Traffic {
  return { slots: observeSlots(cache, canary, nodesOf(cache, canary, targetOf(cache, canary))), routes: router.observe(routeInput(cache, canary)) };
}

const observeSlots = (cache: Cache, canary: Canary, nodes: number | undefined): Observation['slots'] =>
  Object.fromEntries(SLOTS.map((slot) => [slot, observeSlot(cache, canary, slot, nodes)])) as Observation['slots'];

/** When Sluice last wrote the routes, as the server says, in unix milliseconds at whole seconds; a metadata-only write counts, too. */
export function lastWrite(cache: Cache, canary: Canary): number | undefined {
  const own = routeInput(cache, canary).virtualServices.flatMap(({ metadata }) => metadata.managedFields ?? []).filter(({ manager }) => manager !== undefined && OWN_MANAGERS.includes(manager));
  const times = own.map(({ time }) => Date.parse(time ?? '')).filter((at) => !Number.isNaN(at));
  return times.length > 0 ? Math.max(...times) : undefined;
}

/** What is known of pods may be old: nothing may be blamed on them. */
const isBlind = (cache: Cache, canary: Canary): boolean => ![cache.pods, cache.endpointSlices, workloadsOf(cache, canary).informer].every(({ following }) => following);

/** Every fact that one decision may use, from the caches alone. */
export function observe(cache: Cache, router: Router, canary: Canary, desired: Desired, gathered: Gathered): Observation {
  const target = targetOf(cache, canary);
  const nodes = nodesOf(cache, canary, target);
  const slots = observeSlots(cache, canary, nodes);
  const observedTarget = observeTarget(target, canary.status?.targetReplicas, () => markedPods(cache, keyOf(canary)).filter(isReady).length);
  const workload = { ...(nodes === undefined ? {} : { nodes }), ...(observedTarget ? { target: observedTarget } : {}) };
  const autoscaler = observeAutoscaler(cache, canary);
  const routes = router.observe(routeInput(cache, canary));
  const resets = [...resetsOf(cache, canary, target), ...(routes.resets ?? [])];
  const deleting = canary.metadata.deletionTimestamp !== undefined;
  const problems = [...gathered.problems, ...(deleting ? [] : (routes.problems ?? []))];
  if (desired && 'problem' in desired) problems.push(desired.problem);
  for (const slot of SLOTS) {
    const { edited } = slots[slot];
    if (edited) problems.push({ reason: 'SlotEdited', message: `${edited}, but its label says ${slots[slot].revision}: somebody edited a slot. Change the target instead, then run: sluice retry` });
  }
  return {
    name: canary.metadata.name,
    namespace: canary.metadata.namespace ?? '',
    generation: canary.metadata.generation ?? 0,
    deleting,
    ...(isBlind(cache, canary) ? { blind: true } : {}),
    finalizer: canary.metadata.finalizers?.includes(FINALIZER) ?? false,
    slots,
    routes,
    service: observeService(callerServices(cache, canary, target), canary),
    attached: isAttached(cache, canary, target),
    problems,
    actions: observeActions(cache, canary),
    ...(autoscaler ? { autoscaler } : {}),
    ...(resets.length > 0 ? { resets } : {}),
    ...workload,
    ...(desired && 'observation' in desired ? { desired: desired.observation } : {}),
    ...answersIn(gathered),
  };
}

/** Messages that their receivers have accepted leave the outbox. */
export function withoutDelivered(status: CanaryStatus, delivered: ReadonlySet<string>): CanaryStatus {
  if (!status.messages?.length || delivered.size === 0) return status;
  const messages = status.messages.map((message) => ({ ...message, to: message.to.filter((receiver) => !delivered.has(`${message.id}>${receiver}`)) }));
  return { ...status, messages: messages.filter((message) => message.to.length > 0) };
}
