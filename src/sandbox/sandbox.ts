import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { pino } from 'pino';
import { API_VERSION, SluiceResources, type Canary } from '../api/index.js';
import { crds } from '../api/crd.js';
import { runController } from '../controller/controller.js';
import { createBareRepository } from '../git/index.js';
import { createInformer, createKubeClient, isAlreadyExists, isNotFound, Resources, type IndexedInformer, type KubeClient, type KubeObject } from '../kube/index.js';
import { ControllerMetrics } from '../server/metrics.js';
import { startApiServer } from './apiserver/index.js';
import { BookinfoRepository } from './bookinfo.js';
import { clusterInformers, startControllers, startNode, type ClusterInformers, type RunningNode } from './cluster/index.js';
import { Evidence } from './evidence.js';
import { HOSTED, startGitHost, type GitHost } from './git-host.js';
import { istioCrds } from './istio-crds.js';
import { startEnvoyMesh } from './mesh/envoy.js';
import { startBuiltinMesh } from './mesh/mesh.js';
import { startTelemetry } from './mesh/telemetry.js';
import type { Mesh } from './mesh/types.js';
import { watchMesh } from './mesh/watch.js';
import { startExternalPrometheus, type ExternalPrometheus } from './prometheus/external.js';
import { startPrometheus } from './prometheus/index.js';
import { startReceiver, type ReceivedMessage } from './receiver.js';
import type { CallerGroup } from './script.js';
import { Seen } from './seen.js';
import { Tally } from './tally.js';
import type { Callers } from './traffic/callers.js';
import { PRODUCTPAGE, startGroups } from './traffic/group.js';
import { Cleanup, makeWorkplace } from './workplace.js';

/** What a sandbox is made of; each real part takes the place of the built-in one. */
export interface SandboxOptions {
  /** Leave the evidence here; without it, everything goes with the sandbox. */
  keep?: string;
  /** A real API server, with its own controllers, instead of the embedded one. */
  kubeconfig?: string;
  /** A real Envoy binary instead of the built-in proxy. */
  envoy?: string;
  /** A real Prometheus binary instead of the embedded one. */
  prometheus?: string;
  /** Requests per second from callers. */
  rps: number;
  /** Who calls; by default one group at `rps`. */
  callers?: CallerGroup[];
  /** Laid over the example Canary's analysis. */
  analysis?: Record<string, unknown>;
  /** Laid over the example Canary's spec, deeply. */
  canary?: Record<string, unknown>;
  /** Further files of the repository, by path. */
  files?: Record<string, string>;
  /** True: Bookinfo runs and is called without a Canary, until the repository gets one. */
  withoutCanary?: boolean;
  /** How late proxies learn of a change, in milliseconds. */
  pushDelayMs?: number;
  /** A small Git host beside the repository, for commit statuses and pull requests. */
  gitHost?: boolean;
  /** Starts Sluice; by default it runs in this process, over HTTP like any other client of the API. */
  startController?: (needs: ControllerNeeds) => Promise<RunningController>;
  onMessage?: (message: ReceivedMessage) => void;
  /** Something in the sandbox itself is wrong. */
  onProblem?: (message: string) => void;
}

/** What a controller of the sandbox is given. */
export interface ControllerNeeds {
  kubeconfig: string;
  metricsServer: string;
  metricsGridMs: number;
  namespace: string;
  /** For its data and log. */
  dir: string;
}
export interface RunningController {
  /** Of /healthz, /readyz and /metrics. */
  url: string;
  stop(): Promise<void>;
}

export const NAMESPACE = 'default';
export const CANARY = 'reviews';
const AUTHOR = { name: 'Ada', email: 'ada@bookinfo.invalid' };
/** Scrapes of the sandbox; its windows of evidence are as long. */
const SCRAPE_MS = 1_000;

