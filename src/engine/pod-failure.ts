import { z } from 'zod';
import { perObject } from '../core/per-object.js';
import type { KubeObject } from '../kube/index.js';

const state = z.looseObject({
  waiting: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).optional(),
  running: z.looseObject({}).optional(),
  terminated: z.looseObject({ reason: z.string().optional(), exitCode: z.int().optional() }).optional(),
});
const containerStatus = z.looseObject({ name: z.string(), state: state.optional(), lastState: state.optional(), restartCount: z.int().optional() });
const condition = z.looseObject({ type: z.string(), status: z.string(), reason: z.string().optional(), message: z.string().optional() });
const schema = z.looseObject({
  status: z
    .looseObject({
      conditions: z.array(condition).optional(),
      containerStatuses: z.array(containerStatus).optional(),
      initContainerStatuses: z.array(containerStatus).optional(),
    })
    .optional(),
});

/** Reasons for waiting that are part of every start. */
const USUAL = new Set(['ContainerCreating', 'PodInitializing']);
const MAX_WORDS = 200;

function containerFailure(status: z.infer<typeof containerStatus>): string | undefined {
  const { waiting } = status.state ?? {};
  if (waiting?.reason && !USUAL.has(waiting.reason)) {
    const exit = status.lastState?.terminated?.exitCode;
    return `container ${status.name}: ${waiting.reason}${exit === undefined ? '' : `, last exit code ${exit}`}${waiting.message ? `: ${waiting.message}` : ''}`;
  }
  const ended = status.state?.terminated;
  return ended && ended.exitCode !== 0 ? `container ${status.name}: ${ended.reason ?? 'Error'}, exit code ${ended.exitCode}` : undefined;
}

/** Why a pod does not become ready, in its own words: `container reviews: ImagePullBackOff: …`; undefined when it says nothing. */
export const podFailure = perObject((pod: KubeObject): string | undefined => {
  const { data } = schema.safeParse(pod);
  if (!data?.status) return undefined;
  const statuses = [...(data.status.initContainerStatuses ?? []), ...(data.status.containerStatuses ?? [])];
  const failed = statuses.map(containerFailure).find((words) => words !== undefined);
  if (failed) return failed.slice(0, MAX_WORDS);
  const unscheduled = data.status.conditions?.find((item) => item.type === 'PodScheduled' && item.status === 'False');
  if (unscheduled) return `${unscheduled.reason ?? 'Unschedulable'}: ${unscheduled.message ?? ''}`.slice(0, MAX_WORDS);
  return statuses.some((status) => status.state?.running) ? unready(data.status.conditions)?.slice(0, MAX_WORDS) : undefined;
});

/** A container that runs and is not ready fails its probe; the kubelet's words for that name the container. */
function unready(conditions: z.infer<typeof condition>[] = []): string | undefined {
  const found = conditions.find((item) => item.type === 'ContainersReady' && item.status === 'False');
  return found ? `${found.reason ?? 'ContainersNotReady'}: ${found.message ?? 'a readiness probe fails'}` : undefined;
}
