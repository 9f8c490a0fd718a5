import type { KubeObject } from '../../kube/types.js';
import { clusterName, compileClusters, expandHost, fqdn, hostCovers, isHttpPort, visibility } from './clusters.js';
import { parseAll } from './parse.js';
import { compileRoutes, defaultRetries, reporter, type RouteContext } from './routes.js';
import {
  destinationRuleSchema,
  endpointSliceSchema,
  podSchema,
  serviceSchema,
  virtualServiceSchema,
  type Service,
  type VirtualService,
} from './schema.js';
import type { MeshConfig, Problem, Route, VirtualHost } from './types.js';

/** Objects as the API server returns them; `networking.istio.io` in v1, v1beta1 or v1alpha3, whose fields are the same. */
export interface MeshInput {
  virtualServices: readonly KubeObject[];
  destinationRules: readonly KubeObject[];
  services: readonly KubeObject[];
  endpointSlices: readonly KubeObject[];
  pods: readonly KubeObject[];
}

export interface CompileOptions {
  /** Statuses that the default retry policy retries: 503 before Istio 1.24 (the default here), none since. */
  defaultRetryStatusCodes?: number[];
}

const ANY_PORT = 0;
const LISTENER_PORT_OF_FOREIGN_HOSTS = 80;

const isIstio = (object: KubeObject): boolean => /^networking\.istio\.io\/(v1|v1beta1|v1alpha3)$/.test(object.apiVersion);

const byAge = (a: VirtualService, b: VirtualService): number =>
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  a.metadata.name.localeCompare(b.metadata.name) ||
  a.metadata.namespace.localeCompare(b.metadata.namespace);

/** `mesh` and `namespace/name` of the gateways that a VirtualService is for. */
const gatewaysOf = (virtualService: VirtualService): string[] => {
  const names = virtualService.spec.gateways ?? [];
  if (names.length === 0) return ['mesh'];
  return names.map((name) => (name === 'mesh' || name.includes('/') ? name : `${virtualService.metadata.namespace}/${name}`));
};

interface World {
  services: Map<string, Service>;
  virtualServices: VirtualService[];
  /** By exact host, the oldest first. */
  claims: Map<string, VirtualService[]>;
  wildcards: { pattern: string; virtualService: VirtualService }[];
  delegates: Map<string, VirtualService>;
  problems: Problem[];
  retryStatusCodes: number[];
}

const contextFor = (world: World, virtualService: VirtualService, listenerPort: number): RouteContext => ({
  namespace: virtualService.metadata.namespace,
  listenerPort,
  onlyPort: (host) => {
    const ports = world.services.get(host)?.spec.ports;
    return ports?.length === 1 ? ports[0]?.port : undefined;
  },
  defaultRetryStatusCodes: world.retryStatusCodes,
  delegates: (namespace, name) => world.delegates.get(`${namespace}/${name}`),
  report: reporter(virtualService, world.problems),
});

const virtualHostFrom = (world: World, virtualService: VirtualService, host: string, port: number): VirtualHost | undefined => {
  const gateways = gatewaysOf(virtualService);
  const listenerPort = port === ANY_PORT ? LISTENER_PORT_OF_FOREIGN_HOSTS : port;
  const routes = compileRoutes(virtualService, gateways, contextFor(world, virtualService, listenerPort));
  if (routes.length === 0) return undefined;
  const { name, namespace } = virtualService.metadata;
  return {
    host,
    port,
    exportTo: visibility(virtualService.spec.exportTo, namespace),
    gateways,
    virtualService: `${name}/${namespace}`,
    routes,
  };
};

/** VirtualServices for a host, the most specific host first, then the oldest first. */
const claims = (world: World, host: string): VirtualService[] => {
  const wild = world.wildcards
    .filter(({ pattern }) => hostCovers(pattern, host))
    .toSorted((a, b) => b.pattern.length - a.pattern.length);
  return [...new Set([...(world.claims.get(host) ?? []), ...wild.map(({ virtualService }) => virtualService)])];
};

