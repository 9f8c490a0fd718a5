import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Annotations, API_VERSION } from '../../api/index.js';
import type { KubeObject } from '../../kube/index.js';
import type { ProviderQuery } from '../provider.js';

/** Where the template says nothing. */
const DEFAULTS = { backoffLimit: 0, activeDeadlineSeconds: 600, ttlSecondsAfterFinished: 3600 };
const NAME_CHARACTERS = 48;

/** As much of a Job's spec as is looked at here; the API server checks the rest. */
const jobSpec = z.looseObject({ template: z.looseObject({ spec: z.looseObject({ containers: z.array(z.unknown()).min(1), restartPolicy: z.string().optional() }) }) });

/** The name of the Job of a check: the same whenever, and by whomever, it is asked for. */
export function jobName({ template, check, namespace }: Pick<ProviderQuery, 'template' | 'check' | 'namespace'>): string {
  const hash = createHash('sha256').update(`${namespace}/${template}/${check}`).digest('hex').slice(0, 12);
  const readable = template.slice(0, NAME_CHARACTERS).replaceAll('.', '-').replace(/-+$/, '');
  return `${readable}-${hash}`;
}

/** The Job of a check, or what is wrong with the template. It belongs to the Canary, and goes with it at the latest. */
export function jobFor(query: ProviderQuery): { job: KubeObject } | { problem: string } {
  const read = jobSpec.safeParse(query.provider.job?.spec);
  if (!read.success) {
    const [issue] = read.error.issues;
    return { problem: `spec.provider.job.spec${(issue?.path ?? []).map((part) => `.${String(part)}`).join('')}: ${issue?.message ?? 'it is no spec of a Job'}` };
  }
  const { template } = read.data;
  const job: KubeObject = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(query),
      namespace: query.namespace,
      annotations: { [Annotations.check]: query.check },
      ...(query.owner ? { ownerReferences: [{ apiVersion: API_VERSION, kind: 'Canary', ...query.owner }] } : {}),
    },
    spec: { ...DEFAULTS, ...read.data, template: { ...template, spec: { ...template.spec, restartPolicy: template.spec.restartPolicy ?? 'Never' } } },
  };
  return { job };
}
