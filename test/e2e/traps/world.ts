import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SluiceResources, type Canary, type HistoryEntry, type SlotName } from '../../../src/api/index.js';
import { createInformer, isNotFound, Resources, type KubeObject, type OwnedKubeClient } from '../../../src/kube/index.js';
import type { DeleteOptions } from '../../../src/kube/types.js';
import { startNode, type RunningNode } from '../../../src/sandbox/cluster/index.js';
import { Kinds, type Pod } from '../../../src/sandbox/cluster/types.js';
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from '../../real/index.js';
import { ControllerProcess } from '../controller-process.js';
import { until } from '../../until.js';

const CRDS = fileURLToPath(new URL('../../../crds', import.meta.url));
const PATIENCE_MS = 60_000;
const POLL_MS = 50;
/** Label by which a pod says how long it takes to become ready, in milliseconds. */
const READY_AFTER = 'e2e.invalid/ready-after-ms';

export interface TrapWorldOptions extends ControlPlaneOptions {
  /** How Sluice is started; by default one process without leader election. */
  controller?: (
    needs: { kubeconfig: string; metricsServer: string; metricsGridMs: number; dir: string },
    plane: ControlPlane,
  ) => Promise<ControllerProcess>;
}

/**
 * A real API server with its real controllers, a node whose pods are ready without running anything, and Sluice in a process of
 * its own. No traffic: what is looked at is what the API server and its controllers do to the objects of a release.
 */
export class TrapWorld {
  /** What the metrics server answers; undefined for none at all. */
  metricsUp = true;
  readonly #namespaces: string[] = [];

  private constructor(
    readonly dir: string,
    readonly plane: ControlPlane,
    readonly controller: ControllerProcess,
    private readonly node: RunningNode,
    private readonly metrics: Server,
    private readonly ending: AbortController,
  ) {}

  static async start(options: TrapWorldOptions = {}): Promise<TrapWorld> {
    const { controller = (needs) => ControllerProcess.start(needs), ...planeOptions } = options;
    const dir = await mkdtemp(join(tmpdir(), 'sluice-traps-'));
    const plane = await startControlPlane({ dir: join(dir, 'plane'), crds: ['istio', { path: CRDS }], ...planeOptions });
    try {
      const ending = new AbortController();
      const pods = createInformer<Pod>(plane.client, Kinds.Pod);
      pods.start(ending.signal);
      const readyDelayMs = (pod: Pod): number => Number(pod.metadata.labels?.[READY_AFTER] ?? 0);
      const onError = (key: string, error: unknown): void => void appendFile(join(dir, 'node.log'), `${key} ${String(error)}\n`);
      const node = await startNode({
        client: plane.client,
        informers: { pods },
        nodeName: 'hollow',
        runtime: 'hollow',
        readyDelayMs,
        onError,
      });
      // Answers every question with nothing: no data.
      const metrics = createServer(({ url = '' }, response) =>
        response
          .setHeader('content-type', 'application/json')
          .end(`{"status":"success","data":{"resultType":"${url.includes('query_range') ? 'matrix' : 'vector'}","result":[]}}`),
      );
      await new Promise<void>((resolve) => metrics.listen(0, '127.0.0.1', resolve));
      const metricsServer = `http://127.0.0.1:${(metrics.address() as AddressInfo).port}`;
      const running = await controller({ kubeconfig: plane.kubeconfig, metricsServer, metricsGridMs: 1_000, dir }, plane);
      return new TrapWorld(dir, plane, running, node, metrics, ending);
    } catch (error) {
      await plane.stop();
      throw new Error(`the evidence is in ${dir}`, { cause: error });
    }
  }

  async stop(keep = process.env['SLUICE_E2E_KEEP'] !== undefined): Promise<void> {
    await this.controller.stop();
    await this.node.stop();
    this.ending.abort();
    this.metrics.close();
    this.metrics.closeAllConnections();
    await this.plane.stop();
    if (keep) console.log(`evidence: ${this.dir}`);
    else await rm(this.dir, { recursive: true, force: true });
  }

