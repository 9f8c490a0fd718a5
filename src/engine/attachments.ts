import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, Labels, type Canary, type SlotName } from '../api/index.js';
import { otherSlot } from '../core/names.js';
import { layOver, liftOff, pointer, readOverlay, type Fields } from '../core/overlay.js';
import { Resources, type IndexedInformer, type KubeObject } from '../kube/index.js';
import type { Resource } from '../kube/types.js';
import { Index, keyOf, overlaidKey, selectedKey, type Cache } from './cache.js';
import { podLabels } from './facts.js';
import { budgetSpec, leadsTo, scaledCanary, scaledDeployment, selectsPods } from './selecting.js';
import { targetOf } from './workloads.js';

/**
 * Objects of the user that speak of the target's pods, and must speak of slots while a Canary manages it: PodDisruptionBudgets
 * (trap K4), ServiceEntries with a workloadSelector (trap K2), HorizontalPodAutoscalers (trap K3) and KEDA's ScaledObjects.
 */
interface Attachment {
  resource: Resource;
  into: IndexedInformer<KubeObject>;
  object: KubeObject;
}
export type AttachmentWrite =
  (Attachment & { op: 'patch'; patch: Record<string, unknown> }) | (Attachment & { op: 'create' | 'update' | 'delete' });

/** Budgets of the user that are about the target's pods: by an overlay of ours, or by what they select. */
function budgetsOf(cache: Cache, canary: Canary, target: KubeObject | undefined): KubeObject[] {
  const { namespace = '', name } = canary.metadata;
  const labels = podLabels(target) ?? {};
  const keys = [
    ...Object.entries(labels).map(([label, value]) => selectedKey(namespace, label, value)),
    selectedKey(namespace, '', ''),
  ];
  const found = keys
    .flatMap((key) => cache.budgets.byIndex(Index.callers, key))
    .filter((budget) => budget.metadata.labels?.[Labels.canary] === undefined && selectsPods(budget, labels));
  return [...new Set([...cache.budgets.byIndex(Index.callers, overlaidKey(namespace, name)), ...found])];
}

const LABEL = (label: string): string => pointer('spec', 'selector', 'matchLabels', label);

/** A budget of the user's covers the stable slot; this copy of it covers the other one, where unhealthy pods must not block drains. */
function copyOf(budget: KubeObject, canary: Canary, slot: SlotName): KubeObject {
  const { namespace, name } = canary.metadata;
  const spec = budget['spec'] as Record<string, unknown>;
  const { selector, minAvailable } = budgetSpec.parse(spec);
  const replicas = canary.spec.replicas ?? canary.status?.seededReplicas ?? 1;
  // An absolute number is of the whole; as many may go from a slot that has fewer pods.
  const allowance =
    typeof minAvailable === 'number' ? { minAvailable: undefined, maxUnavailable: Math.max(0, replicas - minAvailable) } : {};
  const matchLabels = { ...selector?.matchLabels, [Labels.canary]: name, [Labels.slot]: slot };
  const wanted = { ...spec, ...allowance, unhealthyPodEvictionPolicy: 'AlwaysAllow', selector: { ...selector, matchLabels } };
  return {
    apiVersion: budget.apiVersion,
    kind: budget.kind,
    metadata: {
      name: `${budget.metadata.name}-${canary.spec.service.slots[slot]}`,
      namespace: namespace ?? '',
      labels: { [Labels.canary]: name, [Labels.slot]: slot },
    },
    spec: JSON.parse(JSON.stringify(wanted)) as unknown,
  };
}

function budgetWrites(
  cache: Cache,
  canary: Canary,
  target: KubeObject | undefined,
  stable: SlotName | undefined,
): AttachmentWrite[] {
  const base = { resource: Resources.PodDisruptionBudget as Resource, into: cache.budgets };
  const users = budgetsOf(cache, canary, target);
  const copies = stable === undefined ? [] : users.map((budget) => copyOf(budget, canary, otherSlot(stable)));
  const live = cache.budgets.byIndex(Index.canary, keyOf(canary));
  const names = new Set(copies.map(({ metadata }) => metadata.name));
  const fields: Fields | undefined = stable && { [LABEL(Labels.canary)]: canary.metadata.name, [LABEL(Labels.slot)]: stable };
  const patches = users.map((object) => ({
    object,
    patch: fields ? layOver(object, canary.metadata.name, fields) : liftOff(object),
  }));
  // A copy of the slot that is now stable goes before the user's budget comes: two budgets on one pod stop every eviction.
  return [
    ...live
      .filter(({ metadata }) => !names.has(metadata.name))
      .map((object): AttachmentWrite => ({ ...base, op: 'delete', object })),
    ...patches.flatMap(({ object, patch }): AttachmentWrite[] => (patch ? [{ ...base, op: 'patch', object, patch }] : [])),
    ...copies.flatMap((copy): AttachmentWrite[] => {
      const known = cache.budgets.get(copy.metadata.namespace, copy.metadata.name);
      if (!known) return [{ ...base, op: 'create', object: copy }];
      if (known.metadata.labels?.[Labels.canary] !== canary.metadata.name || isDeepStrictEqual(known['spec'], copy['spec']))
        return [];
      return [{ ...base, op: 'update', object: { ...known, spec: copy['spec'] } }];
    }),
  ];
}

