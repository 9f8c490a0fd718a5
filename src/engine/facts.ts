/** What decisions read of workloads, pods and endpoints. Each version of an object is read once, and only what is named here is kept. */
import { z } from 'zod';
import { runsNowhere } from '../core/daemon-set.js';
import { perObject } from '../core/per-object.js';
import { podTemplateSchema, type PodTemplate } from '../core/pod-template.js';
import type { KubeObject } from '../kube/index.js';
import { podFailure } from './pod-failure.js';

const conditions = z.array(z.object({ type: z.string(), reason: z.string().optional(), status: z.string() })).optional();
const deploymentSchema = z.object({
  spec: z.object({ replicas: z.int().optional(), template: z.object({ metadata: z.object({ labels: z.record(z.string(), z.string()).optional() }).optional() }).optional() }).optional(),
  status: z.object({ observedGeneration: z.int().optional(), readyReplicas: z.int().optional(),
      replicas: z.int().optional(), conditions }).optional(),
});
const podSchema = z.object({ status: z.object({ conditions }).optional() });
const sliceSchema = z.object({
  endpoints: z
    .array(z.object({ conditions: z.object({ ready: z.boolean().nullish() }).nullish(), targetRef: z.object({ name: z.string().optional() }).nullish() }))
    .nullish(),
});

const daemonSetSchema = z.object({
  spec: z.object({ template: z.looseObject({ metadata: z.object({ labels: z.record(z.string(), z.string()).optional() }).optional(), spec: z.looseObject({}) }) }).optional(),
  status: z.object({ observedGeneration: z.int().optional(), desiredNumberScheduled: z.int(), currentNumberScheduled: z.int(), numberMisscheduled: z.int(), numberReady: z.int() }).optional(),
});
type Workload = z.infer<typeof deploymentSchema>;

/** A DaemonSet in the words of a Deployment: the nodes that it is meant for are its replicas. */
function readDaemonSet(workload: KubeObject): Workload | undefined {
  const { data } = daemonSetSchema.safeParse(workload);
  if (!data) return undefined;
  const { spec, status } = data;
  const replicas = runsNowhere(spec?.template) ? 0 : status?.observedGeneration === workload.metadata.generation ? Math.max(1, status?.desiredNumberScheduled ?? 1) : undefined;
  return {
    spec: { ...(replicas === undefined ? {} : { replicas }), ...(spec ? { template: spec.template } : {}) },
    ...(status ? { status: { observedGeneration: status.observedGeneration, readyReplicas: status.numberReady, replicas: status.currentNumberScheduled + status.numberMisscheduled } } : {}),
  };
}

/** A Deployment or DaemonSet, as far as it can be read. */
export const readWorkload = perObject((workload: KubeObject): Workload | undefined => (workload.kind === 'DaemonSet' ? readDaemonSet(workload) : deploymentSchema.safeParse(workload).data));

/** Labels of a workload's pods, as its template has them. */
export const podLabels = (workload: KubeObject | undefined): Record<string, string> | undefined => workload && readWorkload(workload)?.spec?.template?.metadata?.labels;

/** `spec.template` of a workload: its content, or why it cannot be read. */
export const readTemplate = perObject((workload: KubeObject): { template: PodTemplate } | { problem: string } => {
  const parsed = podTemplateSchema.safeParse((workload['spec'] as Record<string, unknown> | undefined)?.['template']);
  return parsed.success ? { template: parsed.data } : { problem: parsed.error.issues[0]?.message ?? 'it is malformed' };
});

/** Names of the ready endpoints of one slice. */
export const readyIn = perObject((slice: KubeObject): string[] =>
  (sliceSchema.safeParse(slice).data?.endpoints ?? []).flatMap((endpoint, index) =>
    endpoint.conditions?.ready === false ? [] : [endpoint.targetRef?.name ?? `${slice.metadata.name}/${index}`],
  ),
);

/** True for a pod that is ready and stays. */
export const isReady = perObject(
  (pod: KubeObject): boolean =>
    pod.metadata.deletionTimestamp === undefined && (podSchema.safeParse(pod).data?.status?.conditions ?? []).some((item) => item.type === 'Ready' && item.status === 'True'),
);

const about = ({ generation, deletionTimestamp, labels, annotations }: KubeObject['metadata']): unknown[] => [generation, deletionTimestamp, labels, annotations];

/** A text that differs when anything differs that a decision may read: most updates of these kinds change counters and times only. */
const DIGESTS: Record<'Workload' | 'Pod' | 'EndpointSlice', (object: KubeObject) => string> = {
  Workload: perObject((object) => JSON.stringify([...about(object.metadata), readWorkload(object)?.status])),
  Pod: perObject((object) => JSON.stringify([...about(object.metadata), isReady(object), podFailure(object)])),
  EndpointSlice: perObject((object) => JSON.stringify([...about(object.metadata), readyIn(object)])),
};

/** True unless two versions of an object lead to the same decisions. */
export const differs = (kind: keyof typeof DIGESTS, object: KubeObject | undefined, previous: KubeObject | undefined): boolean =>
  !object || !previous || DIGESTS[kind](object) !== DIGESTS[kind](previous);