  get client(): OwnedKubeClient {
    return this.plane.client;
  }

  /** A namespace of its own for one trap. */
  async app(name: string): Promise<App> {
    await this.client.create(Resources.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    this.#namespaces.push(name);
    return new App(this, name);
  }

  /** Wait until a condition holds. */
  async until<T>(
    what: string | (() => string),
    probe: () => Promise<T | undefined | false> | T | undefined | false,
    patienceMs = PATIENCE_MS,
  ): Promise<T> {
    return until(() => `${typeof what === 'string' ? what : what()}; the evidence is in ${this.dir}`, probe, patienceMs, POLL_MS);
  }
}

const CANARY = {
  targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop' },
  progressDeadlineSeconds: 60,
  service: { port: 80 },
  revisions: { drainFor: '1s', warmFor: '1s', settle: '300ms' },
  analysis: { interval: '1s', stepWeights: [50], metrics: [] },
};

type Patch = Record<string, unknown>;
const isObject = (value: unknown): value is Patch => typeof value === 'object' && value !== null && !Array.isArray(value);
const merged = (base: Patch, over: Patch): Patch =>
  Object.fromEntries([
    ...Object.entries(base),
    ...Object.entries(over).map(
      ([key, value]) => [key, isObject(base[key]) && isObject(value) ? merged(base[key], value) : value] as const,
    ),
  ]);

/** Pods that become ready only after so long. */
export const readyAfter = (ms: number): Patch => ({ metadata: { labels: { [READY_AFTER]: String(ms) } } });

/** Deployment, Service and Canary `shop` in one namespace. */
export class App {
  #version = 1;

  constructor(
    readonly world: TrapWorld,
    readonly namespace: string,
  ) {}

  get client(): OwnedKubeClient {
    return this.world.client;
  }

  template(image: string, over: Patch = {}): Patch {
    return merged({ metadata: { labels: { app: 'shop' } }, spec: { containers: [{ name: 'shop', image }] } }, over);
  }

