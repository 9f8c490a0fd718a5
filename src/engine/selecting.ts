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

/** Under which keys a budget is looked for; see {@link overlaidKey} and {@link selectedKey}. */
export function budgetKeys(budget: KubeObject): string[] {
  const namespace = budget.metadata.namespace ?? '';
  const overlay = readOverlay(budget);
  if (overlay) return [overlaidKey(namespace, overlay.canary)];
  const first = Object.entries(budgetSpec.safeParse(budget['spec']).data?.selector?.matchLabels ?? {}).sort(([a], [b]) =>
    a.localeCompare(b),
  )[0];
  return [selectedKey(namespace, first?.[0] ?? '', first?.[1] ?? '')];
}

const entry = z.object({ workloadSelector: z.object({ labels: z.record(z.string(), z.string()).nullish() }).nullish() });

/** Labels of the pods that a ServiceEntry leads to; undefined when it selects none by their labels. */
function entryLabels(serviceEntry: KubeObject): Labelled | undefined {
  const labels = entry.safeParse(serviceEntry['spec']).data?.workloadSelector?.labels;
  return labels && Object.keys(labels).length > 0 ? labels : undefined;
}

/** True when a ServiceEntry leads to pods with these labels. */
export function leadsTo(serviceEntry: KubeObject, labels: Labelled): boolean {
  const wanted = entryLabels(serviceEntry);
  return wanted !== undefined && Object.entries(wanted).every(([label, value]) => labels[label] === value);
}

/** Under which keys a ServiceEntry is looked for; see {@link overlaidKey} and {@link selectedKey}. */
export function entryKeys(serviceEntry: KubeObject): string[] {
  const namespace = serviceEntry.metadata.namespace ?? '';
  const overlay = readOverlay(serviceEntry);
  if (overlay) return [overlaidKey(namespace, overlay.canary)];
  const [first] = Object.entries(entryLabels(serviceEntry) ?? {}).sort(([a], [b]) => a.localeCompare(b));
  return first ? [selectedKey(namespace, ...first)] : [];
}

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