/** Index by host: a fleet has thousands of Services, and nearly all claims are exact. */
const indexClaims = (virtualServices: readonly VirtualService[]): Pick<World, 'claims' | 'wildcards'> => {
  const exact = new Map<string, VirtualService[]>();
  const wildcards: World['wildcards'] = [];
  for (const virtualService of virtualServices) {
    for (const entry of virtualService.spec.hosts ?? []) {
      const host = expandHost(entry, virtualService.metadata.namespace);
      if (host.startsWith('*')) wildcards.push({ pattern: host, virtualService });
      else exact.set(host, [...(exact.get(host) ?? []), virtualService]);
    }
  }
  return { claims: exact, wildcards };
};

const defaultRoute = (cluster: string, statusCodes: number[]): Route => ({
  name: 'default',
  action: { kind: 'forward', destinations: [{ cluster, weight: 100 }] },
  timeoutMs: 0,
  retries: defaultRetries(statusCodes),
  mirrors: [],
});

const hostsOfService = (world: World, service: Service): VirtualHost[] => {
  const host = fqdn(service.metadata.name, service.metadata.namespace);
  const claimed = claims(world, host);
  warnOfConflict(world, host, world.claims.get(host) ?? []);
  return service.spec.ports
    .filter(isHttpPort)
    .flatMap(({ port }) => [
      ...claimed.flatMap((virtualService) => virtualHostFrom(world, virtualService, host, port) ?? []),
      { host, port, exportTo: ['*'], routes: [defaultRoute(clusterName(port, '', host), world.retryStatusCodes)] },
    ]);
};

/** Sidecars obey one VirtualService per host and namespace: the oldest. The others are silently dead in Istio, so say it. */
const warnOfConflict = (world: World, host: string, claimed: readonly VirtualService[]): void => {
  const [winner, ...losers] = claimed.filter((candidate) => gatewaysOf(candidate).includes('mesh'));
  for (const loser of losers) {
    reporter(loser, world.problems)(
      'spec.hosts',
      `${host} is already routed by the older VirtualService ${winner?.metadata.namespace}/${winner?.metadata.name}, which wins wherever both are visible`,
    );
  }
};

/** Hosts of VirtualServices that no Service stands behind, such as `shop.example.com`. */
const foreignHosts = (world: World): VirtualHost[] =>
  world.virtualServices.flatMap((virtualService) =>
    (virtualService.spec.hosts ?? [])
      .map((entry) => expandHost(entry, virtualService.metadata.namespace))
      .filter((host) => !world.services.has(host))
      .flatMap((host) => virtualHostFrom(world, virtualService, host, ANY_PORT) ?? []),
  );

/**
 * What istiod would program for these objects. Never throws: an object that is malformed is left out and listed in `problems`.
 * Semantics follow Istio: the first matching route wins, a VirtualService replaces its host's default route, destinations of
 * weight 0 are left out, only names without a dot are completed with the VirtualService's namespace.
 */
export const compileMesh = (input: MeshInput, version = 1, options: CompileOptions = {}): MeshConfig => {
  const problems: Problem[] = [];
  const services = parseAll(input.services, 'Service', serviceSchema, problems).filter(
    ({ spec }) => spec.type !== 'ExternalName',
  );
  const virtualServices = parseAll(
    input.virtualServices.filter(isIstio),
    'VirtualService',
    virtualServiceSchema,
    problems,
  ).toSorted(byAge);
  const isDelegate = (candidate: VirtualService): boolean => (candidate.spec.hosts ?? []).length === 0;
  const routing = virtualServices.filter((candidate) => !isDelegate(candidate));
  const world: World = {
    ...indexClaims(routing),
    services: new Map(services.map((service) => [fqdn(service.metadata.name, service.metadata.namespace), service])),
    virtualServices: routing,
    delegates: new Map(virtualServices.filter(isDelegate).map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one])),
    problems,
    retryStatusCodes: options.defaultRetryStatusCodes ?? [503],
  };
  const clusters = compileClusters(
    {
      services,
      destinationRules: parseAll(input.destinationRules.filter(isIstio), 'DestinationRule', destinationRuleSchema, problems),
      endpointSlices: parseAll(input.endpointSlices, 'EndpointSlice', endpointSliceSchema, problems),
      pods: parseAll(input.pods, 'Pod', podSchema, problems),
    },
    problems,
  );
  const virtualHosts = [...services.flatMap((service) => hostsOfService(world, service)), ...foreignHosts(world)];
  return { version, virtualHosts, ...clusters, problems };
};
