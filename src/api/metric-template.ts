import { z } from 'zod';
import { duration, localReference, withRules, type CelRule } from './common.js';
import { azuremonitorSettings } from './metric-providers/azuremonitor.js';
import { cloudwatchSettings } from './metric-providers/cloudwatch.js';
import { datadogSettings } from './metric-providers/datadog.js';
import { dynatraceSettings } from './metric-providers/dynatrace.js';
import { influxdbSettings } from './metric-providers/influxdb.js';
import { jobSettings } from './metric-providers/job.js';
import { kayentaSettings } from './metric-providers/kayenta.js';
import { newrelicSettings } from './metric-providers/newrelic.js';
import { prometheusSettings } from './metric-providers/prometheus.js';
import { splunkSettings } from './metric-providers/splunk.js';
import { stackdriverSettings } from './metric-providers/stackdriver.js';
import { webSettings } from './metric-providers/web.js';

/** Names as Flagger has them, where it has the provider. */
export const METRIC_PROVIDERS = [
  'prometheus',
  'datadog',
  'newrelic',
  'cloudwatch',
  'stackdriver',
  'azuremonitor',
  'dynatrace',
  'graphite',
  'influxdb',
  'splunk',
  'externalmetrics',
  'web',
  'job',
  'kayenta',
] as const;
export type MetricProviderType = (typeof METRIC_PROVIDERS)[number];

/** What only one type of provider has to be told. */
const SETTINGS = {
  prometheus: prometheusSettings.optional().describe('Of type prometheus.'),
  datadog: datadogSettings.optional().describe('Of type datadog.'),
  newrelic: newrelicSettings.optional().describe('Of type newrelic.'),
  cloudwatch: cloudwatchSettings.optional().describe('Of type cloudwatch.'),
  stackdriver: stackdriverSettings.optional().describe('Of type stackdriver, which is Google Cloud Monitoring.'),
  azuremonitor: azuremonitorSettings.optional().describe('Of type azuremonitor: the resource or the workspace that is asked.'),
  dynatrace: dynatraceSettings.optional().describe('Of type dynatrace.'),
  influxdb: influxdbSettings.optional().describe('Of type influxdb: says which of its two languages the query is in.'),
  splunk: splunkSettings.optional().describe('Of type splunk, which is Splunk Observability Cloud.'),
  web: webSettings.optional().describe('Of type web: the request whose answer `query`, a JSONPath, looks into.'),
  job: jobSettings.optional().describe('Of type job: the Job that passes or fails.'),
  kayenta: kayentaSettings.optional().describe('Of type kayenta.'),
};

const ownSettings: CelRule[] = Object.keys(SETTINGS).map((type) => ({ rule: `!has(self.${type}) || self.type == '${type}'`, message: `${type} goes with type: ${type} only` }));

const metricProvider = withRules(
  z.object({
    type: z.enum(METRIC_PROVIDERS).default('prometheus').describe('What the query is asked of.'),
    address: z
      .string()
      .max(2048)
      .regex(/^https?:\/\//)
      .optional()
      .describe('Of the server. Default of prometheus is the metrics server of the Canary; hosted services know their own.'),
    headers: z.record(z.string().max(128), z.string().max(1024)).optional().describe('Sent along, such as the tenant. Credentials belong into the Secret.'),
    secretRef: localReference().optional().describe('Secret with the credentials: `token`, or `username` and `password`; `ca.crt` for a certificate authority of your own. Some types want other keys.'),
    insecureSkipVerify: z.boolean().default(false).describe('Do not check the certificate of the server.'),
    ...SETTINGS,
  }),
  [
    ...ownSettings,
    { rule: "self.type != 'job' || has(self.job)", message: 'type job needs job.spec' },
    { rule: "self.type != 'kayenta' || has(self.kayenta)", message: 'type kayenta needs kayenta' },
    { rule: "!(self.type in ['graphite', 'influxdb', 'web', 'kayenta']) || has(self.address)", message: 'this type needs address' },
  ],
);
export type MetricProviderSpec = z.infer<typeof metricProvider>;

const query = () => z.string().min(1).max(8192);

const variable = withRules(
  z.object({
    name: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/)
      .describe('In the query: `{{ variables.NAME }}`.'),
    description: z.string().max(1024).optional().describe('For whoever uses the template.'),
    default: z.string().max(1024).optional().describe('Its value where a Canary gives none.'),
    required: z.boolean().optional().describe('A Canary must give it. Default: true where there is no `default`; with false it is empty then.'),
  }),
  [{ rule: '!(has(self.default) && has(self.required) && self.required)', message: 'a variable that is required needs no default' }],
);
export type TemplateVariable = z.infer<typeof variable>;

/** How measurements of one metric count towards the run: in a MetricTemplate the default of what a Canary says. */
export const metricConduct = {
  dryRun: z.boolean().optional().describe('Measured, judged and shown, but it never counts: it ends no run, holds no step and lets none pass.'),
  failureLimit: z
    .int()
    .min(1)
    .optional()
    .describe('Failed checks of this metric that end the run, where that is sooner than `analysis.threshold`.'),
  consecutiveSuccess: z.int().min(1).max(100).optional().describe('Passes in a row, of the same step, before that step is left. Default 1.'),
  initialDelay: duration().optional().describe('Only evidence from this long after the first weight of the run counts; before, the metric is not judged. The last step is not left before it was.'),
  count: z.int().min(1).max(1000).optional().describe('Checks of a run in which it is judged; after so many it is measured no more, and holds nothing.'),
};

/** `MetricTemplate.spec`. */
export const metricTemplateSpec = withRules(
  z.object({
    provider: metricProvider.describe('Who answers the query.'),
    query: query()
      .optional()
      .describe(
        'Gives one number, in the language of the provider. `{{ name }}`, `{{ namespace }}`, `{{ target }}`, `{{ service }}` (Service of the canary), `{{ stableService }}`, `{{ revision }}`, `{{ stable }}` (revision of the stable version), `{{ commit }}`, `{{ interval }}` and `{{ variables.NAME }}` are filled in.',
      ),
    counts: z
      .object({ bad: query().describe('How many requests were bad in `{{ interval }}`. Nothing means none.'), total: query().describe('How many there were.') })
      .optional()
      .describe('In place of `query`: the value is the percentage of bad requests, and their number is known, so `minSamples` counts.'),
    fold: z.enum(['sum', 'avg', 'max', 'min']).optional().describe('Makes one number of several series. Without it, several series are an error.'),
    compare: z
      .enum(['stable'])
      .optional()
      .describe('Ask for the stable version, too: `{{ service }}`, `{{ revision }}` and `{{ commit }}` are those of each version in turn. What is judged is how they compare.'),
    compareAs: z.enum(['ratio', 'difference']).optional().describe('`ratio`, the default: canary divided by stable. `difference`: canary minus stable.'),
    variables: z
      .array(variable)
      .max(50)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .describe('What a Canary gives in `templateVariables`. With this list, any other name there is an error.'),
    ...metricConduct,
  }),
  [
    { rule: "self.provider.type == 'job' || has(self.query) != has(self.counts)", message: 'exactly one of query and counts is needed' },
    { rule: "self.provider.type != 'job' || !(has(self.query) || has(self.counts) || has(self.compare) || has(self.fold))", message: 'a job has no query, counts, compare or fold' },
    { rule: '!has(self.compareAs) || has(self.compare)', message: 'compareAs goes with compare only' },
  ],
);
export type MetricTemplateSpec = z.infer<typeof metricTemplateSpec>;
