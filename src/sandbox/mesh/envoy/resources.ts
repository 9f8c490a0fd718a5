import type { Cluster } from '../types.js';
import { seconds, typed, type Json } from './routes.js';

/** Under the 5 s after which Node's servers close idle connections. */
const IDLE_MS = 4000;
const UNLIMITED = 4_294_967_295;

const HTTP_1 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
    common_http_protocol_options: { idle_timeout: seconds(IDLE_MS) },
    explicit_http_config: { http_protocol_options: {} },
  }),
};

/** Istio's sidecars limit nothing by default. */
const circuitBreakers = {
  thresholds: [{ max_connections: UNLIMITED, max_pending_requests: UNLIMITED, max_requests: UNLIMITED, max_retries: UNLIMITED }],
};

const fileSource = (path: string): Json => ({ path_config_source: { path }, resource_api_version: 'V3' });

const socketAddress = (address: string): Json => {
  const [host, port] = address.split(':');
  return { socket_address: { address: host, port_value: Number(port) } };
};

export const edsCluster = (name: string, cluster: Cluster, edsPath: string): Json => ({
  ...typed('envoy.config.cluster.v3.Cluster'),
  name,
  type: 'EDS',
  eds_cluster_config: { eds_config: fileSource(edsPath), service_name: name },
  connect_timeout: seconds(cluster.connectTimeoutMs),
  lb_policy: cluster.loadBalancer,
  circuit_breakers: circuitBreakers,
  // With few endpoints, panic routing would send requests to ones that are known to be unfit.
  common_lb_config: { healthy_panic_threshold: { value: 0 } },
  typed_extension_protocol_options: HTTP_1,
});

export const loadAssignment = (name: string, cluster: Cluster): Json => ({
  ...typed('envoy.config.endpoint.v3.ClusterLoadAssignment'),
  cluster_name: name,
  endpoints:
    cluster.endpoints.length === 0
      ? []
      : [{ lb_endpoints: cluster.endpoints.map(({ address }) => ({ endpoint: { address: socketAddress(address) } })) }],
});

/** A cluster whose only endpoint is a listener of the same Envoy: what goes through it is logged there. */
export const pipeCluster = (name: string, pipe: string): Json => ({
  ...typed('envoy.config.cluster.v3.Cluster'),
  name,
  type: 'STATIC',
  connect_timeout: '5s',
  circuit_breakers: circuitBreakers,
  typed_extension_protocol_options: HTTP_1,
  load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: pipe } } } }] }] },
});

const stdoutLog = (fields: Record<string, string>): Json => ({
  name: 'envoy.access_loggers.stdout',
  typed_config: typed('envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', { log_format: { json_format: fields } }),
});

const literal = (text: string): string => text.replaceAll('%', '%%');

const requestFields = (kind: string, source: string): Record<string, string> => ({
  kind,
  source: literal(source),
  start: '%START_TIME(%s.%3f)%',
  id: '%REQ(X-REQUEST-ID)%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  authority: '%REQ(:AUTHORITY)%',
  contentType: '%REQ(CONTENT-TYPE)%',
  code: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  grpc: '%GRPC_STATUS_NUMBER%',
  duration: '%DURATION%',
  route: '%ROUTE_NAME%',
  cluster: '%UPSTREAM_CLUSTER_RAW%',
  host: '%UPSTREAM_HOST%',
  tries: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
});

const attemptFields: Record<string, string> = {
  kind: 'attempt',
  id: '%REQ(X-REQUEST-ID)%',
  host: '%UPSTREAM_HOST%',
  code: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  grpc: '%GRPC_STATUS_NUMBER%',
  duration: '%DURATION%',
};

/** Clients that cannot set `Host` name the service in a header of ours. */
const HOST_HEADER = `function envoy_on_request(handle)
  local wanted = handle:headers():get("x-sluice-host")
  if wanted ~= nil then
    handle:headers():replace(":authority", wanted)
    handle:headers():remove("x-sluice-host")
    handle:clearRouteCache()
  end
end
`;

const httpFilters = (upstreamLog: Json[]): Json[] => [
  {
    name: 'envoy.filters.http.lua',
    typed_config: typed('envoy.extensions.filters.http.lua.v3.Lua', { default_source_code: { inline_string: HOST_HEADER } }),
  },
  { name: 'envoy.filters.http.fault', typed_config: typed('envoy.extensions.filters.http.fault.v3.HTTPFault') },
  {
    name: 'envoy.filters.http.router',
    typed_config: typed('envoy.extensions.filters.http.router.v3.Router', { upstream_log: upstreamLog }),
  },
];

const listener = (name: string, address: Json, connectionManager: Json): Json => ({
  ...typed('envoy.config.listener.v3.Listener'),
  name,
  address,
  filter_chains: [
    {
      filters: [
        {
          name: 'envoy.filters.network.http_connection_manager',
          typed_config: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
            stream_idle_timeout: '0s',
            preserve_external_request_id: true,
            always_set_request_id_in_response: true,
            ...connectionManager,
          }),
        },
      ],
    },
  ],
});

/** The outbound listener of a source, on a port that the kernel chooses; `id` is its name in stats and logs. */
export const sourceListener = (id: string, rdsPath: string): Json =>
  listener(
    id,
    { socket_address: { address: '127.0.0.1', port_value: 0 } },
    {
      stat_prefix: id,
      rds: { config_source: fileSource(rdsPath), route_config_name: id },
      http_filters: httpFilters([stdoutLog(attemptFields)]),
      access_log: [stdoutLog(requestFields('request', id))],
    },
  );

/** Where a source's mirrored requests for one cluster pass, so that they are logged as such. */
export const mirrorListener = (id: string, name: string, pipe: string, target: string): Json =>
  listener(
    name,
    { pipe: { path: pipe } },
    {
      stat_prefix: 'mirror',
      route_config: {
        name,
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [{ name: 'mirror', match: { prefix: '/' }, route: { cluster: target, timeout: '15s' } }],
          },
        ],
      },
      http_filters: httpFilters([]),
      access_log: [stdoutLog(requestFields('mirror', id))],
    },
  );

export const bootstrap = (paths: { admin: string; cds: string; lds: string }): Json => ({
  node: { id: 'sluice-sandbox', cluster: 'sandbox' },
  admin: { address: { pipe: { path: paths.admin } } },
  dynamic_resources: { cds_config: fileSource(paths.cds), lds_config: fileSource(paths.lds) },
  layered_runtime: { layers: [{ name: 'static', static_layer: { 'overload.global_downstream_max_connections': 50_000 } }] },
});
