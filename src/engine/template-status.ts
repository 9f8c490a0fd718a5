import { metricTemplateSpec, SluiceResources, type Condition, type MetricTemplate, type Reason } from '../api/index.js';
import type { Problem } from '../core/evidence.js';
import { templateProblem } from '../metrics/template/problems.js';
import type { Cache } from './cache.js';
import type { Writer } from './writer.js';

/** What could not be written is tried again at this interval, in milliseconds. */
const EVERY_MS = 60_000;

export interface TemplateStatusOptions {
  cache: Pick<Cache, 'metricTemplates'>;
  writer: Pick<Writer, 'patch'>;
  now: () => number;
  onError: (error: unknown) => void;
}

/** The API server may hold what an older version of the schema admitted. */
function problemOf(spec: unknown): Problem | undefined {
  const read = metricTemplateSpec.safeParse(spec);
  if (read.success) return templateProblem(read.data);
  const [issue] = read.error.issues;
  return { reason: 'InvalidSpec', message: `${['spec', ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? 'it cannot be read'}` };
}

/** The condition Ready of a MetricTemplate, as far as it can be told without asking its server; undefined when it says so already. */
export function templateCondition({ metadata, spec, status }: MetricTemplate, now: number): Condition | undefined {
  const problem = problemOf(spec);
  const wanted = {
    type: 'Ready',
    status: problem ? ('False' as const) : ('True' as const),
    reason: (problem?.reason ?? 'Configured') satisfies Reason,
    message: problem?.message ?? 'it can be asked',
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
  };
  const known = status?.conditions?.find(({ type }) => type === 'Ready');
  if (known && known.status === wanted.status && known.reason === wanted.reason && known.message === wanted.message && known.observedGeneration === wanted.observedGeneration) return undefined;
  return { ...wanted, lastTransitionTime: known?.status === wanted.status ? known.lastTransitionTime : new Date(now).toISOString() };
}

/** Says of each MetricTemplate whether it can be used, now and after each change, until it is stopped. */
export function reportTemplates({ cache, writer, now, onError }: TemplateStatusOptions): () => void {
  const { metricTemplates } = cache;
  const report = (template: MetricTemplate): void => {
    const condition = templateCondition(template, now());
    if (!condition) return;
    const { generation } = template.metadata;
    const status = { ...(generation === undefined ? {} : { observedGeneration: generation }), conditions: [condition] };
    writer.patch(SluiceResources.MetricTemplate, template, { status }, metricTemplates, { subresource: 'status' }).catch(onError);
  };
  const all = (): void => metricTemplates.list().forEach(report);
  all();
  const unsubscribe = metricTemplates.onChange((_key, template) => template && report(template));
  const timer = setInterval(all, EVERY_MS);
  return () => {
    unsubscribe();
    clearInterval(timer);
  };
}