  async deploy(over: { replicas?: number; template?: Patch; deployment?: Patch } = {}): Promise<void> {
    const { replicas = 2, template = {}, deployment = {} } = over;
    const spec = merged(
      { replicas, selector: { matchLabels: { app: 'shop' } }, template: this.template('shop:1', template) },
      deployment,
    );
    await this.client.create(Resources.Deployment, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'shop', namespace: this.namespace },
      spec,
    });
    await this.service('shop', {});
  }

  /** A Service that selects the pods by the user's label. */
  async service(name: string, spec: Patch): Promise<void> {
    const all = { selector: { app: 'shop' }, ports: [{ name: 'http', port: 80 }], ...spec };
    await this.client.create(Resources.Service, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: this.namespace },
      spec: all,
    });
  }

  async createCanary(over: Patch = {}): Promise<void> {
    const canary = {
      apiVersion: 'sluice.dev/v1beta1',
      kind: 'Canary',
      metadata: { name: 'shop', namespace: this.namespace },
      spec: merged(CANARY, over),
    };
    await this.client.create(SluiceResources.Canary, canary as unknown as Canary);
  }

  /** Deployment, Service and Canary, and the Canary has adopted them. */
  async adopt(over: { replicas?: number; template?: Patch; deployment?: Patch; canary?: Patch } = {}): Promise<void> {
    await this.deploy(over);
    await this.createCanary(over.canary);
    await this.adopted();
  }

  async adopted(): Promise<void> {
    await this.world.until(
      `the adoption in ${this.namespace}`,
      async () => (await this.canary()).status?.phase === 'Initialized',
    );
  }

  canary(): Promise<Canary> {
    return this.client.get(SluiceResources.Canary, this.namespace, 'shop');
  }

  get(resource: typeof Resources.Deployment, name: string): Promise<KubeObject> {
    return this.client.get(resource, this.namespace, name);
  }

  /** What a condition of the Canary says now. */
  async condition(type: string): Promise<{ status: string; reason: string; message: string }> {
    const found = (await this.canary()).status?.conditions?.find((item) => item.type === type);
    return { status: found?.status ?? 'Unknown', reason: found?.reason ?? '', message: found?.message ?? '' };
  }

  /** Change the template of the target, as a commit would. Returns the image that tells the version. */
  async change(template: Patch = {}): Promise<string> {
    this.#version += 1;
    const image = `shop:${this.#version}`;
    const patch = { spec: { template: merged({ spec: { containers: [{ name: 'shop', image }] } }, template) } };
    await this.client.patch(Resources.Deployment, this.namespace, 'shop', patch, 'strategic');
    return image;
  }

  /** Delete the Canary, and wait until it is gone. */
  async remove(options: DeleteOptions = {}): Promise<void> {
    await this.client.delete(SluiceResources.Canary, this.namespace, 'shop', options);
    await this.world.until('the Canary to be gone', () => this.canary().then(() => false, isNotFound));
  }

  /** Wait until the slot under test has this weight. */
  async weight(percent: number): Promise<void> {
    await this.world.until(
      `weight ${percent} in ${this.namespace}`,
      async () =>
        (await this.canary()).status?.canaryWeight === percent && (await this.weights())[await this.freeSlot()] === percent,
    );
  }

  async weights(): Promise<Record<SlotName, number>> {
    const route = await this.client.get(Resources.VirtualService, this.namespace, 'shop').catch(() => undefined);
    const [http] =
      (route?.['spec'] as { http?: { route: { destination: { host: string }; weight?: number }[] }[] } | undefined)?.http ?? [];
    const of = (slot: SlotName): number =>
      http?.route.find(({ destination }) => destination.host.startsWith(`shop-${slot}`))?.weight ?? 0;
    return { blue: of('blue'), green: of('green') };
  }

  async stableSlot(): Promise<SlotName> {
    return (await this.canary()).status?.stable?.slot ?? 'blue';
  }
  async freeSlot(): Promise<SlotName> {
    return (await this.stableSlot()) === 'blue' ? 'green' : 'blue';
  }

  /** Wait until so many runs have ended; the newest one. */
  async ended(runs: number, patienceMs = PATIENCE_MS): Promise<HistoryEntry> {
    return this.world.until(
      `the end of run ${runs} in ${this.namespace}`,
      async () => {
        const history = (await this.canary()).status?.history ?? [];
        return history.length >= runs ? history[0] : undefined;
      },
      patienceMs,
    );
  }

  /** Names of the ready endpoints of a Service. */
  async endpoints(service: string): Promise<string[]> {
    const { items } = await this.client.list(Resources.EndpointSlice, {
      namespace: this.namespace,
      labelSelector: `kubernetes.io/service-name=${service}`,
    });
    const all = items.flatMap(
      (slice) => (slice['endpoints'] ?? []) as { conditions?: { ready?: boolean }; targetRef?: { name: string } }[],
    );
    return all.filter(({ conditions }) => conditions?.ready !== false).map(({ targetRef }) => targetRef?.name ?? '');
  }

  async pods(labels: string): Promise<Pod[]> {
    const { items } = await this.client.list(Resources.Pod, { namespace: this.namespace, labelSelector: labels });
    return items as unknown as Pod[];
  }

  async act(verb: string): Promise<void> {
    const action = {
      apiVersion: 'sluice.dev/v1beta1',
      kind: 'CanaryAction',
      metadata: { name: `${verb}-${Date.now()}`, namespace: this.namespace },
      spec: { canary: 'shop', verb, by: 'e2e' },
    };
    await this.client.create(SluiceResources.CanaryAction, action as never);
  }
}