/** A whole loop on this machine: Git, Kubernetes, mesh, metrics, callers, receivers of messages, and Sluice. */
export interface Sandbox {
  dir: string;
  kubeconfigPath: string;
  apiUrl: string;
  git: { url: string; dir: string };
  gitHost?: GitHost;
  prometheusUrl: string;
  /** The real one, where there is one: it can be stopped and started again. */
  prometheus?: ExternalPrometheus;
  productpageUrl: string;
  controllerUrl: string;
  client: KubeClient;
  repository: BookinfoRepository;
  canaries: IndexedInformer<Canary>;
  virtualServices: IndexedInformer<KubeObject>;
  callers: Pick<Callers, 'stop' | 'stats'>;
  tally: Tally;
  /** What each group of callers saw, stage by stage. */
  seen: Seen;
  mesh: Mesh;
  stop(): Promise<void>;
}

/** Start every part. Rejects with what failed, after stopping what had started. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const cleanup = new Cleanup();
  try {
    return await assemble(options, cleanup);
  } catch (error) {
    await cleanup.run(() => {});
    throw error;
  }
}

async function assemble(options: SandboxOptions, cleanup: Cleanup): Promise<Sandbox> {
  const problem = options.onProblem ?? (() => {});
  const dir = await makeWorkplace(options.keep, cleanup);
  const evidence = await Evidence.open(dir);
  cleanup.add('evidence', () => evidence.close());
  const ending = new AbortController();
  const cluster = await startCluster(options, dir, evidence, cleanup, ending.signal, problem);
  const { client } = cluster;
  const receiver = await startReceiver((message) => {
    evidence.write('messages', message);
    options.onMessage?.(message);
  });
  cleanup.add('receiver', () => receiver.stop());
  const git = await createBareRepository(join(dir, 'repository.git'));
  const repository = new BookinfoRepository(git.dir, AUTHOR);
  const { canary, files, withoutCanary } = options;
  await repository.initialise({ analysis: options.analysis ?? {}, receiver: receiver.url, canary, files, withoutCanary });
  const { telemetry, mesh, virtualServices } = await startMesh(options, dir, cluster.informers, client, cleanup, ending.signal, problem);
  const prometheus = await startMetrics(options, dir, telemetry.url, cleanup);
  const node = await startNode({
    client,
    informers: cluster.informers,
    heartbeatSeconds: options.kubeconfig ? 10 : 0,
    env: async (pod) => {
      const labels = pod.metadata.labels ?? {};
      const workload = labels['sluice.dev/slot'] ? `reviews-${labels['sluice.dev/slot']}` : (labels['app'] ?? pod.metadata.name);
      return {
        MESH_URL: await mesh.outbound({ workload, namespace: NAMESPACE, labels }),
        SLUICE_SLOT: labels['sluice.dev/slot'] ?? '',
        SLUICE_REVISION: labels['sluice.dev/revision'] ?? '',
      };
    },
  });
  cluster.logs.node = node;
  cleanup.add('pods', () => node.stop());
  const canaries = createInformer(client, SluiceResources.Canary, { namespace: NAMESPACE });
  canaries.start(ending.signal);
  const tally = new Tally(() => canaries.get(NAMESPACE, CANARY)?.status);
  const seen = new Seen(Date.now);
  canaries.onChange((name, changed) => name.name === CANARY && seen.follow(changed?.status));
  const proxy = await mesh.outbound(PRODUCTPAGE);
  const start = options.startController ?? ((needs: ControllerNeeds) => startOwnController(needs, evidence, problem));
  const controller = await start({ kubeconfig: cluster.kubeconfigPath, metricsServer: prometheus.url, metricsGridMs: SCRAPE_MS, namespace: NAMESPACE, dir });
  cleanup.add('controller', () => controller.stop());
  const gitHost = options.gitHost ? await startGitHost(randomBytes(16).toString('hex')) : undefined;
  if (gitHost) cleanup.add('Git host', () => gitHost.stop());
  await createSource(client, git.url, gitHost);
  if (withoutCanary) await answered(proxy);
  else await adopted(client, canaries);
  const anybody: CallerGroup = { name: 'anybody', rps: options.rps, headers: {}, host: CANARY, path: '/reviews/0' };
  const callers = await startGroups(options.callers ?? [anybody], mesh, (group, line, user) => {
    const counted = tally.count(line);
    evidence.write('requests', options.callers ? { group, user, ...counted } : counted);
    seen.count(group, line, counted.onCanary, user);
  });
  cleanup.add('callers', () => callers.stop());
  return {
    dir,
    kubeconfigPath: cluster.kubeconfigPath,
    apiUrl: client.server,
    git,
    ...(gitHost ? { gitHost } : {}),
    prometheusUrl: prometheus.url,
    ...(prometheus.external ? { prometheus: prometheus.external } : {}),
    productpageUrl: proxy,
    controllerUrl: controller.url,
    client,
    repository,
    canaries,
    virtualServices,
    callers,
    tally,
    seen,
    mesh,
    stop: async () => {
      await callers.stop();
      await cleanup.run((name, error) => problem(`${name} did not stop: ${String(error)}`));
      ending.abort();
    },
  };
}

interface Cluster {
  client: KubeClient;
  kubeconfigPath: string;
  informers: ClusterInformers;
  logs: { node?: RunningNode };
}

async function startCluster(options: SandboxOptions, dir: string, evidence: Evidence, cleanup: Cleanup, signal: AbortSignal, problem: (message: string) => void): Promise<Cluster> {
  const logs: Cluster['logs'] = {};
  const kubeconfigPath = options.kubeconfig ?? join(dir, 'kubeconfig');
  if (!options.kubeconfig) {
    const server = await startApiServer({
      crds: [...istioCrds(), ...crds()],
      auditLog: (entry) => evidence.write('audit', entry),
      podLogs: (pod, { container }) => logs.node?.logs(pod.metadata.namespace ?? NAMESPACE, pod.metadata.name, container)?.join('\n') ?? '',
    });
    cleanup.add('API server', () => server.stop());
    await writeFile(kubeconfigPath, server.kubeconfig(), { mode: 0o600 });
  }
  const client = await createKubeClient({ kubeconfig: kubeconfigPath, userAgent: 'sluice-sandbox' });
  cleanup.add('client', () => client.close());
  if (options.kubeconfig) await installCrds(client);
  const informers = clusterInformers((resource) => createInformer(client, resource));
  for (const informer of Object.values(informers)) informer.start(signal);
  if (!options.kubeconfig) {
    const controllers = await startControllers({ client, informers, onError: (controller, key, error) => problem(`${controller} ${key}: ${String(error)}`) });
    cleanup.add('built-in controllers', () => controllers.stop());
  }
  return { client, kubeconfigPath, informers, logs };
}

async function installCrds(client: KubeClient): Promise<void> {
  for (const crd of [...istioCrds(), ...crds()]) {
    try {
      await client.get(Resources.CustomResourceDefinition, undefined, crd.metadata.name);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create(Resources.CustomResourceDefinition, crd);
    }
  }
  await poll('the CustomResourceDefinitions to be served', async () => {
    const all = await client.list(Resources.CustomResourceDefinition);
    return all.items.every((item) => JSON.stringify(item['status'] ?? {}).includes('"Established"'));
  });
}

async function startMesh(options: SandboxOptions, dir: string, informers: ClusterInformers, client: KubeClient, cleanup: Cleanup, signal: AbortSignal, problem: (message: string) => void) {
  const virtualServices = createInformer<KubeObject>(client, Resources.VirtualService);
  const destinationRules = createInformer<KubeObject>(client, Resources.DestinationRule);
  virtualServices.start(signal);
  destinationRules.start(signal);
  const feed = watchMesh({
    informers: { virtualServices, destinationRules, services: informers.services as never, endpointSlices: informers.endpointSlices as never, pods: informers.pods as never },
    pushDelayMs: options.pushDelayMs ?? 0,
    // Istio has not retried 503 by itself since 1.24: what a release breaks must show.
    defaultRetryStatusCodes: [],
  });
  cleanup.add('mesh configuration', () => feed.stop());
  const telemetry = await startTelemetry();
  cleanup.add('telemetry', () => telemetry.stop());
  const onRequest = telemetry.onRequest.bind(telemetry);
  const mesh = options.envoy
    ? await startEnvoyMesh({ feed, onRequest, envoyPath: options.envoy, dir: join(dir, 'envoy'), onProblem: problem })
    : await startBuiltinMesh({ feed, onRequest });
  cleanup.add('mesh', () => mesh.stop());
  return { telemetry, mesh, virtualServices };
}

async function startMetrics(options: SandboxOptions, dir: string, telemetryUrl: string, cleanup: Cleanup): Promise<{ url: string; external?: ExternalPrometheus }> {
  if (options.prometheus) {
    const external = await startExternalPrometheus({ binary: options.prometheus, dir: join(dir, 'prometheus'), targets: [telemetryUrl], scrapeIntervalMs: SCRAPE_MS });
    cleanup.add('Prometheus', () => external.stop());
    return { url: external.url, external };
  }
  const target = { job: 'istio-proxies', instance: 'sandbox', url: telemetryUrl, honorLabels: true };
  const prometheus = await startPrometheus({ scrapeIntervalMs: SCRAPE_MS, targets: () => [target] });
  cleanup.add('Prometheus', () => prometheus.stop());
  return { url: prometheus.url };
}

async function startOwnController(needs: ControllerNeeds, evidence: Evidence, problem: (message: string) => void): Promise<RunningController> {
  const logger = pino({ level: 'debug' }, evidence.stream('controller'));
  const stop = new AbortController();
  let metrics: ControllerMetrics | undefined;
  const client = await createKubeClient({ kubeconfig: needs.kubeconfig, userAgent: 'sluice-controller', onRequest: (record) => metrics?.request(record) });
  let announce: (url: string) => void = () => {};
  const listening = new Promise<string>((resolve) => (announce = resolve));
  const running = runController(
    {
      client,
      metrics: (cache) => (metrics = new ControllerMetrics(() => cache.canaries.list())),
      logger,
      metricsServer: needs.metricsServer,
      metricsGridMs: needs.metricsGridMs,
      listen: '127.0.0.1:0',
      dataDir: join(needs.dir, 'controller'),
      namespace: needs.namespace,
      cluster: 'sandbox',
    },
    stop.signal,
    announce,
  );
  const failed = running.then(() => {
    throw new Error('the controller ended before it listened');
  });
  failed.catch(() => {});
  running.catch((error: unknown) => problem(`the controller ended: ${String(error)}`));
  const url = await Promise.race([listening, failed]);
  return {
    url,
    stop: async () => {
      stop.abort();
      await running.catch(() => {});
      client.close();
    },
  };
}

/** The Secret with which Sluice speaks to the Git host. */
const HOST_SECRET = 'git-host';

