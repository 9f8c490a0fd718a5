import type { Canary, MetricSpec, MetricTemplate } from '../api/index.js';
import type { Measurement, Problem, Windows } from '../core/evidence.js';
import { isBuiltIn } from '../core/checks.js';
import { canaryNames, comparedService, otherSlot } from '../core/names.js';
import { hasWaypoint } from '../core/services.js';
import { SHARE_METRIC } from '../core/share.js';
import type { Needs, Observation, WindowsNeed } from '../core/observation.js';
import { verdictRefusal } from '../core/verdict/refusal.js';
import type { Cache } from './cache.js';
import type { HookCaller, MeasureRequest, MetricsSource } from './ports.js';
import type { SecretReader } from './revisions.js';
import { credentialsOf } from './secrets.js';
import { releaseFacts, templateUseProblem } from './templates.js';

export interface EvidenceOptions {
  cache: Cache;
  metrics: MetricsSource;
  hooks: HookCaller;
  secrets: SecretReader;
  /** `--metrics-server`. */
  metricsServer: string;
  /** References to other namespaces are refused unless this is set. */
  allowCrossNamespace: boolean;
}

function templateOf(options: EvidenceOptions, canary: Canary, metric: MetricSpec): MetricTemplate | Problem | undefined {
  const own = canary.metadata.namespace ?? '';
  const where = `Canary ${canary.metadata.name}: spec.analysis.metrics ${metric.name}`;
  if (!metric.templateRef) {
    if (isBuiltIn(metric.name) || metric.name === SHARE_METRIC) return undefined;
    return { reason: 'InvalidSpec', message: `${where}: it is not a built-in metric (request-success-rate, request-duration) and has no templateRef; add one` };
  }
  const { name, namespace = own } = metric.templateRef;
  if (namespace !== own && !options.allowCrossNamespace)
    return { reason: 'InvalidSpec', message: `${where}: templateRef.namespace ${namespace} is another namespace; copy the MetricTemplate to ${own}, or start the controller with --allow-cross-namespace` };
  const found = options.cache.metricTemplates.get(namespace, name);
  return found ?? { reason: 'TemplateNotFound', message: `${where}: MetricTemplate ${namespace}/${name} does not exist; create it or correct templateRef` };
}

const isProblem = (value: MetricTemplate | Problem): value is Problem => 'reason' in value;

/** What is wrong with the references of a Canary, checked at every use. */
export function referenceProblems(options: EvidenceOptions, canary: Canary): Problem[] {
  const templates = canary.spec.analysis.metrics.flatMap((metric) => {
    const template = templateOf(options, canary, metric);
    if (!template) return [];
    return isProblem(template) ? [template] : (templateUseProblem(canary, metric, template) ?? []);
  });
  const refused = verdictRefusal(canary.spec, countedMetrics(options, canary));
  const verdict: Problem[] = refused === undefined ? [] : [{ reason: 'InvalidSpec', message: `Canary ${canary.metadata.name}: ${refused}` }];
  return [...templates, ...verdict, ...(options.allowCrossNamespace ? [] : foreignReferences(canary))];
}

/** References to what belongs to other namespaces, beside those of metrics. Whoever may write a Canary need not have any rights there. */
function foreignReferences({ metadata, spec }: Canary): Problem[] {
  const own = metadata.namespace ?? '';
  const refused = (field: string, namespace: string, instead: string): Problem => ({
    reason: 'InvalidSpec',
    message: `Canary ${metadata.name}: ${field} is in namespace ${namespace}; ${instead} in ${own}, or start the controller with --allow-cross-namespace`,
  });
  const alerts = (spec.analysis.alerts ?? []).flatMap(({ name, providerRef: { namespace = own } }) =>
    namespace === own ? [] : [refused(`spec.analysis.alerts ${name}: providerRef`, namespace, 'use an AlertProvider')],
  );
  const gateways = (spec.service.gateways ?? []).flatMap((gateway) => {
    const namespace = namespaceOfGateway(gateway) ?? own;
    return namespace === own || namespace === '.' ? [] : [refused(`spec.service.gateways ${gateway}`, namespace, 'use a Gateway')];
  });
  const faults = (spec.analysis.steps ?? []).flatMap(({ fault }, index) => {
    const namespace = fault && namespaceOfHost(fault.host);
    return namespace === undefined || namespace === own ? [] : [refused(`spec.analysis.steps[${index}].fault.host ${fault?.host}`, namespace, 'name a Service')];
  });
  return [...alerts, ...gateways, ...faults];
}

/** Of `NAME.NAMESPACE` and `NAME.NAMESPACE.svc…`; undefined for a bare name and for a host outside the cluster, which has more labels or others. */
function namespaceOfHost(host: string): string | undefined {
  const [, namespace, svc] = host.split('.');
  return svc === undefined || svc === 'svc' ? namespace : undefined;
}

