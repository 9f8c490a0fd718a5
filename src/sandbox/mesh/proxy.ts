import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostFinder, programHosts, type ProgrammedHost } from './domains.js';
import { Exchange } from './exchange.js';
import { Balancer } from './balancer.js';
import type { Random } from './random.js';
import type { MeshConfig, RequestRecord, Source } from './types.js';
import { UpstreamPools } from './upstream.js';

const HOUR_MS = 3_600_000;
const SWEEP_MS = 500;

export interface MeshProxyOptions {
  /** The configuration to obey, asked for at every request. */
  config: () => MeshConfig;
  source: Source;
  onRequest: (record: RequestRecord) => void;
  /** Default `Math.random`. Decides weights, fault and mirror percentages and retry back-off. */
  random?: Random;
}

export interface MeshProxy {
  url: string;
  stop(): Promise<void>;
}

type Finder = (authority: string) => ProgrammedHost | undefined;

const endpointsOf = (config: MeshConfig): Set<string> => {
  const all = [config.clusters, ...Object.values(config.clientClusters).flatMap((hosts) => Object.values(hosts))];
  return new Set(
    all.flatMap((clusters) => Object.values(clusters).flatMap((cluster) => cluster.endpoints.map(({ address }) => address))),
  );
};

/**
 * The outbound half of a sidecar for one workload, on a free loopback port. Callers name the service in `Host` (or in
 * `x-sluice-host`, for clients that cannot set `Host`). Rejects when no port can be bound.
 */
export const createMeshProxy = async (options: MeshProxyOptions): Promise<MeshProxy> => {
  const pools = new UpstreamPools();
  const balancer = new Balancer(options.random ?? Math.random);
  let known: MeshConfig | undefined;
  let find: Finder = () => undefined;
  const refresh = (): MeshConfig => {
    const config = options.config();
    if (config !== known) {
      known = config;
      find = hostFinder(programHosts(config, options.source));
      pools.retain(endpointsOf(config));
    }
    return config;
  };
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const config = refresh();
    const exchange = new Exchange({
      config,
      source: options.source,
      find,
      pools,
      balancer,
      random: options.random ?? Math.random,
      onRequest: options.onRequest,
      requestId: String(request.headers['x-request-id'] ?? randomUUID()),
    });
    void exchange.run(request, response);
  };
  // Callers keep their connections; closing idle ones under them would look like failed requests.
  const server = createServer({ keepAliveTimeout: HOUR_MS, requestTimeout: 0 }, handle);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  // Without requests nobody would notice that endpoints vanished.
  const sweep = setInterval(refresh, SWEEP_MS);
  sweep.unref();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      clearInterval(sweep);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      pools.destroy();
    },
  };
};
