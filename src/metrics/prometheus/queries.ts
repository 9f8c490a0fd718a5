/** Built-in metrics, by the names that Flagger gave them. */
export const BUILTIN_METRICS = ['request-success-rate', 'request-duration'] as const;
export type BuiltinMetric = (typeof BUILTIN_METRICS)[number];

export const isBuiltin = (name: string): name is BuiltinMetric => (BUILTIN_METRICS as readonly string[]).includes(name);

/** What is counted per service: requests by response code, or the observations of a histogram by upper bound. */
const SOURCES: Record<BuiltinMetric, { series: string; key: string }> = {
  'request-success-rate': { series: 'istio_requests_total', key: 'response_code' },
  'request-duration': { series: 'istio_request_duration_milliseconds_bucket', key: 'le' },
};

/**
 * Who counted: the proxies of the callers, or those of the pods that were called. `workload` are the callers', too, by the workload
 * that answered: where both slots are behind one Service, its name does not tell them apart. `waypoint` is the proxy between both in
 * ambient mode, where neither has one.
 */
export type Reporter = 'source' | 'workload' | 'destination' | 'waypoint';

/**
 * What is counted: requests at their callers' proxies, each once with its final answer; all that reached the pods; or the tries that
 * callers' proxies made there, several for a request that was repeated. Only a proxy repeats, and it says who it is.
 */
export type Counted = Reporter | 'tries';

interface Subject {
  /** Matchers that pick the series. */
  by: string;
  namespace: string;
  name: string;
}

/**
 * What a slot is known by. Callers know the Service that they asked. A called pod knows only what it is: any of the Services that
 * select it may be named there.
 */
const CALLED = { namespace: 'destination_workload_namespace', name: 'destination_workload' };
const ASKED = { namespace: 'destination_service_namespace', name: 'destination_service_name' };
const SUBJECTS: Record<Counted, Subject> = {
  source: { by: 'reporter="source"', ...ASKED },
  waypoint: { by: 'reporter="waypoint"', ...ASKED },
  workload: { by: 'reporter="source"', ...CALLED },
  destination: { by: 'reporter="destination"', ...CALLED },
  tries: { by: 'reporter="destination",source_workload!="unknown"', ...CALLED },
};
export const subjectLabels = (counted: Counted): { namespace: string; name: string } => SUBJECTS[counted];

/** Whether a window of this metric holds the tries, too: beside the requests, in the same query. */
export const holdsTries = (metric: BuiltinMetric, reporter: Reporter): boolean => metric === 'request-success-rate' && (reporter === 'source' || reporter === 'workload');

/** The label that tells the counts of one service apart. */
export const keyLabel = (metric: BuiltinMetric): string => SOURCES[metric].key;

/** How far back the previous value of a counter is looked for: a proxy that missed some scrapes must not count from zero again. */
const MEMORY = '5m';

/** Whose counts are asked for: services with one of the names, in one of the namespaces. There may be some that nobody asked about. */
export interface Subjects {
  namespaces: readonly string[];
  names: readonly string[];
}

/** The counts of several metrics in one query. Each is told by the label that its counts are kept apart by. */
export const groupedQuery = (of: ReadonlyMap<BuiltinMetric, Subjects>, windowMs: number, reporter: Reporter): string =>
  [...of].map(([metric, subjects]) => windowQuery(metric, subjects, windowMs, reporter)).join(' or ');

/**
 * What every one of these services counted in the `windowMs` before the evaluation time, in one query. A series that is new
 * counts from zero, and one that was reset counts its new value: `or` fills in both where the difference has nothing or less
 * than nothing. The metric name does not take part in any of these matches.
 */
function windowQuery(metric: BuiltinMetric, of: Subjects, windowMs: number, reporter: Reporter): string {
  if (!holdsTries(metric, reporter)) return increases(metric, of, windowMs, reporter);
  // Both are known by the same labels, so who counted has to tell them apart.
  const more = reporter === 'workload' ? ['reporter'] : [];
  return `${increases(metric, of, windowMs, reporter, more)} or ${increases(metric, of, windowMs, 'tries', more)}`;
}

function increases(metric: BuiltinMetric, of: Subjects, windowMs: number, counted: Counted, more: string[] = []): string {
  const { series, key } = SOURCES[metric];
  const { by, namespace, name } = SUBJECTS[counted];
  const matchers = [by, matcher(namespace, of.namespaces), matcher(name, of.names)];
  const selector = `${series}{${matchers.join(',')}}`;
  const grouping = [namespace, name, key, ...more].join(',');
  return `sum by (${grouping}) ((${selector} - last_over_time(${selector}[${MEMORY}] offset ${promDuration(windowMs)}) >= 0) or ${selector})`;
}

/** The question of one canary as a query that a person can paste; it counts like `increase`, so its last digits may differ. */
export function readableQuery(metric: BuiltinMetric, namespace: string, service: string, from: number, to: number, counted: Counted = 'source'): string {
  const labels = SUBJECTS[counted];
  const { series } = SOURCES[metric];
  const of = (more: string) => {
    const selector = `${labels.by},${labels.namespace}="${namespace}",${labels.name}="${service}"${more}`;
    return `increase(${series}{${selector}}[${promDuration(to - from)}] @ ${(to / 1000).toFixed(3)})`;
  };
  if (metric === 'request-success-rate') return `100 * sum(${of(',response_code!~"5..|0"')}) / sum(${of('')})`;
  return `histogram_quantile(0.99, sum by (le) (${of('')}))`;
}

function matcher(label: string, names: readonly string[]): string {
  const [first] = names;
  if (names.length === 1 && first !== undefined) return `${label}="${first}"`;
  // Names are DNS labels, or several of them: only the dot means anything to a regular expression.
  return `${label}=~"${names.map((name) => name.replaceAll('.', '\\\\.')).join('|')}"`;
}

const promDuration = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`);
