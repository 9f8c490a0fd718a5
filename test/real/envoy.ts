import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureParts } from './parts.js';
import { answers, freePorts, startDaemon, type Daemon } from './process.js';

/** Resources of one xDS kind, each with its `@type` left out. */
export type EnvoyResource = Record<string, unknown> & { name: string };

export interface EnvoyOptions {
  /** Where configuration and log go. */
  dir: string;
  /** Merged over the bootstrap: `node`, `stats_config`, `static_resources`, … (envoy.config.bootstrap.v3.Bootstrap as JSON). */
  bootstrap?: Record<string, unknown>;
  /** envoy.config.listener.v3.Listener. The address is the caller's to choose: {@link freePorts}. */
  listeners?: EnvoyResource[];
  /** envoy.config.cluster.v3.Cluster. */
  clusters?: EnvoyResource[];
  flags?: string[];
}

export interface RealEnvoy {
  /** Base URL of the admin interface: `/stats/prometheus`, `/config_dump`. */
  adminUrl: string;
  daemon: Daemon;
  /** Replaces all listeners; Envoy watches the file. Resolves when it is written, not when it is in use. */
  setListeners(listeners: EnvoyResource[]): Promise<void>;
  setClusters(clusters: EnvoyResource[]): Promise<void>;
  stop(): Promise<void>;
}

const TYPES = {
  lds: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  cds: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
};

/** Starts a real Envoy whose listeners and clusters come from watched files, and waits until its workers run. */
export async function startEnvoy(options: EnvoyOptions): Promise<RealEnvoy> {
  const { envoy: program } = await ensureParts({ need: ['envoy'] });
  await mkdir(options.dir, { recursive: true });
  const file = (kind: keyof typeof TYPES): string => path.join(options.dir, `${kind}.json`);
  let version = 0;
  const publish = async (kind: keyof typeof TYPES, resources: EnvoyResource[]): Promise<void> => {
    version += 1;
    const typed = resources.map((resource) => ({ '@type': TYPES[kind], ...resource }));
    // Envoy reacts to a file that is moved into place, never to one that is written to.
    await writeFile(`${file(kind)}.new`, JSON.stringify({ version_info: String(version), resources: typed }));
    await rename(`${file(kind)}.new`, file(kind));
  };
  await publish('cds', options.clusters ?? []);
  await publish('lds', options.listeners ?? []);
  const [port = 0] = await freePorts(1);
  const bootstrapFile = path.join(options.dir, 'bootstrap.json');
  const source = (kind: keyof typeof TYPES) => ({
    resource_api_version: 'V3',
    path_config_source: { path: file(kind), watched_directory: { path: options.dir } },
  });
  const bootstrap = {
    node: { id: 'sluice-test', cluster: 'sluice-test' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
    dynamic_resources: { lds_config: source('lds'), cds_config: source('cds') },
    ...options.bootstrap,
  };
  await writeFile(bootstrapFile, JSON.stringify(bootstrap));
  const flags = ['--config-path', bootstrapFile, '--disable-hot-restart', '--concurrency', '1', ...(options.flags ?? [])];
  const daemon = startDaemon('envoy', program, flags, { dir: options.dir });
  const adminUrl = `http://127.0.0.1:${port}`;
  await daemon
    .ready(() => answers(`${adminUrl}/ready`))
    .catch(async (error: unknown) => {
      await daemon.stop();
      throw error;
    });
  return {
    adminUrl,
    daemon,
    setListeners: (listeners) => publish('lds', listeners),
    setClusters: (clusters) => publish('cds', clusters),
    stop: () => daemon.stop(),
  };
}
