import { STATUS_CODES } from 'node:http';
import { clusterName, expandHost } from './clusters.js';
import type { Destination, HeaderRulesInput, HttpMatch, HttpRoute, StringMatchInput, VirtualService } from './schema.js';
import type {
  Fault,
  HeaderOperations,
  HeaderRules,
  Mirror,
  Problem,
  RetryPolicy,
  Rewrite,
  Route,
  RouteAction,
  RouteMatch,
  StringMatch,
} from './types.js';

const DEFAULT_RETRY_ON = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'];
const DEFAULT_ATTEMPTS = 2;

/** Istio's retry policy for routes that set none. `statusCodes` is empty since Istio 1.24, and was 503 before. */
export const defaultRetries = (statusCodes: number[]): RetryPolicy => ({
  attempts: DEFAULT_ATTEMPTS,
  on: DEFAULT_RETRY_ON,
  statusCodes,
});

/** What the routes of one VirtualService need to know of the world, for one port of one host. */
export interface RouteContext {
  namespace: string;
  listenerPort: number;
  /** The only port of a Service, when it has only one. */
  onlyPort: (host: string) => number | undefined;
  defaultRetryStatusCodes: number[];
  delegates: (namespace: string, name: string) => VirtualService | undefined;
  report: (field: string, message: string) => void;
}

export const reporter =
  (virtualService: VirtualService, problems: Problem[]) =>
  (field: string, message: string): void => {
    const object = `VirtualService ${virtualService.metadata.namespace}/${virtualService.metadata.name}`;
    if (!problems.some((problem) => problem.object === object && problem.field === field))
      problems.push({ object, field, message });
  };

const toStringMatch = (input: StringMatchInput): StringMatch => {
  if (input.exact !== undefined) return { kind: 'exact', value: input.exact };
  if (input.prefix !== undefined) return { kind: 'prefix', value: input.prefix };
  if (input.regex !== undefined) return { kind: 'regex', value: input.regex };
  return { kind: 'present' };
};

const toMatches = (
  input: Record<string, StringMatchInput> | undefined,
  lowerCase: boolean,
): Record<string, StringMatch> | undefined =>
  input === undefined || Object.keys(input).length === 0
    ? undefined
    : Object.fromEntries(
        Object.entries(input).map(([key, value]) => [lowerCase ? key.toLowerCase() : key, toStringMatch(value)]),
      );

/** Undefined for a match that takes every request. */
const toRouteMatch = (input: HttpMatch | undefined): RouteMatch | undefined => {
  if (input === undefined) return undefined;
  const result: RouteMatch = {};
  for (const key of ['uri', 'scheme', 'method', 'authority'] as const) {
    const given = input[key];
    if (given !== undefined) result[key] = toStringMatch(given);
  }
  // A prefix of `/` is what every path has; Istio counts it as no condition.
  if (result.uri?.kind === 'present' || (result.uri?.kind === 'prefix' && result.uri.value === '/')) delete result.uri;
  if (result.uri !== undefined && input.ignoreUriCase === true) result.ignoreUriCase = true;
  const headers = toMatches(input.headers, true);
  const withoutHeaders = toMatches(input.withoutHeaders, true);
  const queryParams = toMatches(input.queryParams, false);
  if (headers) result.headers = headers;
  if (withoutHeaders) result.withoutHeaders = withoutHeaders;
  if (queryParams) result.queryParams = queryParams;
  return Object.keys(result).length === 0 ? undefined : result;
};

const toOperations = (input: NonNullable<HeaderRulesInput['request']>): HeaderOperations => ({
  set: input.set ?? {},
  add: input.add ?? {},
  remove: input.remove ?? [],
});

const toHeaderRules = (input: HeaderRulesInput | undefined): HeaderRules | undefined => {
  if (input === undefined) return undefined;
  const rules: HeaderRules = {};
  if (input.request) rules.request = toOperations(input.request);
  if (input.response) rules.response = toOperations(input.response);
  return rules;
};

const toCluster = (destination: Destination, context: RouteContext, field: string): string => {
  const host = expandHost(destination.host, context.namespace);
  const parts = destination.host.split('.');
  if (parts.length === 2 && parts[0] !== '*') {
    context.report(
      field,
      `"${destination.host}" is taken as a full name; Istio completes only names without a dot: write "${parts[0]}.${parts[1]}.svc.cluster.local"`,
    );
  }
  const port = destination.port?.number ?? context.onlyPort(host) ?? context.listenerPort;
  return clusterName(port, destination.subset ?? '', host);
};

