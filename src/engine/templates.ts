import type { Canary, CanarySpec, MetricSpec, MetricTemplate } from '../api/index.js';
import { withTemplateDefaults } from '../core/conduct.js';
import type { Problem } from '../core/evidence.js';
import { templateProblem } from '../metrics/template/problems.js';
import type { Cache } from './cache.js';
import type { MeasureRequest } from './ports.js';

/** The spec that decisions are made from: with the defaults that MetricTemplates give their metrics. */
export function effectiveSpec(cache: Cache, canary: Canary, spec: CanarySpec): CanarySpec {
  const own = canary.metadata.namespace ?? '';
  return withTemplateDefaults(spec, ({ templateRef }) => templateRef && cache.metricTemplates.get(templateRef.namespace ?? own, templateRef.name)?.spec);
}

/** What is wrong with a template in the way that this Canary uses it, as far as that can be told without asking its server. What does not count stops nothing. */
export function templateUseProblem(canary: Canary, metric: MetricSpec, template: MetricTemplate): Problem | undefined {
  if (metric.dryRun ?? template.spec.dryRun) return undefined;
  const problem = templateProblem(template.spec, metric.templateVariables ?? {});
  return problem && { ...problem, message: `Canary ${canary.metadata.name}: spec.analysis.metrics ${metric.name}: MetricTemplate ${template.metadata.namespace}/${template.metadata.name}: ${problem.message}` };
}

/** What of a release only templates use. */
export function releaseFacts({ metadata, status }: Canary, metric: string): Pick<MeasureRequest, 'stable' | 'commit' | 'stableCommit' | 'check' | 'uid'> {
  const { run, canary, stable } = status ?? {};
  const known = { stable: stable?.revision, commit: canary?.commit, stableCommit: stable?.commit, uid: metadata.uid };
  const present = Object.entries(known).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(present), check: [metadata.uid ?? '', run?.id ?? '', metric, run?.judged?.[metric] ?? 0].join('/') };
}
