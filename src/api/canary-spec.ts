import { z } from 'zod';
import { duration, objectName, opaqueObject, withRules } from './common.js';
import { metricConduct } from './metric-template.js';
import { sessionAffinity, steps, trafficMatches } from './strategy.js';
import { verdictSpec } from './verdict.js';

const weight = () => z.int().min(1).max(100);
const otherNamespace = () => objectName().optional().describe('Default: that of the Canary. Another one needs the flag --allow-cross-namespace.');

const thresholdRange = withRules(
  z.object({
    min: z.number().optional().describe('The value must not be below this.'),
    max: z.number().optional().describe('The value must not be above this.'),
  }),
  [{ rule: 'has(self.min) || has(self.max)', message: 'thresholdRange needs min, max or both' }],
);

const metric = z.object({
  name: z
    .string()
    .min(1)
    .max(63)
    .describe('`request-success-rate` (percent), `request-duration` (p99, milliseconds), or a name of your own with `templateRef`.'),
  interval: duration()
    .optional()
    .describe('Longest stretch of evidence for one check; default: everything since the weight last changed, one minute at most.'),
  thresholdRange: thresholdRange.optional().describe('Inclusive bounds of a passing value.'),
  templateRef: z
    .object({ name: objectName().describe('Name of the MetricTemplate.'), namespace: otherNamespace() })
    .optional()
    .describe('The MetricTemplate that holds the query.'),
  templateVariables: z
    .record(z.string().max(63), z.string().max(1024))
    .optional()
    .describe('Values for `{{ variables.NAME }}` in the template.'),
  minSamples: z
    .int()
    .min(0)
    .optional()
    .describe('Requests that must have been seen before a built-in metric, or a template with `counts`, is judged; with fewer it counts as no data. Default 1.'),
  onNoData: z
    .enum(['wait', 'pass', 'fail'])
    .default('wait')
    .describe('What an empty or NaN answer means. `wait` holds the step until there is data or the deadline passes.'),
  onError: z
    .enum(['wait', 'fail'])
    .default('wait')
    .describe('What an unreachable or failing metrics server means. `wait` holds the step; the deadline still runs.'),
  ...metricConduct,
});

