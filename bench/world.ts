import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createKubeClient, Resources } from '../src/kube/index.js';
import { startControlPlane, type ControlPlane } from '../test/real/index.js';
import { startDaemon, stopAll, temporaryFolder, removeTemporary, type Daemon } from '../test/real/process.js';
import { writeAuditPolicy } from './audit.js';
import { buildController, startController, type RunningController } from './controller.js';
import { measureBaseline, type Baseline } from './baseline.js';
import { createFleet, createNamespace, NAMESPACE } from './fleet.js';
import { startMetricsStandIn, type MetricsStandIn } from './prometheus.js';
import { Timeline } from './timeline.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The name that the controller has in the audit log. */
const USER = 'sluice';
/** kube-controller-manager must not be what is measured; its own default is 20 requests a second. */
const CONTROLLER_MANAGER_QPS = 5_000;
const ADOPTION_MS = 900_000;
const QUIET_MS = 120_000;
const POLL_MS = 1_000;
/** The bench asks for more at once than a user would, and waits for it. */
const PATIENCE_MS = 60_000;
/** The Go programs of the control plane collect garbage less often: on one machine with what is measured they would take its cores. */
const GOGC = '200';

/** `pods`: Kubernetes' own controllers make ReplicaSets and pods. `instant`: Deployments have ready pods at once, without ReplicaSets and all that goes with them. */
export type Workloads = 'pods' | 'instant';
/** What is left of kube-controller-manager then. */
const BESIDES_WORKLOADS = ['endpointslice-controller', 'garbage-collector-controller', 'namespace-controller', 'serviceaccount-controller'];

export interface World {
  plane: ControlPlane;
  controller: RunningController;
  /** Makes every pod ready. */
  node: Daemon;
  metrics: MetricsStandIn;
  timeline: Timeline;
  baseline?: Baseline;
  /** kubernetes' version. */
  version: string;
  /** Starts the controller again after it was stopped. */
  restartController(): Promise<RunningController>;
  /** Resolves when nothing is left to do: one pod per Canary and no phase but the last. Rejects after two minutes. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

/** A real control plane, a node whose pods are hollow, a metrics server, the controller, and `count` Canaries that it has adopted. */
export async function startWorld(options: {
  count: number;
  profile?: string;
  program?: string;
  workloads: Workloads;
  /** Measure first what the machine does without the controller. */
  baseline?: boolean;
  say: (text: string) => void;
}): Promise<World> {
  const { count, say } = options;
  const dir = await temporaryFolder('sluice-bench-');
  const stopping = new AbortController();
  const daemons: Daemon[] = [];
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    stopping.abort();
    await stopAll(daemons.toReversed());
    for (const one of stops.toReversed()) await one();
    await removeTemporary(dir);
  };
  try {
    const program = options.program ? path.resolve(options.program) : await buildController();
    const metrics = await startMetricsStandIn(NAMESPACE);
    stops.push(() => metrics.close());
    const plane = await startPlane(dir, options.workloads, say);
    stops.push(() => plane.stop());
    const node = await startNode(plane, options.workloads, dir);
    daemons.push(node);
    if (options.baseline) say(`the control plane alone, with ${count} plain Deployments`);
    const baseline = options.baseline ? await measureBaseline(plane, count) : undefined;
    await createNamespace(plane.client, 'sluice-system');
    const launch = async (): Promise<RunningController> => {
      const { profile } = options;
      const running = await startController({
        program,
        kubeconfig: plane.kubeconfigFor(USER),
        metricsServer: metrics.url,
        dir,
        profile,
      });
      daemons.push(running.daemon);
      return running;
    };
    const controller = await launch();
    const timeline = new Timeline(plane.client);
    const { gitVersion: version } = (await plane.client.raw('/version')) as { gitVersion: string };
    const world: World = {
      plane,
      controller,
      node,
      metrics,
      timeline,
      version,
      baseline,
      restartController: launch,
      quiet: () => quiet(plane, timeline, count, QUIET_MS),
      stop,
    };
    await createFleet(plane.client, count);
    await timeline.start(stopping.signal);
    say(`${count} Canaries are being adopted`);
    await quiet(plane, timeline, count, ADOPTION_MS);
    return world;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPlane(dir: string, workloads: Workloads, say: (text: string) => void): Promise<ControlPlane> {
  process.env['GOGC'] ??= GOGC;
  const policy = path.join(dir, 'policy.yaml');
  await writeAuditPolicy(policy, USER);
  const plane = await startControlPlane({
    dir: path.join(dir, 'plane'),
    users: [{ name: USER, groups: ['system:masters'] }],
    controllerManagerQps: CONTROLLER_MANAGER_QPS,
    ...(workloads === 'instant' ? { controllers: BESIDES_WORKLOADS } : {}),
    controllerManagerFlags: [
      '--concurrent-deployment-syncs=20',
      '--concurrent-replicaset-syncs=20',
      '--concurrent-service-endpoint-syncs=20',
    ],
    apiServerFlags: [`--audit-policy-file=${policy}`, '--max-requests-inflight=1000', '--max-mutating-requests-inflight=1000'],
    onProgress: say,
  });
  await plane.applyCrds(path.join(ROOT, 'crds'));
  const client = await createKubeClient({ kubeconfig: plane.kubeconfig, userAgent: 'bench', requestTimeoutMs: PATIENCE_MS });
  return {
    ...plane,
    client,
    stop: async () => {
      client.close();
      await plane.stop();
    },
  };
}

async function startNode(plane: ControlPlane, workloads: Workloads, dir: string): Promise<Daemon> {
  const node = startDaemon('node', process.execPath, ['--import', 'tsx', path.join(ROOT, 'bench', 'node.ts'), plane.kubeconfig, workloads], {
    dir,
    cwd: ROOT,
  });
  await node.ready(async () => Boolean(await plane.client.get(Resources.Node, undefined, 'bench')));
  return node;
}

async function quiet(plane: ControlPlane, timeline: Timeline, count: number, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const idle = timeline
      .canaries()
      .filter(({ status }) => status?.adoptedAt && !status.run && ['Initialized', 'Succeeded'].includes(status.phase ?? ''));
    if (idle.length === count && (await runningReplicas(plane)) === count) return;
    if (performance.now() > deadline) throw new Error(await diagnosis(plane, timeline, count, timeoutMs));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Pods, terminating ones included, as far as their Deployments know. */
async function runningReplicas(plane: ControlPlane): Promise<number> {
  const { items } = await plane.client.list(Resources.Deployment, { namespace: NAMESPACE });
  return items.reduce((sum, item) => sum + ((item['status'] as { replicas?: number } | undefined)?.replicas ?? 0), 0);
}

async function diagnosis(plane: ControlPlane, timeline: Timeline, count: number, timeoutMs: number): Promise<string> {
  const said = new Map<string, number>();
  for (const { status } of timeline.canaries()) {
    const why = (status?.conditions ?? [])
      .filter((item) => ['Progressing', 'Stalled', 'Ready'].includes(item.type))
      .map((item) => `${item.type}=${item.status} ${item.reason}`);
    const text = `${status?.phase ?? 'no phase'}: ${why.join(', ')}`;
    said.set(text, (said.get(text) ?? 0) + 1);
  }
  const lines = [...said].map(([text, number]) => `  ${number} × ${text}`);
  return `${count} Canaries did not come to rest within ${timeoutMs / 1000} s (${await runningReplicas(plane)} replicas):\n${lines.join('\n')}`;
}
