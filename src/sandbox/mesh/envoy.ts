import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { LogReader } from './envoy/accessLog.js';
import { planEnvoy, type EnvoySource } from './envoy/plan.js';
import { sleep, startEnvoy, type EnvoyProcess } from './envoy/process.js';
import { Publisher } from './envoy/publisher.js';
import { bootstrap } from './envoy/resources.js';
import { proxyPerSource, type MeshOptions } from './mesh.js';
import type { Cluster, Endpoint, Mesh, Source } from './types.js';

export interface EnvoyMeshOptions extends MeshOptions {
  /** The Envoy binary. */
  envoyPath: string;
  /** Where its configuration and log go; made if it is not there. */
  dir: string;
  /** Told when Envoy refuses a configuration or stops; the sandbox should show it. */
  onProblem: (message: string) => void;
}

const LISTENER_MS = 10_000;
const RETRY_MS = 2000;

const listenersSchema = z.object({
  listener_statuses: z.array(
    z.object({
      name: z.string(),
      local_address: z.object({ socket_address: z.object({ address: z.string(), port_value: z.number() }).optional() }),
    }),
  ),
});

/**
 * The mesh with a real Envoy: one process, a listener per source workload, configured through files that are replaced by rename.
 * Rejects when Envoy cannot be started.
 */
export const startEnvoyMesh = async (options: EnvoyMeshOptions): Promise<Mesh> => {
  const files = resolve(options.dir);
  await mkdir(files, { recursive: true });
  const sockets = await mkdtemp(join(tmpdir(), 'sluice-mesh-'));
  const mesh = new EnvoyMesh(options, { files, sockets });
  try {
    await mesh.start();
  } catch (error) {
    await mesh.stop();
    throw error;
  }
  return mesh;
};

class EnvoyMesh implements Mesh {
  private readonly sources = new Map<string, EnvoySource>();
  private readonly clusters = new Map<string, Cluster>();
  private readonly endpoints = new Map<string, Endpoint>();
  private readonly proxies = proxyPerSource((source) => this.addSource(source));
  private readonly reader: LogReader;
  private readonly publisher: Publisher;
  private envoy: EnvoyProcess | undefined;
  private unsubscribe: () => void = () => undefined;
  private running: Promise<void> = Promise.resolve();
  private queued = false;
  private version = 0;
  private stopped = false;
  private retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly options: EnvoyMeshOptions,
    private readonly paths: { files: string; sockets: string },
  ) {
    this.reader = new LogReader({
      sources: (id) => this.sources.get(id)?.source,
      clusters: (name) => this.clusters.get(name),
      endpoints: (address) => this.endpoints.get(address),
      onRequest: options.onRequest,
      onProblem: options.onProblem,
    });
    this.publisher = new Publisher({ files: paths.files, admin: (path) => this.admin(path) });
  }

  async start(): Promise<void> {
    const bootstrapPath = join(this.paths.files, 'bootstrap.json');
    const adminSocket = join(this.paths.sockets, 'admin.sock');
    await this.publisher.prepare();
    await writeFile(
      bootstrapPath,
      JSON.stringify(
        bootstrap({ admin: adminSocket, cds: join(this.paths.files, 'cds.json'), lds: join(this.paths.files, 'lds.json') }),
      ),
    );
    this.envoy = await startEnvoy({
      envoyPath: this.options.envoyPath,
      bootstrapPath,
      adminSocket,
      logPath: join(this.paths.files, 'envoy.log'),
      onAccessLog: (chunk) => this.reader.push(chunk),
      onExit: this.options.onProblem,
    });
    this.unsubscribe = this.options.feed.subscribe(() => void this.publish());
    await this.publish();
  }

  outbound: Mesh['outbound'] = (source) => this.proxies.get(source);

  applied(): number {
    return this.version;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.retry);
    this.unsubscribe();
    await this.running;
    await this.envoy?.stop();
    this.reader.flush();
    await rm(this.paths.sockets, { recursive: true, force: true });
  }

  private admin(path: string): Promise<string> {
    if (this.envoy === undefined) return Promise.reject(new Error('Envoy is not running'));
    return this.envoy.admin(path);
  }

  /** Bring Envoy to the newest configuration. Changes that come meanwhile are taken together in one further round. */
  private publish(): Promise<void> {
    if (!this.queued) {
      this.queued = true;
      this.running = this.running.then(() => this.publishNow());
    }
    return this.running;
  }

  private async publishNow(): Promise<void> {
    this.queued = false;
    if (this.stopped) return;
    const config = this.options.feed.current();
    const plan = planEnvoy(config, [...this.sources.values()], this.paths);
    // Kept beyond their end: the log may still speak of them.
    for (const [name, cluster] of plan.known) {
      this.clusters.set(name, cluster);
      for (const endpoint of cluster.endpoints) this.endpoints.set(endpoint.address, endpoint);
    }
    try {
      await this.publisher.publish(plan);
      this.version = config.version;
    } catch (error) {
      if (this.stopped) return;
      this.options.onProblem(error instanceof Error ? error.message : String(error));
      this.retry ??= setTimeout(() => {
        this.retry = undefined;
        void this.publish();
      }, RETRY_MS);
    }
  }

  private async addSource(source: Source): Promise<string> {
    const id = `outbound-${this.sources.size}-${source.workload.replaceAll(/[^A-Za-z0-9-]/g, '-')}`;
    this.sources.set(id, { id, source });
    await this.publish();
    const deadline = Date.now() + LISTENER_MS;
    for (;;) {
      const { listener_statuses: statuses } = listenersSchema.parse(JSON.parse(await this.admin('/listeners?format=json')));
      const address = statuses.find(({ name }) => name === id)?.local_address.socket_address;
      if (address !== undefined && address.port_value !== 0) return `http://${address.address}:${address.port_value}`;
      if (Date.now() > deadline)
        throw new Error(
          `Envoy opened no listener for ${source.namespace}/${source.workload} within ${LISTENER_MS / 1000} s; see its log`,
        );
      await sleep(20);
    }
  }
}
