import { z } from 'zod';
import { perObject } from '../core/per-object.js';
import type { KubeObject } from '../kube/index.js';

const target = z.object({
  type: z.string().optional(),
  averageUtilization: z.number().nullish(),
  averageValue: z.string().nullish(),
});
const source = z.object({ name: z.string().optional(), target: target.optional(), current: target.optional() });
const metric = z.object({
  type: z.string(),
  resource: source.nullish(),
  containerResource: source.nullish(),
  pods: source.nullish(),
  object: source.nullish(),
  external: source.nullish(),
});
const condition = z.object({ type: z.string(), status: z.string(), reason: z.string().default(''), message: z.string().default('') });
const state = z.object({
  spec: z.object({ metrics: z.array(metric).nullish().catch([]) }),
  status: z.object({ conditions: z.array(condition).nullish().catch([]), currentMetrics: z.array(metric.catch({ type: '' })).nullish().catch([]) }).catch({}),
});
type Metric = z.infer<typeof metric>;

/** Of an autoscaler's status, only what a decision may read. */
export function slimAutoscaler(object: KubeObject): KubeObject {
  const { conditions, currentMetrics } = (object['status'] ?? {}) as { conditions?: unknown; currentMetrics?: unknown };
  return { ...object, status: { conditions, currentMetrics } };
}

const readState = perObject((autoscaler: KubeObject): z.infer<typeof state> | undefined => state.safeParse(autoscaler).data);

/** Its condition ScalingActive, when that says that it cannot scale; an autoscaler that is switched off by 0 replicas can. */
export function inactivity(autoscaler: KubeObject): { reason: string; message: string } | undefined {
  const found = readState(autoscaler)?.status.conditions?.find(({ type }) => type === 'ScalingActive');
  return found?.status === 'False' && found.reason !== 'ScalingDisabled' ? found : undefined;
}
export const isScalingActive = (object: KubeObject): boolean => inactivity(object) === undefined;

const sourceOf = (one: Metric): z.infer<typeof source> | null | undefined => one.resource ?? one.containerResource ?? one.pods ?? one.object ?? one.external;

/** The number of pods falls out of an average that more pods do not lower, or of a value that is multiplied by their number. */
function isPerPod(one: Metric): boolean {
  const read = sourceOf(one);
  if (one.type === 'Resource' || one.type === 'ContainerResource') return read?.name !== 'cpu';
  return one.type === 'Pods' || read?.target?.type === 'Value';
}

const SUFFIXES: Record<string, number> = { n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
/** A Kubernetes quantity such as `250m`; NaN for what is none. */
export function quantity(text: string | null | undefined): number {
  const [, digits = '', suffix = ''] = /^([0-9]+(?:\.[0-9]*)?)([a-zA-Z]*)$/.exec(text ?? '') ?? [];
  return digits === '' ? Number.NaN : Number(digits) * (SUFFIXES[suffix] ?? Number.NaN);
}

function ratio(wanted: Metric, current: Metric | undefined): number {
  const goal = sourceOf(wanted)?.target;
  const now = current?.type === wanted.type ? sourceOf(current)?.current : undefined;
  if (!goal || !now) return Number.NaN;
  if (goal.averageUtilization != null) return (now.averageUtilization ?? Number.NaN) / goal.averageUtilization;
  return quantity(now.averageValue) / quantity(goal.averageValue);
}

/** What kinds of metrics it has, and how far the load that they measured is above what was asked for. */
export function metricsOf(autoscaler: KubeObject): { perPod: boolean; loadRatio?: number } {
  const read = readState(autoscaler);
  const metrics = read?.spec.metrics ?? [];
  const ratios = metrics.flatMap((one, index) => (isPerPod(one) ? [] : [ratio(one, read?.status.currentMetrics?.[index])])).filter(Number.isFinite);
  return { perPod: metrics.some(isPerPod), ...(ratios.length > 0 ? { loadRatio: Math.max(...ratios) } : {}) };
}