/** `NAMESPACE/NAME`, or the older `NAME.NAMESPACE.svc.cluster.local`; undefined for a bare name and for `mesh`. */
function namespaceOfGateway(gateway: string): string | undefined {
  if (gateway.includes('/')) return gateway.slice(0, gateway.indexOf('/'));
  return gateway.split('.')[1];
}

/** Who counted the requests, where that is not the callers' proxies by Service (trap I1). */
function reporterOf(cache: Cache, { metadata, spec }: Canary, asked: MeasureRequest['reporter']): Pick<MeasureRequest, 'reporter'> {
  const { service, subsets } = canaryNames(spec);
  if (asked) return { reporter: asked };
  if (subsets) return { reporter: 'workload' };
  return hasWaypoint(cache.services.get(metadata.namespace, service)) ? { reporter: 'waypoint' } : {};
}

type Unmeasured = Extract<Measurement, { kind: 'Error' }>;

function request(options: EvidenceOptions, canary: Canary, metric: MetricSpec, { from, to, reporter, control }: Needs['metrics'][number]): MeasureRequest | Unmeasured {
  const { status, spec, metadata } = canary;
  const names = canaryNames(spec);
  const slot = status?.canary?.slot ?? 'green';
  const template = templateOf(options, canary, metric);
  if (template && isProblem(template)) return { kind: 'Error', query: '', message: template.message, permanent: true };
  const base = {
    metric: metric.name,
    server: spec.metricsServer ?? options.metricsServer,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    target: spec.targetRef.name,
    revision: status?.canary?.revision ?? '',
    service: names.slots[slot],
    stableService: comparedService(spec, otherSlot(slot), control ? { control } : undefined),
    from,
    to,
    ...reporterOf(options.cache, canary, reporter),
  };
  if (!template) return base;
  const { provider } = template.spec;
  const credentials = provider.secretRef && credentialsOf(options.secrets, template.metadata.namespace ?? '', provider.secretRef.name);
  if (provider.secretRef && !credentials)
    return { kind: 'Error', query: template.spec.query ?? '', message: `MetricTemplate ${template.metadata.name}: Secret ${provider.secretRef.name} does not exist or is not known yet`, permanent: false };
  return {
    ...base,
    ...releaseFacts(canary, metric.name),
    server: provider.address ?? base.server,
    template: { name: template.metadata.name, spec: template.spec, variables: metric.templateVariables ?? {}, ...(credentials ? { credentials } : {}) },
  };
}

/** What both versions were asked; of the stable one, only what its control arm was, where there is one. */
async function windowsOf(options: EvidenceOptions, canary: Canary, need: WindowsNeed): Promise<Windows> {
  const spec = canary.spec.analysis.metrics.find((item) => item.name === need.metric);
  if (!spec) return { kind: 'Error', query: '', message: 'the metric is no longer in the spec', permanent: false };
  const asked = request(options, canary, spec, need);
  return 'kind' in asked ? asked : await options.metrics.windows(asked);
}

/** Metrics of templates that give counts, by an answer that has windows. */
export function countedMetrics(options: EvidenceOptions, canary: Canary): string[] {
  return canary.spec.analysis.metrics.flatMap((metric) => {
    const template = templateOf(options, canary, metric);
    return template && !isProblem(template) && template.spec.counts && template.spec.provider.type === 'prometheus' ? [metric.name] : [];
  });
}

/** Ask for what a decision lacks: metrics and webhooks, all at once. */
export async function gather(options: EvidenceOptions, canary: Canary, needs: Needs): Promise<Pick<Observation, 'measurements' | 'windows' | 'hooks'>> {
  const measured = needs.metrics.map(async (need) => {
    const { metric } = need;
    const spec = metric === SHARE_METRIC ? ({ name: metric, onNoData: 'wait', onError: 'wait' } as const) : canary.spec.analysis.metrics.find((item) => item.name === metric);
    if (!spec) return { metric, measurement: { kind: 'Error', query: '', message: 'the metric is no longer in the spec', permanent: false } as const };
    const asked = request(options, canary, spec, need);
    return { metric, measurement: 'kind' in asked ? asked : await options.metrics.measure(asked) };
  });
  const compared = (needs.windows ?? []).map(async (need) => ({ metric: need.metric, of: need.of, windows: await windowsOf(options, canary, need) }));
  const called = needs.hooks.map(async (hook) => {
    const payload = {
      name: canary.metadata.name,
      namespace: canary.metadata.namespace ?? '',
      phase: canary.status?.phase ?? '',
      checksum: canary.status?.canary?.revision ?? '',
      metadata: hook.metadata ?? {},
    };
    return [hook.name, await options.hooks.call(hook, payload)] as const;
  });
  const [measurements, windows, answers] = await Promise.all([Promise.all(measured), Promise.all(compared), Promise.all(called)]);
  return {
    ...(needs.metrics.length > 0 ? { measurements } : {}),
    ...(needs.windows ? { windows } : {}),
    ...(needs.hooks.length > 0 ? { hooks: Object.fromEntries(answers) } : {}),
  };
}