const toAction = (route: HttpRoute, context: RouteContext, field: string): RouteAction | undefined => {
  if (route.redirect !== undefined) {
    const { redirectCode, ...redirect } = route.redirect;
    return { kind: 'redirect', redirect: { status: redirectCode ?? 301, ...redirect } };
  }
  if (route.directResponse !== undefined) {
    const { status, body } = route.directResponse;
    return { kind: 'direct', status, body: body?.string ?? Buffer.from(body?.bytes ?? '', 'base64').toString() };
  }
  const destinations = route.route ?? [];
  if (destinations.length === 0) {
    context.report(field, 'has neither route, redirect, directResponse nor delegate; the entry is skipped');
    return undefined;
  }
  const weighted = destinations.map(({ destination, weight, headers }, index) => {
    const rules = toHeaderRules(headers);
    const cluster = toCluster(destination, context, `${field}.route.${index}.destination.host`);
    return { cluster, weight: weight ?? 0, ...(rules && { headers: rules }) };
  });
  // The weight of an only destination is not looked at.
  if (weighted.length === 1) return { kind: 'forward', destinations: weighted.map((entry) => ({ ...entry, weight: 100 })) };
  const alive = weighted.filter((entry) => entry.weight > 0);
  if (alive.length > 0) return { kind: 'forward', destinations: alive };
  context.report(`${field}.route`, 'the weights sum to 0; the entry is skipped: give at least one destination a weight');
  return undefined;
};

const toRetries = (input: HttpRoute['retries'], context: RouteContext): RetryPolicy | undefined => {
  const base = defaultRetries(context.defaultRetryStatusCodes);
  if (input === undefined) return base;
  if ((input.attempts ?? 0) === 0) return undefined;
  const policy: RetryPolicy = { ...base, attempts: input.attempts ?? DEFAULT_ATTEMPTS };
  if (input.perTryTimeout !== undefined) policy.perTryTimeoutMs = input.perTryTimeout;
  if (input.retryOn !== undefined && input.retryOn !== '') {
    const words = input.retryOn.split(',').map((word) => word.trim());
    policy.statusCodes = words.filter((word) => STATUS_CODES[word] !== undefined).map(Number);
    policy.on = words.filter((word) => word !== '' && STATUS_CODES[word] === undefined);
    if (policy.statusCodes.length > 0 && !policy.on.includes('retriable-status-codes')) policy.on.push('retriable-status-codes');
  }
  return policy;
};

const toFault = (input: HttpRoute['fault'], report: RouteContext['report'], field: string): Fault | undefined => {
  if (input === undefined) return undefined;
  const fault: Fault = {};
  if (input.delay)
    fault.delay = { percent: input.delay.percentage?.value ?? input.delay.percent ?? 100, ms: input.delay.fixedDelay };
  if (input.abort?.httpStatus !== undefined)
    fault.abort = { percent: input.abort.percentage?.value ?? 100, status: input.abort.httpStatus };
  else if (input.abort) report(`${field}.fault.abort`, 'has no httpStatus; only HTTP aborts are supported, so it is ignored');
  return fault;
};

const toMirrors = (route: HttpRoute, context: RouteContext, field: string): Mirror[] => {
  const many = (route.mirrors ?? []).map(({ destination, percentage }, index) => ({
    cluster: toCluster(destination, context, `${field}.mirrors.${index}.destination.host`),
    percent: percentage === undefined ? 100 : (percentage.value ?? 0),
  }));
  const percent = route.mirrorPercentage === undefined ? (route.mirror_percent ?? 100) : (route.mirrorPercentage.value ?? 0);
  const one = route.mirror === undefined ? [] : [{ cluster: toCluster(route.mirror, context, `${field}.mirror.host`), percent }];
  return [...one, ...many].filter((mirror) => mirror.percent > 0);
};

const toRewrite = ({ uriRegexRewrite, ...rest }: NonNullable<HttpRoute['rewrite']>): Rewrite => ({
  ...rest,
  ...(uriRegexRewrite && { uriRegex: uriRegexRewrite }),
});