const webhook = z.object({
  name: z.string().min(1).max(63).describe('Names it in messages and conditions.'),
  type: z
    .enum(['confirm-rollout', 'pre-rollout', 'rollout', 'confirm-traffic-increase', 'confirm-promotion', 'post-rollout', 'rollback'])
    .default('rollout')
    .describe('When it is called. A 2xx answer to a `confirm-*` hook lets the run go on; to a `rollback` hook, it takes the run back.'),
  url: z
    .string()
    .max(2048)
    .regex(/^https?:\/\//)
    .describe('Called with POST and a JSON body {name, namespace, phase, checksum, metadata}.'),
  timeout: duration().default('10s').describe('Longest time for one answer.'),
  retries: z.int().min(0).max(10).default(0).describe('How often it is asked again after a broken connection, a 429 or a 5xx.'),
  metadata: z.record(z.string().max(63), z.string().max(4096)).optional().describe('Copied into the body.'),
});

const alert = z.object({
  name: z.string().min(1).max(63).describe('Names it among the alerts of this Canary.'),
  severity: z.enum(['info', 'warn', 'error']).default('info').describe('The least severe message that is sent.'),
  providerRef: z.object({ name: objectName().describe('Name of the AlertProvider.'), namespace: otherNamespace() }).describe('The AlertProvider.'),
});

export const DEFAULT_METRICS = [
  { name: 'request-success-rate', thresholdRange: { min: 99 }, onNoData: 'wait' as const, onError: 'wait' as const },
  { name: 'request-duration', thresholdRange: { max: 500 }, onNoData: 'wait' as const, onError: 'wait' as const },
];

export const analysis = withRules(
  z.object({
    interval: duration().default('1m').describe('Time between two checks, and how long a weight is held where a step says nothing else.'),
    threshold: z.int().min(1).default(5).describe('Failed checks in one run after which the canary is taken back.'),
    stepWeight: weight().optional().describe('Raise the weight by this much per step, up to `maxWeight`.'),
    maxWeight: weight().optional().describe('Last weight before promotion, with `stepWeight`; default 50. It is a cap: no step goes above it.'),
    stepWeights: withRules(z.array(weight()).min(1).max(50), [
      { rule: 'self.isSorted() && self.all(w, self.exists_one(x, x == w))', message: 'stepWeights must increase from step to step' },
    ])
      .optional()
      .describe('The weights, one step each.'),
    steps: steps().optional().describe('The explicit plan; the short forms compile to it.'),
    iterations: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .describe('Checks that must pass before all traffic moves at once: with `match` an A/B test, without it blue/green.'),
    match: trafficMatches()
      .optional()
      .describe('With `iterations`: requests that go to the canary, all others stay. With `stepWeight` or `stepWeights`: only these requests are divided.'),
    control: z
      .boolean()
      .optional()
      .describe(
        'Keep part of the matching requests on the stable version, by a Service of their own (`NAME-SLOT-control`), so that the two versions are compared on requests of one kind. Matching requests are divided by the weights of `stepWeight` or `stepWeights`, else half and half.',
      ),
    mirror: z
      .boolean()
      .optional()
      .describe('Send copies of the requests to the canary and throw its answers away: before the first weight, or in all iterations of blue/green.'),
    mirrorWeight: weight().optional().describe('Percent of the requests that are mirrored; default 100.'),
    sessionAffinity: sessionAffinity.optional().describe('A user who was sent to the new version stays there while the release runs.'),
    verifyShare: z
      .boolean()
      .optional()
      .describe('A weight is left only when the canary got that share of the requests, as far as their number can tell. The deadline runs meanwhile.'),
    canaryReplicas: z
      .enum(['full', 'proportional'])
      .optional()
      .describe('Pods of the canary while it is judged: as many as the stable version has (`full`, the default), or as its weight needs (`proportional`). Before all traffic moves it always has all of them. A step that names its own replicas has those.'),
    warmup: duration().default('60s').describe('Latency is judged only on requests this long after the first weight: caches and compilers need time. Errors count at once.'),
    primaryReadyThreshold: z.int().min(1).max(100).default(100).describe('Percent of the stable pods that must be ready for the run to advance.'),
    canaryReadyThreshold: z.int().min(1).max(100).default(100).describe('Percent of the canary pods that must be ready before a weight is raised (rounded up).'),
    metrics: z.array(metric).max(20).default(DEFAULT_METRICS).describe('What must hold at every check. An empty list judges nothing.'),
    verdict: verdictSpec.optional().describe('Judge the canary by comparison with the stable version over the same minutes, too: sooner, and wrong at a known rate.'),
    evaluate: duration().optional().describe('With `verdict`: how often evidence is looked at; default `interval`, at most 10s. A clear regression ends the run at once.'),
    webhooks: z.array(webhook).max(20).optional().describe('Asked before, during and after a run; they may hold it, and take it back.'),
    alerts: z.array(alert).max(20).optional().describe('Who hears how releases go, and from which severity on.'),
  }),
  [
    {
      rule: '(has(self.stepWeight) ? 1 : 0) + (has(self.stepWeights) ? 1 : 0) + (has(self.steps) ? 1 : 0) + (has(self.iterations) ? 1 : 0) == 1',
      message: 'exactly one of stepWeight, stepWeights, steps and iterations is needed',
    },
    { rule: '!has(self.steps) || (!has(self.match) && !has(self.mirror) && !has(self.mirrorWeight))', message: 'with steps, write match and mirror in the step that they are for' },
    { rule: '!has(self.evaluate) || has(self.verdict)', message: 'evaluate goes with verdict only' },
    { rule: '!has(self.mirrorWeight) || (has(self.mirror) && self.mirror)', message: 'mirrorWeight goes with mirror: true only' },
    { rule: '!has(self.mirror) || !self.mirror || !has(self.match)', message: 'mirror and match go together in steps only' },
    { rule: '!has(self.sessionAffinity) || !has(self.iterations)', message: 'sessionAffinity goes with weights; iterations never divide the same users' },
    {
      rule: '!has(self.control) || !self.control || has(self.match) || (has(self.steps) && self.steps.exists(s, has(s.match)))',
      message: 'control keeps part of the matching requests on the stable version: give match, or a step with a match; without one all requests are of one kind already',
    },
    {
      rule: '!has(self.control) || !self.control || !has(self.steps) || self.steps.all(s, !has(s.match) || (s.weight == 0 && !has(s.mirror)))',
      message: 'with control, a step with a match has no weight and no mirror: other requests on the canary would be compared with matching ones on the stable version',
    },
    { rule: '!has(self.maxWeight) || has(self.stepWeight)', message: 'maxWeight goes with stepWeight only' },
    { rule: '!has(self.maxWeight) || self.maxWeight >= self.stepWeight', message: 'maxWeight must not be below stepWeight' },
  ],
);

const ownVirtualService = () =>
  z.object({
    name: objectName().describe('Name of the VirtualService, in the namespace of the Canary.'),
    routes: z
      .array(z.string().min(1).max(253))
      .max(32)
      .optional()
      .describe('Names of the HTTP routes whose destinations are shifted; default: every route that sends to this Service.'),
  });

const service = withRules(
  z.object({
    name: objectName().max(57).optional().describe('The Service that callers use; default is the name of the target.'),
    port: z.int().min(1).max(65535).describe('Port of that Service.'),
    portName: z.string().max(63).default('http').describe('Name of that port; Istio reads the protocol from it.'),
    targetPort: z
      .union([z.int().min(1).max(65535), z.string().max(15)])
      .optional()
      .describe('Port of the pods, by number or name; default is `port`.'),
    appProtocol: z.string().max(63).optional().describe('Protocol of that port, as `appProtocol` of a Service says it.'),
    gateways: z.array(z.string().max(253)).max(16).optional().describe('Gateways of the generated VirtualService; default `mesh`.'),
    hosts: z.array(z.string().max(253)).max(32).optional().describe('Further hosts of the generated VirtualService; the Service is always one.'),
    match: z.array(opaqueObject()).max(16).optional().describe('HTTPMatchRequest of Istio, for the generated route.'),
    rewrite: opaqueObject().optional().describe('HTTPRewrite of Istio.'),
    timeout: duration().optional().describe('Timeout of the generated route.'),
    retries: opaqueObject().optional().describe('HTTPRetry of Istio.'),
    headers: opaqueObject().optional().describe('Headers of Istio.'),
    corsPolicy: opaqueObject().optional().describe('CorsPolicy of Istio.'),
    trafficPolicy: opaqueObject().optional().describe('TrafficPolicy of Istio, for both slots.'),
    virtualService: ownVirtualService().optional().describe('Use your own VirtualService and touch only the destinations of these routes.'),
    virtualServices: withRules(z.array(ownVirtualService()).min(1).max(16), [
      { rule: 'self.all(one, self.exists_one(other, other.name == one.name))', message: 'virtualServices names one VirtualService twice' },
    ])
      .optional()
      .describe('The same for several VirtualServices, one for callers in the mesh and one for a gateway, say: all of them always have the same weights.'),
    routing: withRules(z.enum(['services', 'subsets']), [
      { rule: 'self == oldSelf', message: 'routing cannot change while the Canary is there: delete the Canary (its target takes over without losing a request) and create it again' },
    ])
      .default('services')
      .describe(
        'What the routes name: `services`, a Service for each slot, or `subsets`, the Service that callers use and a subset of its DestinationRule for each slot. With `subsets` that Service selects both slots, so every caller needs a proxy.',
      ),
    slots: withRules(
      z.object({
        blue: z.string().min(1).max(20).default('blue').describe('Of the one slot.'),
        green: z.string().min(1).max(20).default('green').describe('Of the other slot.'),
      }),
      [{ rule: 'self.blue != self.green', message: 'the two slots need different suffixes' }],
    )
      .default({ blue: 'blue', green: 'green' })
      .describe('Suffixes of the two slots, `NAME-blue` and `NAME-green`, and the names of their subsets.'),
  }),
  [
    {
      rule: '!(has(self.virtualService) && has(self.virtualServices))',
      message: 'virtualService and virtualServices exclude each other',
    },
    {
      rule: '(!has(self.virtualService) && !has(self.virtualServices)) || (!has(self.gateways) && !has(self.hosts) && !has(self.match) && !has(self.rewrite) && !has(self.timeout) && !has(self.retries) && !has(self.headers) && !has(self.corsPolicy))',
      message: 'with virtualService or virtualServices, write gateways, hosts, match, rewrite, timeout, retries, headers and corsPolicy in your own VirtualService',
    },
  ],
);

const configReference = z.object({
  kind: z.enum(['ConfigMap', 'Secret']).describe('What the pods refer to.'),
  name: objectName().describe('Name of the ConfigMap or Secret that the pods refer to.'),
  mode: z
    .enum(['track', 'share', 'ignore'])
    .describe('`track`: its content is part of the revision and is frozen with it. `share`: both slots read the live object. `ignore`: not looked at.'),
});

const revisions = z.object({
  history: z.int().min(1).max(50).default(10).describe('Known-good revisions that are kept; going back to one needs no analysis.'),
  drainFor: duration().default('30s').describe('How long a slot keeps its pods after its weight became 0: proxies learn late.'),
  warmFor: duration().default('5m').describe('How long the previous version stays at full scale after a promotion.'),
  settle: duration().default('1s').describe('How long the target and its configuration must be quiet before a revision is taken: one commit is several writes.'),
  allow: z
    .array(z.enum(['Recreate', 'HostPort', 'Volume']))
    .max(3)
    .optional()
    .describe('What would keep two versions from running beside each other, and is known not to do so here: `strategy.type: Recreate`, a `hostPort`, a PersistentVolumeClaim that both would write.'),
  configs: z.array(configReference).max(50).optional().describe('Exceptions; by default ConfigMaps are tracked and Secrets are shared.'),
});

const onRollback = z.object({
  git: z
    .enum(['none', 'revert', 'pullRequest'])
    .default('none')
    .describe('What goes back to the branch that brought the revision: nothing, a commit that undoes it, or a pull request with one.'),
});

const onPromotion = withRules(
  z.object({
    git: z.enum(['none', 'tag', 'branch']).default('none').describe('Put a tag on the promoted commit, or move a branch to it (fast-forward only).'),
    name: z
      .string()
      .max(200)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._/{} -]*$/)
      .optional()
      .describe('Of the tag or branch; `{{ canary }}`, `{{ namespace }}`, `{{ revision }}` and `{{ commit }}` are filled in.'),
  }),
  [{ rule: "self.git == 'none' || has(self.name)", message: 'git needs the name of the tag or branch' }],
);