async function createSource(client: KubeClient, url: string, host: GitHost | undefined): Promise<void> {
  const writeBack = host && { host: { type: 'gitea', api: `${host.url}/api/v1`, repository: HOSTED, secretRef: { name: HOST_SECRET } } };
  if (host) {
    const token = Buffer.from(host.token).toString('base64');
    await client.create(Resources.Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: HOST_SECRET, namespace: NAMESPACE }, data: { token } });
  }
  const source = {
    apiVersion: API_VERSION,
    kind: 'GitSource',
    metadata: { name: 'bookinfo', namespace: NAMESPACE },
    spec: { url, interval: '1s', ref: { branch: 'main' }, path: '.', ...(writeBack ? { writeBack } : {}) },
  } as const;
  try {
    await client.create(SluiceResources.GitSource, source as never);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** Wait until the Canary has adopted its target: before that there is nobody to call. */
async function adopted(client: KubeClient, canaries: IndexedInformer<Canary>): Promise<void> {
  await poll(
    'reviews to be adopted',
    () => Promise.resolve(canaries.get(NAMESPACE, CANARY)?.status?.phase === 'Initialized'),
    async () => {
      const sources = await client.list(SluiceResources.GitSource, { namespace: NAMESPACE });
      const said = [...sources.items, ...canaries.list()].flatMap((object) => (object.status?.conditions ?? []).map((item) => `${object.kind} ${item.type}=${item.status}: ${item.message}`));
      return said.join('\n');
    },
  );
}

/** Wait until callers can be served without a Canary. */
async function answered(url: string): Promise<void> {
  await poll('reviews to answer', () => reachable(url));
}

/** `fetch` sends no Host of ours. */
const reachable = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    get(new URL('/reviews/0', url), { headers: { host: CANARY } }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).on('error', () => resolve(false));
  });

const POLL_MS = 100;
const PATIENCE_MS = 120_000;

async function poll(what: string, done: () => Promise<boolean>, explain?: () => Promise<string>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`sandbox: waited ${PATIENCE_MS / 1000} s for ${what}\n${(await explain?.()) ?? ''}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