const compileRoute = (route: HttpRoute, gateways: string[], context: RouteContext, field: string): Route[] => {
  const action = toAction(route, context, field);
  if (action === undefined) return [];
  const fault = toFault(route.fault, context.report, field);
  const retries = action.kind === 'forward' ? toRetries(route.retries, context) : undefined;
  const headers = toHeaderRules(route.headers);
  const common = {
    action,
    timeoutMs: route.timeout ?? 0,
    mirrors: toMirrors(route, context, field),
    ...(retries && { retries }),
    ...(fault && { fault }),
    ...(route.rewrite && { rewrite: toRewrite(route.rewrite) }),
    ...(headers && { headers }),
  };
  const matches: (HttpMatch | undefined)[] = route.match === undefined || route.match.length === 0 ? [undefined] : route.match;
  return matches
    .filter((match) => match?.port === undefined || match.port === context.listenerPort)
    .map((input) => {
      const match = toRouteMatch(input);
      const name = [route.name, input?.name].filter((part) => part !== undefined && part !== '').join('.') || 'default';
      const { sourceLabels, sourceNamespace } = input ?? {};
      const audience = {
        gateways: input?.gateways ?? gateways,
        ...(sourceLabels && { sourceLabels }),
        ...(sourceNamespace !== undefined && { sourceNamespace }),
      };
      return { name, ...common, audience, ...(match && { match }) };
    });
};

/** A delegate's match inside its root's: both hold. Undefined when the two cannot be put into one condition. */
const narrow = (root: HttpMatch, inner: HttpMatch): HttpMatch | undefined => {
  for (const key of ['method', 'scheme', 'authority', 'port', 'sourceNamespace'] as const) {
    if (root[key] !== undefined && inner[key] !== undefined && JSON.stringify(root[key]) !== JSON.stringify(inner[key]))
      return undefined;
  }
  const outer = root.uri?.prefix;
  const innerUri = inner.uri?.prefix ?? inner.uri?.exact;
  const compatible =
    root.uri === undefined ||
    inner.uri === undefined ||
    (outer !== undefined && innerUri?.startsWith(outer) === true) ||
    JSON.stringify(root.uri) === JSON.stringify(inner.uri);
  if (!compatible) return undefined;
  return {
    ...root,
    ...inner,
    headers: { ...root.headers, ...inner.headers },
    withoutHeaders: { ...root.withoutHeaders, ...inner.withoutHeaders },
    queryParams: { ...root.queryParams, ...inner.queryParams },
    ...((root.sourceLabels ?? inner.sourceLabels) && { sourceLabels: { ...root.sourceLabels, ...inner.sourceLabels } }),
  };
};

const narrowAll = (root: HttpRoute, inner: HttpRoute): HttpMatch[] | undefined => {
  const outer = root.match ?? [];
  const own = inner.match ?? [];
  if (outer.length === 0 || own.length === 0) return [...outer, ...own];
  const both = outer.flatMap((a) => own.flatMap((b) => narrow(a, b) ?? []));
  return both.length === 0 ? undefined : both;
};

/** Replace a delegating entry by the entries of the VirtualService that it names. Delegates of delegates are not followed, as in Istio. */
const expandDelegate = (
  route: HttpRoute,
  context: RouteContext,
  field: string,
): { route: HttpRoute; context: RouteContext }[] => {
  if (route.delegate === undefined) return [{ route, context }];
  const namespace = route.delegate.namespace ?? context.namespace;
  const delegate = context.delegates(namespace, route.delegate.name);
  if (delegate === undefined) {
    context.report(
      `${field}.delegate`,
      `VirtualService ${namespace}/${route.delegate.name} does not exist or has hosts of its own; the entry is skipped`,
    );
    return [];
  }
  return (delegate.spec.http ?? []).flatMap((inner) => {
    const match = narrowAll(route, inner);
    if (match === undefined || inner.delegate !== undefined) {
      context.report(
        `${field}.delegate`,
        `an entry of VirtualService ${namespace}/${delegate.metadata.name} does not lie inside this entry's match; it is skipped`,
      );
      return [];
    }
    const name = [route.name, inner.name].filter((part) => part !== undefined).join('-');
    return [{ route: { ...inner, match, ...(name !== '' && { name }) }, context: { ...context, namespace } }];
  });
};

/** The route table of one VirtualService for one port. Ends at the first entry that takes everything from everyone. */
export const compileRoutes = (virtualService: VirtualService, gateways: string[], context: RouteContext): Route[] => {
  const routes = (virtualService.spec.http ?? []).flatMap((entry, index) =>
    expandDelegate(entry, context, `spec.http.${index}`).flatMap(({ route, context: inner }) =>
      compileRoute(route, gateways, inner, `spec.http.${index}`),
    ),
  );
  const last = routes.findIndex((route) => isCatchAll(route));
  return last === -1 ? routes : routes.slice(0, last + 1);
};

const isCatchAll = (route: Route): boolean =>
  route.match === undefined &&
  route.audience?.sourceLabels === undefined &&
  route.audience?.sourceNamespace === undefined &&
  route.audience?.gateways.includes('mesh') === true;
