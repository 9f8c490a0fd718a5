/** How budgets, ServiceEntries and autoscalers name the pods that they are about. */
import { z } from 'zod';
import { readOverlay } from '../core/overlay.js';
import { selectsLabels, type KubeObject } from '../kube/index.js';
import { overlaidKey, selectedKey } from './keys.js';

const expression = z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).nullish() });
export const budgetSpec = z.object({
  selector: z
    .object({ matchLabels: z.record(z.string(), z.string()).nullish(), matchExpressions: z.array(expression).nullish() })
    .nullish(),
  minAvailable: z.union([z.int(), z.string()]).nullish(),
});

type Labelled = Record<string, string>;

/** True when a budget selects pods with these labels by any of them. One that selects whole namespaces is not about this target. */
export const selectsPods = (budget: KubeObject, labels: Labelled): boolean => selectsLabels(budgetSpec.safeParse(budget['spec']).data?.selector, labels);

/** Under which key an object is looked for: its overlay says whose it is; without one, the first of the labels that it selects leads to whose it may be. */
export function selectingKeys(object: KubeObject, labels: Labelled): string[] {
  const namespace = object.metadata.namespace ?? '';
  const overlay = readOverlay(object);
  if (overlay) return [overlaidKey(namespace, overlay.canary)];
  const [first] = Object.entries(labels).sort(([a], [b]) => a.localeCompare(b));
  return first ? [selectedKey(namespace, ...first)] : [];
}

/** A budget that selects by expressions alone is looked for under no label. */
export function budgetKeys(budget: KubeObject): string[] {
  const keys = selectingKeys(budget, budgetSpec.safeParse(budget['spec']).data?.selector?.matchLabels ?? {});
  return keys.length > 0 ? keys : [selectedKey(budget.metadata.namespace ?? '', '', '')];
}

const entry = z.object({ workloadSelector: z.object({ labels: z.record(z.string(), z.string()).nullish() }).nullish() });

/** Labels of the pods that a ServiceEntry leads to; none when it selects none by their labels. */
const entryLabels = (serviceEntry: KubeObject): Labelled => entry.safeParse(serviceEntry['spec']).data?.workloadSelector?.labels ?? {};

/** True when a ServiceEntry leads to pods with these labels. */
export const leadsTo = (serviceEntry: KubeObject, labels: Labelled): boolean => selectsLabels({ matchLabels: entryLabels(serviceEntry) }, labels);

export const entryKeys = (serviceEntry: KubeObject): string[] => selectingKeys(serviceEntry, entryLabels(serviceEntry));

/** KEDA means a Deployment when it does not say. */
const scaling = z.object({ scaleTargetRef: z.object({ kind: z.string().default('Deployment'), name: z.string() }) });

function scaled(autoscaler: KubeObject, kind: string): string[] {
  const reference = scaling.safeParse(autoscaler['spec']).data?.scaleTargetRef;
  return reference?.kind === kind ? [`${autoscaler.metadata.namespace ?? ''}/${reference.name}`] : [];
}

/** `NAMESPACE/DEPLOYMENT` that an autoscaler names. */
export const scaledDeployment = (autoscaler: KubeObject): string[] => scaled(autoscaler, 'Deployment');
/** `NAMESPACE/CANARY` that an autoscaler names. */
export const scaledCanary = (autoscaler: KubeObject): string[] => scaled(autoscaler, 'Canary');
