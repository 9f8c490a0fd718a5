import { reporter, metricsOf, type CanaryRule } from '../context.js';
import type { FieldPath } from '../documents.js';
import type { Finding } from '../finding.js';
import { templateProblem } from '../../metrics/template/problems.js';

const BUILT_IN = new Set(['request-success-rate', 'request-duration']);

/** Names that come twice, where a name is how an answer is found. */
export const twice: CanaryRule = ({ spec, written }) => {
  const { metrics, webhooks = [], alerts = [] } = spec.analysis;
  const report = reporter(written);
  const again = (list: readonly { name: string }[], field: string, why: string): Finding[] =>
    list.flatMap(({ name }, index) => {
      const first = list.findIndex((other) => other.name === name);
      const path: FieldPath = ['spec', 'analysis', field, index, 'name'];
      return first === index ? [] : [report('error', 'name-twice', path, `${field}[${first}] is named ${name}, too: ${why}; give each a name of its own`)];
    });
  return [
    ...again(metrics, 'metrics', 'one measurement would be taken for both'),
    ...again(webhooks, 'webhooks', 'one answer would be taken for both'),
    ...again(alerts, 'alerts', 'a message that one has accepted would not be sent to the other'),
  ];
};

/** Metrics without a source, and templates that do not fit. */
export const sources: CanaryRule = (context) =>
  metricsOf(context).flatMap(({ metric, path, template }): Finding[] => {
    const report = reporter(context.written);
    if (!metric.templateRef) {
      if (BUILT_IN.has(metric.name)) return metric.templateVariables ? [report('warning', 'no-effect', [...path, 'templateVariables'], `${metric.name} is built in and has no template; leave templateVariables out, or name one in templateRef`)] : [];
      return [report('error', 'unknown-metric', [...path, 'name'], `${metric.name} is not built in (request-success-rate and request-duration are) and has no templateRef; add one, or look for a typo`)];
    }
    const { name, namespace = context.namespace } = metric.templateRef;
    if (template === undefined) return [report('note', 'not-in-files', [...path, 'templateRef'], `MetricTemplate ${namespace}/${name} is not in these files, so its query and its bounds were not looked at; give its file, too`)];
    const problem = template ? templateProblem(template, metric.templateVariables ?? {}) : undefined;
    return problem?.reason === 'InvalidSpec' ? [report('error', 'template-variables', [...path, 'templateVariables'], `${problem.message} (MetricTemplate ${name})`)] : [];
  });