/** `Canary.spec`. Names, units and meanings follow Flagger's where Flagger has the concept. */
export const canarySpec = withRules(
  z.object({
  targetRef: z
    .object({ apiVersion: z.enum(['apps/v1']).describe('Of the workload.'), kind: z.enum(['Deployment', 'DaemonSet']).describe('Of the workload.'), name: objectName().max(57).describe('Name of the workload, in the namespace of the Canary.') })
    .describe('The workload whose template is released. It runs no pods itself once it is adopted.'),
  provider: z.enum(['istio']).default('istio').describe('Who routes the traffic.'),
  metricsServer: z
    .string()
    .max(2048)
    .regex(/^https?:\/\//)
    .optional()
    .describe('Prometheus for the built-in metrics; default is the flag --metrics-server.'),
  replicas: z
    .int()
    .min(0)
    .optional()
    .describe('Pods of the version that serves. Written through `/scale` (kubectl scale, autoscalers); seeded from the target.'),
  progressDeadlineSeconds: z
    .int()
    .min(1)
    .max(604_800)
    .default(600)
    .describe('Seconds a run may stay without progress before it is taken back. Progress is a slot that became ready or a step that was passed; pods beyond the largest number of the run get this time, too.'),
  skipAnalysis: z.boolean().default(false).describe('Promote a new revision as soon as it is ready, without judging it.'),
  suspend: z.boolean().default(false).describe('Start no new run and advance none. What serves keeps serving; going back is never held.'),
  service: service.describe('The Service that callers use, and how its traffic is routed.'),
  analysis: analysis.describe('The plan of a release, and what must hold in each of its steps.'),
  revisions: revisions
    .default({ history: 10, drainFor: '30s', warmFor: '5m', settle: '1s' })
    .describe('How revisions are made, kept and taken down.'),
  onRollback: onRollback.optional().describe('What happens beside the quarantine when a revision is taken back.'),
  onPromotion: onPromotion.optional().describe('What happens in Git when a revision is promoted.'),
}),
  [
    {
      rule: "self.targetRef.kind != 'DaemonSet' || (!has(self.replicas) && !has(self.analysis.canaryReplicas) && (!has(self.analysis.steps) || !self.analysis.steps.exists(s, has(s.replicas))))",
      message: 'a DaemonSet has a pod on every node: leave replicas and canaryReplicas out',
    },
    {
      rule: "!has(self.analysis.control) || !self.analysis.control || self.service.routing != 'subsets'",
      message: 'analysis.control needs service.routing: services; subsets of one Service have one name in the metrics, so nobody could tell the control arm from other requests',
    },
    {
      rule: "!has(self.analysis.control) || !self.analysis.control || [self.service.slots.blue, self.service.slots.green].all(slot, size(has(self.service.name) ? self.service.name : self.targetRef.name) + size(slot) <= 54)",
      message: 'with analysis.control, the Service name and a slot suffix have 54 characters together at most: NAME-SLOT-control is a Service, too',
    },
    {
      rule: "!has(self.analysis.control) || !self.analysis.control || (self.service.slots.blue != self.service.slots.green + '-control' && self.service.slots.green != self.service.slots.blue + '-control')",
      message: 'with analysis.control, one slot suffix must not be the other with -control after it',
    },
  ],
);
export type CanarySpec = z.infer<typeof canarySpec>;
export type MetricSpec = z.infer<typeof metric>;
export type WebhookSpec = z.infer<typeof webhook>;
export type AlertSpec = z.infer<typeof alert>;
export type AnalysisSpec = z.infer<typeof analysis>;
export type ServiceSpec = z.infer<typeof service>;
