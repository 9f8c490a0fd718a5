import { z } from 'zod';
import { FINALIZER, Labels, type Canary, type CanaryStatus, type SlotName } from '../api/index.js';
import type { HookAnswer, Measurement, Problem } from '../core/evidence.js';
import { canaryNames, SLOTS } from '../core/names.js';
import type { ActionObservation, Observation, SlotObservation } from '../core/observation.js';
import { readOverlay, userValue } from '../core/overlay.js';
import type { KubeObject } from '../kube/index.js';
import { Index, keyOf, type Cache } from './cache.js';
import { podFailure } from './pod-failure.js';
import type { Router, RouteInput } from './ports.js';
import type { Desired } from './revisions.js';

const deploymentSchema = z.looseObject({
  spec: z.looseObject({ replicas: z.int().optional(), template: z.looseObject({ metadata: z.looseObject({ labels: z.record(z.string(), z.string()).optional() }).optional() }).optional() }).optional(),
  status: z
    .looseObject({
      observedGeneration: z.int().optional(),
      readyReplicas: z.int().optional(),
      conditions: z.array(z.looseObject({ type: z.string(), reason: z.string().optional(), status: z.string() })).optional(),
    })
    .optional(),
});
const sliceSchema = z.looseObject({
  endpoints: z
    .array(z.looseObject({ conditions: z.looseObject({ ready: z.boolean().nullish() }).nullish(), targetRef: z.looseObject({ name: z.string().optional() }).nullish() }))
    .nullish(),
});
const podSchema = z.looseObject({
  status: z.looseObject({ conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).optional() }).optional(),
});
const serviceSchema = z.looseObject({ spec: z.looseObject({ selector: z.record(z.string(), z.string()).nullish() }).optional() });

export const selectorOf = (service: KubeObject): Record<string, string> | undefined => serviceSchema.safeParse(service).data?.spec?.selector ?? undefined;

/** Ready endpoints of a Service, over all its slices. */
export function readyEndpoints(cache: Cache, namespace: string, service: string): Set<string> {
  const names = new Set<string>();
  for (const slice of cache.endpointSlices.byIndex(Index.service, `${namespace}/${service}`)) {
    const { data } = sliceSchema.safeParse(slice);
    for (const [index, endpoint] of (data?.endpoints ?? []).entries())
      if (endpoint.conditions?.ready !== false) names.add(endpoint.targetRef?.name ?? `${slice.metadata.name}/${index}`);
  }
  return names;
}

const isReady = (pod: KubeObject): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  (podSchema.safeParse(pod).data?.status?.conditions ?? []).some((item) => item.type === 'Ready' && item.status === 'True');

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
    pods: pods.length,
    ...(failure === undefined ? {} : { failure }),
  };
}

function observeDeployment(live: KubeObject): Pick<SlotObservation, 'revision' | 'replicas' | 'exceeded' | 'edited'> {
  const { data } = deploymentSchema.safeParse(live);
  const current = data?.status?.observedGeneration === live.metadata.generation;
  const revision = live.metadata.labels?.[Labels.revision];
  const held = data?.spec?.template?.metadata?.labels?.[Labels.revision];
  return {
    ...(revision === undefined ? {} : { revision }),
    replicas: data?.spec?.replicas ?? 0,
    exceeded: current && (data?.status?.conditions ?? []).some((item) => item.type === 'Progressing' && item.reason === 'ProgressDeadlineExceeded'),
    ...(revision !== undefined && held !== revision ? { edited: `Deployment ${live.metadata.name} carries template revision ${held ?? 'none'}` } : {}),
  };
}

/** Services whose selector matches the pods of the target: callers reach them, so all must select the slot that serves (trap K2). */
export function callerServices(cache: Cache, canary: Canary, target: KubeObject | undefined): KubeObject[] {
  const namespace = canary.metadata.namespace ?? '';
  const labels = (target && deploymentSchema.safeParse(target).data?.spec?.template?.metadata?.labels) ?? undefined;
  const { service, slots } = canaryNames(canary.spec);
  return cache.services.byIndex(Index.namespace, namespace).filter((item) => {
    if (Object.values(slots).includes(item.metadata.name)) return false;
    const overlay = readOverlay(item);
    if (overlay) return overlay.canary === canary.metadata.name;
    if (item.metadata.name === service) return true;
    const selector = selectorOf(item);
    return labels !== undefined && selector !== undefined && Object.keys(selector).length > 0 && Object.entries(selector).every(([key, value]) => labels[key] === value);
  });
}

function selects(service: KubeObject, canary: Canary): 'target' | SlotName | 'both' {
  const selector = selectorOf(service) ?? {};
  if (selector[Labels.canary] !== canary.metadata.name) return 'target';
  const slot = selector[Labels.slot];
  return slot === undefined ? 'both' : slot === 'green' ? 'green' : 'blue';
}

function observeService(services: KubeObject[], canary: Canary): Observation['service'] {
  const answers = new Set(services.map((service) => selects(service, canary)));
  const [only] = answers;
  return answers.size === 1 && only ? { selects: only } : {};
}

function observeTarget(target: KubeObject | undefined): Observation['target'] {
  if (!target) return undefined;
  const { data } = deploymentSchema.safeParse(target);
  const wished = userValue(target, '/spec/replicas');
  const readyReplicas = data?.status?.observedGeneration === target.metadata.generation ? (data?.status?.readyReplicas ?? 0) : 0;
  return {
    replicas: data?.spec?.replicas ?? 1,
    readyReplicas,
    overlaid: readOverlay(target) !== undefined,
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
  const hosts = [names.service, ...Object.values(names.slots)];
  const rules = hosts.flatMap((host) => cache.destinationRules.byIndex(Index.service, host));
  return { canary, names, virtualServices: [...new Set([...named, ...overlaid])], destinationRules: [...new Set(rules)] };
}

/** What was gathered for one tick beyond the caches. */
export interface Gathered {
  measurements?: { metric: string; measurement: Measurement }[];
  hooks?: Record<string, HookAnswer>;
  writeError?: string;
  refused?: Problem;
  problems: Problem[];
}

/** Every fact that one decision may use, from the caches alone. */
export function observe(cache: Cache, router: Router, canary: Canary, desired: Desired, gathered: Gathered): Observation {
  const target = cache.deployments.get(canary.metadata.namespace, canary.spec.targetRef.name);
  const slots = Object.fromEntries(SLOTS.map((slot) => [slot, observeSlot(cache, canary, slot)])) as Observation['slots'];
  const observedTarget = observeTarget(target);
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