/** ServiceEntries whose callers reach the target's pods by their labels: they must reach those of the stable slot alone (trap K2). */
function entryWrites(cache: Cache, canary: Canary, target: KubeObject | undefined, stable: SlotName | undefined): AttachmentWrite[] {
  const { namespace = '', name } = canary.metadata;
  const into = cache.serviceEntries;
  const labels = podLabels(target) ?? {};
  const found = Object.entries(labels)
    .flatMap(([label, value]) => into.byIndex(Index.callers, selectedKey(namespace, label, value)))
    .filter((entry) => leadsTo(entry, labels));
  const label = (key: string): string => pointer('spec', 'workloadSelector', 'labels', key);
  return [...new Set([...into.byIndex(Index.callers, overlaidKey(namespace, name)), ...found])].flatMap((object): AttachmentWrite[] => {
    const patch = stable ? layOver(object, name, { [label(Labels.canary)]: name, [label(Labels.slot)]: stable }) : liftOff(object);
    return patch ? [{ resource: Resources.ServiceEntry, into, object, op: 'patch', patch }] : [];
  });
}

function autoscalerWrites(cache: Cache, canary: Canary, attached: boolean): AttachmentWrite[] {
  const { namespace = '', name } = canary.metadata;
  const fields: Fields = {
    '/spec/scaleTargetRef/apiVersion': API_VERSION,
    '/spec/scaleTargetRef/kind': 'Canary',
    '/spec/scaleTargetRef/name': name,
  };
  return AUTOSCALERS.flatMap(({ resource, of }) => {
    const into = of(cache);
    const ours = into.byIndex(Index.callers, overlaidKey(namespace, name));
    const naming = attached ? into.byIndex(Index.target, `${namespace}/${canary.spec.targetRef.name}`).filter((object) => !isKedas(object)) : [];
    return [...new Set([...ours, ...naming])].flatMap((object): AttachmentWrite[] => {
      const patch = attached ? layOver(object, name, fields) : liftOff(object);
      return patch ? [{ resource, into, object, op: 'patch', patch }] : [];
    });
  });
}

const AUTOSCALERS: { resource: Resource; of: (cache: Cache) => IndexedInformer<KubeObject> }[] = [
  { resource: Resources.HorizontalPodAutoscaler, of: ({ autoscalers }) => autoscalers },
  { resource: Resources.ScaledObject, of: ({ scaledObjects }) => scaledObjects },
];

/** KEDA writes its autoscalers itself, from the ScaledObject. */
const isKedas = ({ metadata }: KubeObject): boolean => (metadata.ownerReferences ?? []).some(({ kind }) => kind === Resources.ScaledObject.kind);

/** What brings budgets, ServiceEntries and autoscalers to speak of the slots, `stable` being the one that serves; without it, of the target again. In order. */
export function attachmentWrites(
  cache: Cache,
  canary: Canary,
  target: KubeObject | undefined,
  stable: SlotName | undefined,
): AttachmentWrite[] {
  const { phase, stable: known } = canary.status ?? {};
  // The target's pods serve until the adoption is complete, so its budgets guard those, and ServiceEntries lead there. And an autoscaler that spoke of the target
  // while slots have pods would count them all, for they carry the same labels.
  const adopting = stable !== undefined && phase === 'Initializing';
  const early = stable === undefined && known !== undefined && cache.deployments.byIndex(Index.canary, keyOf(canary)).length > 0;
  const guarding = adopting ? [] : [...budgetWrites(cache, canary, target, stable), ...entryWrites(cache, canary, target, stable)];
  return [...guarding, ...(early ? [] : autoscalerWrites(cache, canary, stable !== undefined))];
}

/** Canaries that may have to look at one of these objects again. */
export function attachedCanaries(cache: Cache, object: KubeObject): string[] {
  const { namespace = '' } = object.metadata;
  const overlay = readOverlay(object);
  if (overlay) return [`${namespace}/${overlay.canary}`];
  const owner = object.metadata.labels?.[Labels.canary];
  if (owner !== undefined) return [`${namespace}/${owner}`];
  const named = scaledDeployment(object).flatMap((key) => cache.canaries.byIndex(Index.target, key));
  const about = { [Resources.PodDisruptionBudget.kind]: selectsPods, [Resources.ServiceEntry.kind]: leadsTo }[object.kind];
  const selected = about ? cache.canaries.list(namespace).filter((canary) => canary.status?.adoptedAt && about(object, podLabels(targetOf(cache, canary)) ?? {})) : [];
  return [...[...named, ...selected].map(keyOf), ...scaledCanary(object)];
}
