import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, expect } from 'vitest';
import { crds } from '../../src/api/crd.js';
import { runController, type ControllerOptions } from '../../src/controller/controller.js';
import { createInformer, createKubeClient, type KubeClient, type OwnedKubeClient } from '../../src/kube/index.js';
import { startApiServer, type ApiServer, type AuditEntry } from '../../src/sandbox/apiserver/index.js';
import { clusterInformers, startControllers, startNode } from '../../src/sandbox/cluster/index.js';
import { istioCrds } from '../../src/sandbox/istio-crds.js';
import { ControllerMetrics } from '../../src/server/metrics.js';
import { MetricsServer } from './metrics-server.js';
import { Shop } from './shop.js';
import { Stub } from './stub.js';
import { Truths } from './truths.js';

/** User agent of Sluice's requests, in the audit log. */
const SLUICE = 'sluice';

export interface RunOptions {
  /** Stands between the controller and the API. */
  wrap?: (client: KubeClient) => KubeClient;
  leaderElection?: ControllerOptions['leaderElection'];
  userAgent?: string;
  namespace?: string;
  allowCrossNamespace?: boolean;
  /** Where the controller is installed. */
  ownNamespace?: string;
}
export interface RunningController {
  /** Where its pages are. */
  url: string;
  log: string[];
  stop(): Promise<void>;
}

/** How soon pods of an image are ready, in milliseconds; undefined for never. */
function readyDelay(image: string): number | undefined {
  if (image.includes(':broken')) return undefined;
  return image.includes(':slow') ? 1_000 : 0;
}

/** A cluster in this process: the embedded API, built-in controllers, a node whose pods do nothing, a metrics server, a receiver. */
export class World {
  readonly audit: AuditEntry[] = [];
  readonly problems: string[] = [];
  truths!: Truths;
  #shops = 0;

  private constructor(
    readonly server: ApiServer,
    readonly metrics: MetricsServer,
    readonly stub: Stub,
    readonly dir: string,
    private readonly stops: (() => unknown)[],
  ) {}

  /** @param istio versions in which Istio's kinds are served */
  static async create(istio?: readonly string[]): Promise<World> {
    const stops: (() => unknown)[] = [];
    const listeners: ((entry: AuditEntry) => void)[] = [];
    const server = await startApiServer({ crds: [...istioCrds(istio), ...crds()], auditLog: (entry) => listeners.forEach((listen) => listen(entry)) });
    stops.push(() => server.stop());
    const metrics = await MetricsServer.start();
    const stub = await Stub.start();
    const dir = await mkdtemp(join(tmpdir(), 'sluice-integration-'));
    stops.push(() => metrics.stop(), () => stub.stop(), () => rm(dir, { recursive: true, force: true }));
    const world = new World(server, metrics, stub, dir, stops);
    world.truths = new Truths(server.store);
    listeners.push((entry) => world.#heard(entry));
    await writeFile(world.kubeconfig, server.kubeconfig());
    await world.#startCluster();
    return world;
  }

  get kubeconfig(): string {
    return join(this.dir, 'kubeconfig');
  }
  #connect(userAgent: string): Promise<OwnedKubeClient> {
    return createKubeClient({ kubeconfig: this.kubeconfig, userAgent });
  }

  async #startCluster(): Promise<void> {
    const client = await this.#connect('cluster');
    const ending = new AbortController();
    const informers = clusterInformers((resource) => createInformer(client, resource));
    for (const informer of Object.values(informers)) informer.start(ending.signal);
    const controllers = await startControllers({ client, informers, onError: (_name, _key, error) => void this.problems.push(String(error)) });
    const node = await startNode({ client, informers, runtime: 'hollow', heartbeatSeconds: 0, readyDelayMs: (pod) => readyDelay(pod.spec.containers[0]?.image ?? '') });
    this.stops.push(async () => {
      controllers.stop();
      await node.stop();
      ending.abort();
      client.close();
    });
  }

  #heard(entry: AuditEntry): void {
    this.audit.push(entry);
    if (entry.userAgent?.startsWith(SLUICE) && entry.method !== 'GET') this.truths.check(entry);
  }

  guard(namespace: string): void {
    this.stops.push(this.truths.guard(namespace));
  }

  /** A namespace of its own, with a receiver of messages. */
  async shop(): Promise<Shop> {
    const shop = new Shop(this, `shop-${(this.#shops += 1)}`);
    await shop.open();
    return shop;
  }

  /** Requests of Sluice that are no watches, beyond events. */
  requests(namespace: string): AuditEntry[] {
    return this.audit.filter((entry) => entry.userAgent?.startsWith(SLUICE) && entry.verb !== 'watch' && entry.namespace === namespace);
  }
  writes(namespace: string): AuditEntry[] {
    return this.requests(namespace).filter((entry) => entry.method !== 'GET');
  }

  async runController(options: RunOptions = {}): Promise<RunningController> {
    const log: string[] = [];
    const own = await this.#connect(options.userAgent ?? SLUICE);
    const client = options.wrap ? options.wrap(own) : own;
    const ending = new AbortController();
    const dataDir = await mkdtemp(join(this.dir, 'data-'));
    let url = '';
    let listening: () => void = () => {};
    const started = new Promise<void>((resolve) => (listening = resolve));
    const work = runController(
      {
        client,
        logger: pino({ level: 'debug' }, { write: (line: string) => void log.push(line) }),
        metrics: (cache) => new ControllerMetrics(() => cache.canaries.list()),
        metricsServer: this.metrics.url,
        metricsGridMs: 100,
        listen: '127.0.0.1:0',
        dataDir,
        ...(options.leaderElection ? { leaderElection: options.leaderElection } : {}),
        ...(options.namespace ? { namespace: options.namespace } : {}),
        ...(options.allowCrossNamespace ? { allowCrossNamespace: true } : {}),
        ...(options.ownNamespace ? { ownNamespace: options.ownNamespace } : {}),
      },
      ending.signal,
      (at) => {
        url = at;
        listening();
      },
    );
    await Promise.race([started, work]);
    let stopped = false;
    const stop = async (): Promise<void> => {
      if (stopped) return;
      stopped = true;
      ending.abort();
      await work;
      own.close();
    };
    this.stops.push(stop);
    return { url, log, stop };
  }

  /** Work for the end, before the cluster stops. */
  onStop(stop: () => unknown): void {
    this.stops.push(stop);
  }

  async stop(): Promise<void> {
    for (const stop of this.stops.splice(0).reverse()) await stop();
  }
}

/**
 * The world of one test file: it goes with the file, and each test ends with all truths whole, but for what others break who write
 * between our look and our write (`excused`). Call it at the top of the file.
 */
export async function startWorld({ controller, excused, istio }: { controller: boolean; excused?: RegExp; istio?: readonly string[] }): Promise<World> {
  const world = await World.create(istio);
  afterAll(() => world.stop());
  afterEach(() => expect(world.truths.broken.filter((words) => !excused?.test(words))).toEqual([]));
  if (controller) await world.runController();
  return world;
}
