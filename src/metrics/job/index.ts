import { Annotations } from '../../api/index.js';
import { isAlreadyExists, isNotFound, Resources, type BeforeSend, type KubeClient, type KubeObject } from '../../kube/index.js';
import { kubeFailure, NO_CLUSTER } from '../kube-failure.js';
import type { MetricProvider, ProviderAnswer, ProviderQuery } from '../provider.js';
import { jobFor, jobName } from './manifest.js';
import { outcomeOf } from './outcome.js';

const FORBIDDEN = 'the chart gives that right with metrics.jobs: true';

export interface JobProviderOptions {
  kube?: KubeClient | undefined;
  /** Throws when somebody else may lead by now. */
  beforeWrite?: BeforeSend | undefined;
}

/**
 * A Job for each check, that passes or fails. It has a name that follows from the check, so a controller that starts anew finds it
 * rather than start a second one.
 */
export function createJobProvider({ kube, beforeWrite }: JobProviderOptions): MetricProvider {
  return {
    async ask(query: ProviderQuery): Promise<ProviderAnswer> {
      if (!kube) return NO_CLUSTER;
      const wanted = jobFor(query);
      if ('problem' in wanted) return { kind: 'failed', message: wanted.problem, permanent: true };
      try {
        const job = (await found(kube, query)) ?? (await made(kube, wanted.job, beforeWrite));
        return isOurs(job, query) ? outcomeOf(job) : foreign(job);
      } catch (error) {
        return kubeFailure(error, FORBIDDEN);
      }
    },
  };
}

async function found(kube: KubeClient, query: ProviderQuery): Promise<KubeObject | undefined> {
  try {
    return await kube.get(Resources.Job, query.namespace, jobName(query));
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function made(kube: KubeClient, job: KubeObject, beforeSend: BeforeSend | undefined): Promise<KubeObject> {
  try {
    return await kube.create(Resources.Job, job, { beforeSend });
  } catch (error) {
    if (isAlreadyExists(error)) return await kube.get(Resources.Job, job.metadata.namespace, job.metadata.name);
    throw error;
  }
}

const isOurs = ({ metadata }: KubeObject, { check }: ProviderQuery): boolean => metadata.annotations?.[Annotations.check] === check;
const foreign = ({ metadata }: KubeObject): ProviderAnswer => ({ kind: 'failed', message: `Job ${metadata.namespace ?? ''}/${metadata.name} was there before and is not of this check; delete it`, permanent: true });
