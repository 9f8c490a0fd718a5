/** What istiod would program into the proxies, as plain data. Durations are milliseconds, percentages 0..100. */

export interface Problem {
  /** `VirtualService default/reviews`. */
  object: string;
  field: string;
  message: string;
}

/** `exact`, `prefix` and `regex` (RE2, whole string) of Istio's StringMatch; `present` is an empty match. */
export type StringMatch =
  { kind: 'exact'; value: string } | { kind: 'prefix'; value: string } | { kind: 'regex'; value: string } | { kind: 'present' };

export interface RouteMatch {
  uri?: StringMatch;
  ignoreUriCase?: boolean;
  scheme?: StringMatch;
  method?: StringMatch;
  authority?: StringMatch;
  headers?: Record<string, StringMatch>;
  withoutHeaders?: Record<string, StringMatch>;
  queryParams?: Record<string, StringMatch>;
}

/** Which proxies get a route at all; decided when a proxy is programmed, not per request. */
export interface Audience {
  /** Gateways that serve the route; `mesh` stands for all sidecars. */
  gateways: string[];
  sourceLabels?: Record<string, string>;
  sourceNamespace?: string;
}

export interface HeaderOperations {
  set: Record<string, string>;
  add: Record<string, string>;
  remove: string[];
}

export interface HeaderRules {
  request?: HeaderOperations;
  response?: HeaderOperations;
}

export interface WeightedCluster {
  cluster: string;
  weight: number;
  headers?: HeaderRules;
}

export interface RetryPolicy {
  /** Tries after the first one. */
  attempts: number;
  perTryTimeoutMs?: number;
  /** Envoy's `retry_on` words, status codes left out. */
  on: string[];
  statusCodes: number[];
}

export interface Fault {
  delay?: { percent: number; ms: number };
  abort?: { percent: number; status: number };
}

export interface Mirror {
  cluster: string;
  percent: number;
}

export interface Rewrite {
  /** Replaces the matched prefix, or the whole path where the match was exact or a regex. */
  uri?: string;
  uriRegex?: { match: string; rewrite: string };
  authority?: string;
}

export interface Redirect {
  status: number;
  uri?: string;
  authority?: string;
  scheme?: string;
  port?: number;
}

export type RouteAction =
  | { kind: 'forward'; destinations: WeightedCluster[] }
  | { kind: 'redirect'; redirect: Redirect }
  | { kind: 'direct'; status: number; body: string };

/** One entry of an ordered route table: the first whose match holds wins. Without `match` it takes everything. */
export interface Route {
  name: string;
  match?: RouteMatch;
  audience?: Audience;
  action: RouteAction;
  /** 0: none. */
  timeoutMs: number;
  retries?: RetryPolicy;
  fault?: Fault;
  mirrors: Mirror[];
  rewrite?: Rewrite;
  headers?: HeaderRules;
}

/** Routes for one host on one port. Several may exist for a host, for different namespaces: the first that is visible counts. */
export interface VirtualHost {
  /** FQDN, or the literal name of a host that is no Service; `*` prefixes are wildcards. */
  host: string;
  port: number;
  /** Namespaces that see it; `*` is all. */
  exportTo: string[];
  /** Proxies that get the table; without it all of them. */
  gateways?: string[];
  /** `reviews/default` of the VirtualService it came from; absent for a Service's own default route. */
  virtualService?: string;
  routes: Route[];
}

/** What telemetry needs to know of a workload, at either end of a request. */
export interface Workload {
  workload: string;
  namespace: string;
  app: string;
  version: string;
  canonicalService: string;
  canonicalRevision: string;
}

export interface Endpoint {
  /** What the proxy dials: `127.0.0.1:PORT`. */
  address: string;
  /** `10.244.0.7:9080`, as the EndpointSlice says. */
  podAddress: string;
  pod: string;
  workload: Workload;
}

export type LoadBalancer = 'ROUND_ROBIN' | 'LEAST_REQUEST' | 'RANDOM';

export interface Cluster {
  /** `outbound|9080|v2|reviews.default.svc.cluster.local`. */
  name: string;
  host: string;
  port: number;
  subset: string;
  service: { name: string; namespace: string };
  loadBalancer: LoadBalancer;
  connectTimeoutMs: number;
  endpoints: Endpoint[];
}

export type Clusters = Record<string, Cluster>;

export interface MeshConfig {
  /** Counts upwards; 0 before anything was compiled. */
  version: number;
  virtualHosts: VirtualHost[];
  clusters: Clusters;
  /**
   * Clusters of hosts for which a DestinationRule in the caller's namespace wins over the Service's own, by caller namespace
   * and host. Such a rule is not merged with the other one: subsets that it lacks do not exist for that caller.
   */
  clientClusters: Record<string, Record<string, Clusters>>;
  problems: Problem[];
}

export const EMPTY_CONFIG: MeshConfig = { version: 0, virtualHosts: [], clusters: {}, clientClusters: {}, problems: [] };

/** The workload whose proxy it is. */
export interface Source extends Workload {
  labels: Record<string, string>;
  /** `mesh` (a sidecar) unless it is a gateway, named as VirtualServices name it (`istio-system/public`). */
  gateway?: string;
}

/** What a caller of {@link Mesh.outbound} must say; the rest of a {@link Source} follows from the labels. */
export interface SourceSpec {
  workload: string;
  namespace: string;
  labels?: Record<string, string>;
  app?: string;
  version?: string;
  gateway?: string;
}

/** One try against one endpoint, as the destination's proxy would see it. */
export interface Attempt {
  endpoint?: Endpoint;
  /** 0 when the connection failed or ended before an answer. */
  status: number;
  flags: string;
  durationMs: number;
  /** Whether the request reached the endpoint, so that its proxy counted it. */
  reached: boolean;
  grpcStatus?: string;
}

/** One request through a source's proxy, or (`mirrored`) the copy that the proxy sent aside. */
export interface RequestRecord {
  /** Milliseconds since 1970, when the request arrived. */
  time: number;
  requestId: string;
  source: Source;
  method: string;
  path: string;
  authority: string;
  protocol: 'http' | 'grpc';
  /** 0 when the caller left before the answer. */
  responseCode: number;
  /** Envoy's short flags, comma separated; `-` for none. */
  responseFlags: string;
  grpcStatus?: string;
  durationMs: number;
  routeName: string;
  /** Empty when no route named one, or the named one does not exist. */
  upstreamCluster: string;
  /** The endpoint of the final answer. */
  endpoint?: Endpoint;
  destinationService?: { host: string; name: string; namespace: string };
  attempts: Attempt[];
  mirrored: boolean;
}

/** Where the sandbox's mesh is programmed and its callers find their proxies. */
export interface Mesh {
  /** The URL of this workload's outbound proxy (started on first use). Send requests there with `Host: SERVICE`. */
  outbound(source: SourceSpec): Promise<string>;
  /** Version of the configuration that the proxies obey now. */
  applied(): number;
  stop(): Promise<void>;
}

/** A {@link MeshConfig} that changes. */
export interface ConfigFeed {
  current(): MeshConfig;
  /** Calls back after each change; returns the unsubscriber. */
  subscribe(listener: (config: MeshConfig) => void): () => void;
}
