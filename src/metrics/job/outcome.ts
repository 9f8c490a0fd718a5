import { z } from 'zod';
import type { KubeObject } from '../../kube/index.js';
import type { ProviderAnswer } from '../provider.js';

const job = z.object({
  status: z
    .object({
      startTime: z.string().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string().optional() })).nullish(),
    })
    .optional(),
});

/** What a Job says: 1 when it is complete, 0 when it failed; until then it is pending. */
export function outcomeOf(object: KubeObject): ProviderAnswer {
  const { status } = job.safeParse(object).data ?? {};
  const { namespace, name } = object.metadata;
  const ended = status?.conditions?.find((one) => (one.type === 'Complete' || one.type === 'Failed') && one.status === 'True');
  if (ended) return { kind: 'samples', samples: [{ labels: { job: name, ...(ended.reason === undefined ? {} : { reason: ended.reason }) }, value: ended.type === 'Complete' ? 1 : 0 }] };
  const since = status?.startTime === undefined ? 'has not started yet' : `runs since ${status.startTime}`;
  return { kind: 'pending', message: `Job ${namespace ?? ''}/${name} ${since}` };
}
