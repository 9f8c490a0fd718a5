/** Built-in metrics, by the names that Flagger gave them. */
export const BUILTIN_METRICS = ['request-success-rate', 'request-duration'] as const;
export type BuiltinMetric = (typeof BUILTIN_METRICS)[number];

export const isBuiltin = (name: string): name is BuiltinMetric => (BUILTIN_METRICS as readonly string[]).includes(name);

/** What is counted per service: requests by response code, or the observations of a histogram by upper bound. */
const SOURCES: Record<BuiltinMetric, { series: string; key: string }> = {
  'request-success-rate': { series: 'istio_requests_total', key: 'response_code' },
  'request-duration': { series: 'istio_request_duration_milliseconds_bucket', key: 'le' },
};

/** The label that tells the counts of one service apart. */
export const keyLabel = (metric: BuiltinMetric): string => SOURCES[metric].key;

/** How far back the previous value of a counter is looked for: a proxy that missed some scrapes must not count from zero again. */
const MEMORY = '5m';

/**
 * What every service in `namespaces` counted in the `windowMs` before the evaluation time, in one query. A series that is new
 * counts from zero, and one that was reset counts its new value: `or` fills in both where the difference has nothing or less
 * than nothing. The metric name does not take part in any of these matches.
 */
export function windowQuery(metric: BuiltinMetric, namespaces: readonly string[], windowMs: number): string {
  const { series, key } = SOURCES[metric];
  const selector = `${series}{reporter="source",${namespaceMatcher(namespaces)}}`;
  const grouping = `destination_service_namespace,destination_service_name,${key}`;
  return `sum by (${grouping}) ((${selector} - last_over_time(${selector}[${MEMORY}] offset ${promDuration(windowMs)}) >= 0) or ${selector})`;
}

/** The question of one canary as a query that a person can paste; it counts like `increase`, so its last digits may differ. */
export function readableQuery(metric: BuiltinMetric, namespace: string, service: string, from: number, to: number): string {
  const { series } = SOURCES[metric];
  const of = (more: string) => {
    const selector = `reporter="source",destination_service_namespace="${namespace}",destination_service_name="${service}"${more}`;
    return `increase(${series}{${selector}}[${promDuration(to - from)}] @ ${(to / 1000).toFixed(3)})`;
  };
  if (metric === 'request-success-rate') return `100 * sum(${of(',response_code!~"5..|0"')}) / sum(${of('')})`;
  return `histogram_quantile(0.99, sum by (le) (${of('')}))`;
}

function namespaceMatcher(namespaces: readonly string[]): string {
  const [first] = namespaces;
  if (namespaces.length === 1 && first !== undefined) return `destination_service_namespace="${first}"`;
  // Names of namespaces are DNS labels: nothing in them means anything to a regular expression.
  return `destination_service_namespace=~"${namespaces.join('|')}"`;
}

const promDuration = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`);
