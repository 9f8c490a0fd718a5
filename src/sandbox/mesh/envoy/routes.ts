import type { ProgrammedHost } from '../domains.js';
import { hostOverride } from '../headers.js';
import type { HeaderOperations, HeaderRules, Redirect, Route, RouteMatch, StringMatch } from '../types.js';

/** Envoy's v3 API as JSON (proto3 mapping, original field names). */
export type Json = { [key: string]: unknown };

const TYPE = 'type.googleapis.com/';
const MILLION_PER_PERCENT = 10_000;

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(3)}s`;

export const typed = (type: string, fields: Json = {}): Json => ({ '@type': `${TYPE}${type}`, ...fields });

const fraction = (percent: number): Json => ({ numerator: Math.round(percent * MILLION_PER_PERCENT), denominator: 'MILLION' });

const stringMatcher = (match: Exclude<StringMatch, { kind: 'present' }>): Json => {
  if (match.kind === 'regex') return { safe_regex: { regex: match.value } };
  // Envoy refuses empty prefixes; each value has one.
  if (match.kind === 'prefix') return match.value === '' ? { safe_regex: { regex: '.*' } } : { prefix: match.value };
  return { exact: match.value };
};

const headerMatcher = (name: string, match: StringMatch): Json =>
  match.kind === 'present' ? { name, present_match: true } : { name, string_match: stringMatcher(match) };

const withoutMatcher = (name: string, match: StringMatch): Json => ({
  ...headerMatcher(name, match),
  invert_match: true,
  ...(match.kind !== 'present' && { treat_missing_header_as_empty: true }),
});

const pathMatcher = (uri: StringMatch | undefined): Json => {
  if (uri === undefined || uri.kind === 'present') return { prefix: '/' };
  if (uri.kind === 'exact') return { path: uri.value };
  if (uri.kind === 'prefix') return { prefix: uri.value };
  return { safe_regex: { regex: uri.value } };
};

const routeMatch = (match: RouteMatch | undefined): Json => {
  const headers: Json[] = [];
  for (const key of ['method', 'authority', 'scheme'] as const) {
    const wanted = match?.[key];
    if (wanted !== undefined) headers.push(headerMatcher(`:${key}`, wanted));
  }
  for (const [name, wanted] of Object.entries(match?.headers ?? {})) headers.push(headerMatcher(name, wanted));
  for (const [name, unwanted] of Object.entries(match?.withoutHeaders ?? {})) headers.push(withoutMatcher(name, unwanted));
  const query = Object.entries(match?.queryParams ?? {}).map(([name, wanted]) =>
    wanted.kind === 'present' ? { name, present_match: true } : { name, string_match: stringMatcher(wanted) },
  );
  return {
    ...pathMatcher(match?.uri),
    ...(match?.ignoreUriCase === true && { case_sensitive: false }),
    ...(headers.length > 0 && { headers }),
    ...(query.length > 0 && { query_parameters: query }),
  };
};

/** `%` starts a command in Envoy's header values; ours are literal. */
const headerOptions = (values: Record<string, string>, action: string): Json[] =>
  Object.entries(values)
    .filter(([name]) => name.toLowerCase() !== 'host' && name.toLowerCase() !== ':authority')
    .map(([key, value]) => ({
      header: { key, value: value.replaceAll('%', '%%') },
      append_action: action,
      keep_empty_value: true,
    }));

const operations = (side: 'request' | 'response', given: HeaderOperations | undefined): Json => {
  if (given === undefined) return {};
  const add = [...headerOptions(given.set, 'OVERWRITE_IF_EXISTS_OR_ADD'), ...headerOptions(given.add, 'APPEND_IF_EXISTS_OR_ADD')];
  return {
    ...(add.length > 0 && { [`${side}_headers_to_add`]: add }),
    ...(given.remove.length > 0 && { [`${side}_headers_to_remove`]: given.remove }),
  };
};

const headerRules = (rules: HeaderRules | undefined): Json => ({
  ...operations('request', rules?.request),
  ...operations('response', rules?.response),
});

const REDIRECT_CODES: Record<number, string> = {
  301: 'MOVED_PERMANENTLY',
  302: 'FOUND',
  303: 'SEE_OTHER',
  307: 'TEMPORARY_REDIRECT',
  308: 'PERMANENT_REDIRECT',
};

const redirect = (given: Redirect): Json => ({
  response_code: REDIRECT_CODES[given.status] ?? 'MOVED_PERMANENTLY',
  ...(given.uri !== undefined && { path_redirect: given.uri }),
  ...(given.authority !== undefined && { host_redirect: given.authority }),
  ...(given.scheme !== undefined && { scheme_redirect: given.scheme }),
  ...(given.port !== undefined && { port_redirect: given.port }),
});

const retryPolicy = (route: Route): Json => {
  const policy = route.retries;
  if (policy === undefined) return {};
  return {
    retry_policy: {
      retry_on: policy.on.join(','),
      num_retries: policy.attempts,
      ...(policy.statusCodes.length > 0 && { retriable_status_codes: policy.statusCodes }),
      ...(policy.perTryTimeoutMs !== undefined && { per_try_timeout: seconds(policy.perTryTimeoutMs) }),
      retry_host_predicate: [
        {
          name: 'envoy.retry_host_predicates.previous_hosts',
          typed_config: typed('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'),
        },
      ],
      host_selection_retry_max_attempts: 5,
    },
  };
};

const rewrite = (route: Route): Json => {
  const given = route.rewrite;
  const host = given?.authority ?? hostOverride(route.headers?.request);
  const whole = route.match?.uri?.kind === 'regex' ? route.match.uri.value : undefined;
  const regex =
    given?.uriRegex ?? (given?.uri !== undefined && whole !== undefined ? { match: whole, rewrite: given.uri } : undefined);
  return {
    ...(host !== undefined && { host_rewrite_literal: host }),
    ...(regex !== undefined && { regex_rewrite: { pattern: { regex: regex.match }, substitution: regex.rewrite } }),
    ...(regex === undefined && given?.uri !== undefined && { prefix_rewrite: given.uri }),
  };
};

/** How the clusters of a {@link Route} are called in Envoy, for one source. */
export interface ClusterNames {
  forward: (cluster: string) => string;
  mirror: (cluster: string) => string;
}

const action = (route: Route, names: ClusterNames): Json => {
  if (route.action.kind === 'redirect') return { redirect: redirect(route.action.redirect) };
  if (route.action.kind === 'direct')
    return { direct_response: { status: route.action.status, body: { inline_string: route.action.body } } };
  const clusters = route.action.destinations.map(({ cluster, weight, headers }) => {
    const host = hostOverride(headers?.request);
    return {
      name: names.forward(cluster),
      weight,
      ...headerRules(headers),
      ...(host !== undefined && { host_rewrite_literal: host }),
    };
  });
  const mirrors = route.mirrors.map(({ cluster, percent }) => ({
    cluster: names.mirror(cluster),
    runtime_fraction: { default_value: fraction(percent) },
  }));
  return {
    route: {
      weighted_clusters: { clusters },
      timeout: seconds(route.timeoutMs),
      ...retryPolicy(route),
      ...rewrite(route),
      ...(mirrors.length > 0 && { request_mirror_policies: mirrors }),
    },
  };
};

const fault = (route: Route): Json => {
  const { delay, abort } = route.fault ?? {};
  if (delay === undefined && abort === undefined) return {};
  const config = typed('envoy.extensions.filters.http.fault.v3.HTTPFault', {
    ...(delay && { delay: { fixed_delay: seconds(delay.ms), percentage: fraction(delay.percent) } }),
    ...(abort && { abort: { http_status: abort.status, percentage: fraction(abort.percent) } }),
  });
  return { typed_per_filter_config: { 'envoy.filters.http.fault': config } };
};

const toRoute = (route: Route, names: ClusterNames): Json => ({
  name: route.name,
  match: routeMatch(route.match),
  ...action(route, names),
  ...fault(route),
  ...headerRules(route.headers),
});

const BLOCK_ALL: Json = {
  name: 'block_all',
  domains: ['*'],
  routes: [{ name: 'block_all', match: { prefix: '/' }, direct_response: { status: 502 } }],
};

/** The RouteConfiguration of one source's listener. */
export const routeConfiguration = (name: string, hosts: readonly ProgrammedHost[], names: ClusterNames): Json => {
  const virtualHosts = hosts.map(({ host, port, domains, routes }) => ({
    name: `${host}:${port}`,
    domains: port === 0 ? domains.flatMap((domain) => (domain.startsWith('*') ? [domain] : [domain, `${domain}:*`])) : domains,
    include_request_attempt_count: true,
    routes: routes.map((route) => toRoute(route, names)),
  }));
  const open = hosts.some(({ domains }) => domains.includes('*'));
  return {
    ...typed('envoy.config.route.v3.RouteConfiguration'),
    name,
    virtual_hosts: open ? virtualHosts : [...virtualHosts, BLOCK_ALL],
    // A route may name what does not exist: that is answered with 503 and NC, request by request.
    validate_clusters: false,
  };
};
