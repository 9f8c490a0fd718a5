import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PORTS_ANNOTATION, startNode } from '../../../src/sandbox/cluster/index.js';
import type { RunningNode } from '../../../src/sandbox/cluster/index.js';
import type { Exit, Launcher, ProcessSpec, RunningProcess } from '../../../src/sandbox/cluster/node/launcher.js';
import type { NodeOptions } from '../../../src/sandbox/cluster/node/index.js';
import { conditionOf } from '../../../src/sandbox/cluster/pods.js';
import { Kinds } from '../../../src/sandbox/cluster/types.js';
import type { ConfigMap, Container, Pod, PodSpec } from '../../../src/sandbox/cluster/types.js';
import { ManualClock, pod, settle } from './helpers.js';
import { MemoryCluster } from './memoryCluster.js';

class FakeProcess implements RunningProcess {
  readonly pid = 1;
  readonly signals: string[] = [];
  exit: (exit: Exit) => void = () => undefined;
  readonly exited = new Promise<Exit>((resolve) => (this.exit = resolve));
  constructor(
    readonly spec: ProcessSpec,
    private readonly obeys: boolean,
  ) {}

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    this.signals.push(name);
    if (name === 'SIGKILL') this.exit({ code: 137 });
    else if (this.obeys) this.exit({ code: 143 });
  }
}

class FakeLauncher implements Launcher {
  readonly launched: FakeProcess[] = [];
  obeys = true;
  launch(spec: ProcessSpec): FakeProcess {
    const process = new FakeProcess(spec, this.obeys);
    this.launched.push(process);
    return process;
  }
}

let clock: ManualClock;
let cluster: MemoryCluster;
let launcher: FakeLauncher;
let aborter: AbortController;
let node: RunningNode;
/** What probes answer. */
let healthy: boolean;
let events: string[];

async function start(options: Partial<NodeOptions> = {}): Promise<void> {
  const informers = cluster.informers(aborter.signal);
  const prober = { http: () => Promise.resolve(healthy), tcp: () => Promise.resolve(healthy) };
  const sink = { event: (_object: unknown, type: string, reason: string) => void events.push(`${type} ${reason}`) };
  node = await startNode({ client: cluster, informers, clock, launcher, prober, heartbeatSeconds: 0, events: sink, ...options });
}

beforeEach(() => {
  clock = new ManualClock();
  cluster = new MemoryCluster(clock);
  launcher = new FakeLauncher();
  aborter = new AbortController();
  healthy = true;
  events = [];
});

afterEach(async () => {
  const stopped = node.stop();
  await settle();
  await stopped;
  aborter.abort();
});

const read = (name = 'a'): Promise<Pod> => cluster.get(Kinds.Pod, 'default', name);
const isReady = (object: Pod): string | undefined => conditionOf(object.status?.conditions, 'Ready')?.status;

/** Creates pod `a` and lets it start; volumes and ports need real file operations, hence the polling. */
async function run(spec: Partial<PodSpec> = {}, extra: Partial<Container> = {}): Promise<Pod> {
  const before = launcher.launched.length;
  await cluster.create(Kinds.Pod, pod('a', spec, extra));
  await launches(before + 1);
  return read();
}

async function launches(count: number): Promise<FakeProcess> {
  const deadline = Date.now() + 5_000;
  while (launcher.launched.length < count) {
    if (Date.now() > deadline) throw new Error(`expected ${count} launches, saw ${launcher.launched.length}`);
    await settle();
  }
  await settle();
  const last = launcher.launched[count - 1];
  if (!last) throw new Error('unreachable');
  return last;
}

async function waitsFor(reason: string): Promise<string | undefined> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const waiting = (await read()).status?.containerStatuses?.[0]?.state.waiting;
    if (waiting?.reason === reason) return waiting.message;
    if (Date.now() > deadline) throw new Error(`container never waited for ${reason}: ${JSON.stringify(waiting)}`);
    await settle();
  }
}

describe('a pod without probes', () => {
  it('is bound, run and reported ready with an address of its own and its real ports', async () => {
    await start({ env: { MESH_URL: 'http://127.0.0.1:1' } });
    const running = await run();
    expect(running.spec.nodeName).toBe('sandbox');
    expect(running.status).toMatchObject({ phase: 'Running', podIP: '10.244.0.2', hostIP: '127.0.0.1', qosClass: 'BestEffort' });
    expect(running.status?.conditions?.map(({ type, status }) => `${type}=${status}`)).toEqual([
      'PodReadyToStartContainers=True',
      'Initialized=True',
      'Ready=True',
      'ContainersReady=True',
      'PodScheduled=True',
    ]);
    expect(running.status?.containerStatuses).toMatchObject([
      { ready: true, started: true, restartCount: 0, state: { running: {} } },
    ]);
    const { env } = launcher.launched[0]!.spec;
    expect(JSON.parse(running.metadata.annotations?.[PORTS_ANNOTATION] ?? '')).toEqual({ 9080: `127.0.0.1:${env['PORT']}` });
    expect(env).toMatchObject({ MESH_URL: 'http://127.0.0.1:1', POD_NAME: 'a', SERVICE_VERSION: 'v1' });
    expect(env).not.toHaveProperty('NODE_OPTIONS');
  });

  it('keeps its log for kubectl logs, the last 200 lines', async () => {
    await start();
    await run();
    for (let i = 0; i < 250; i++) launcher.launched[0]!.spec.onLine(`line ${i}`);
    expect(node.logs('default', 'a')).toHaveLength(200);
    expect(node.logs('default', 'a')?.at(-1)).toBe('line 249');
    expect(node.logs('default', 'other')).toBeUndefined();
  });
});

describe('a program that crashes', () => {
  it('is restarted at once, then after 10 s, then 20 s, and says so', async () => {
    await start();
    await run();
    launcher.launched[0]!.exit({ code: 1 });
    const second = await launches(2);
    expect((await read()).status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { running: {} },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
    second.exit({ code: 1 });
    const message = await waitsFor('CrashLoopBackOff');
    const { metadata } = await read();
    expect(events).toEqual(['Normal Started', 'Normal Started', 'Warning BackOff']);
    expect(message).toBe(`back-off 10s restarting failed container=reviews pod=a_default(${metadata.uid})`);
    expect(isReady(await read())).toBe('False');
    await clock.advance(9_900);
    expect(launcher.launched).toHaveLength(2);
    await clock.advance(100);
    (await launches(3)).exit({ code: 1 });
    expect(await waitsFor('CrashLoopBackOff')).toContain('back-off 20s');
    expect((await read()).status?.containerStatuses?.[0]?.restartCount).toBe(2);
  });

  it('has recovered after ten minutes', async () => {
    await start();
    await run();
    launcher.launched[0]!.exit({ code: 1 });
    await launches(2);
    await clock.advance(600_000);
    launcher.launched[1]!.exit({ code: 1 });
    await launches(3);
    expect((await read()).status?.containerStatuses?.[0]?.state.running).toBeDefined();
  });
});

describe('probes', () => {
  const readinessProbe = {
    httpGet: { path: '/health', port: 'http' },
    initialDelaySeconds: 2,
    periodSeconds: 1,
    failureThreshold: 2,
    successThreshold: 2,
  };

  it('make the pod ready after the delay and successThreshold passes, unready after failureThreshold failures', async () => {
    await start();
    await run({}, { readinessProbe });
    await clock.advance(2_900);
    expect((await read()).status).toMatchObject({ phase: 'Running', containerStatuses: [{ ready: false }] });
    await clock.advance(200);
    expect(isReady(await read())).toBe('True');
    healthy = false;
    await clock.advance(1_000);
    expect(isReady(await read())).toBe('True');
    await clock.advance(1_000);
    expect(conditionOf((await read()).status?.conditions, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [reviews]',
    });
    expect(launcher.launched[0]!.signals).toEqual([]);
  });

  it('restart a program that is not alive', async () => {
    await start();
    await run({}, { livenessProbe: { tcpSocket: { port: 9080 }, periodSeconds: 1, failureThreshold: 3 } });
    await clock.advance(5_000);
    expect(launcher.launched).toHaveLength(1);
    healthy = false;
    await clock.advance(3_100);
    await launches(2);
    expect(launcher.launched[0]!.signals).toEqual(['SIGTERM']);
    expect((await read()).status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 143 } },
    });
  });

  it('wait for the startup probe', async () => {
    await start();
    healthy = false;
    await run({}, { startupProbe: { tcpSocket: { port: 9080 }, periodSeconds: 1, failureThreshold: 10 } });
    await clock.advance(5_000);
    expect((await read()).status?.containerStatuses?.[0]).toMatchObject({ started: false, ready: false });
    healthy = true;
    await clock.advance(1_000);
    expect((await read()).status?.containerStatuses?.[0]).toMatchObject({ started: true, ready: true });
  });
});

describe('what a pod refers to', () => {
  const configMap = (data: Record<string, string>): ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', namespace: 'default' },
    data,
  });

  it('keeps the container waiting until it exists, and starts it at once then', async () => {
    await start();
    const env = [
      { name: 'CONFIG', valueFrom: { configMapKeyRef: { name: 'settings', key: 'greeting' } } },
      { name: 'SELF', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
      { name: 'BOTH', value: '$(SELF)/$(CONFIG)/$(NOBODY)' },
    ];
    await cluster.create(Kinds.Pod, pod('a', {}, { env }));
    expect(await waitsFor('CreateContainerConfigError')).toBe('configmap "settings" not found');
    await cluster.create(Kinds.ConfigMap, configMap({ other: 'x' }));
    await clock.advance(10_000);
    expect(await waitsFor('CreateContainerConfigError')).toMatch(
      /not found|couldn't find key greeting in ConfigMap default\/settings/,
    );
    await cluster.patch(Kinds.ConfigMap, 'default', 'settings', { data: { greeting: 'hello' } }, 'merge');
    const started = await launches(1);
    expect(started.spec.env).toMatchObject({ CONFIG: 'hello', BOTH: 'reviews/hello/$(NOBODY)' });
  });

  it('says which image nobody has', async () => {
    await start();
    await cluster.create(Kinds.Pod, pod('a', {}, { image: 'example.test/nothing:1' }));
    expect(await waitsFor('ImagePullBackOff')).toContain('Back-off pulling image "example.test/nothing:1"');
    expect((await read()).status?.phase).toBe('Pending');
  });
});

describe('deletion', () => {
  it('makes the pod unready, asks the program to end, kills it after the grace period and removes the object', async () => {
    await start();
    launcher.obeys = false;
    await run({ terminationGracePeriodSeconds: 5 });
    await cluster.delete(Kinds.Pod, 'default', 'a');
    await settle();
    expect(isReady(await read())).toBe('False');
    expect(launcher.launched[0]!.signals).toEqual(['SIGTERM']);
    await clock.advance(4_900);
    expect(launcher.launched[0]!.signals).toEqual(['SIGTERM']);
    await clock.advance(100);
    expect(launcher.launched[0]!.signals).toEqual(['SIGTERM', 'SIGKILL']);
    await gone();
  });

  it('does not restart a program that ends because of it', async () => {
    await start();
    await run();
    await cluster.delete(Kinds.Pod, 'default', 'a');
    await gone();
    await clock.advance(60_000);
    expect(launcher.launched).toHaveLength(1);
  });

  it('tries again when the object cannot be removed', async () => {
    await start();
    await run();
    await cluster.delete(Kinds.Pod, 'default', 'a');
    let refused = 0;
    const { KubeError } = await import('../../../src/kube/index.js');
    cluster.refuse = () =>
      cluster.requests.at(-1)?.startsWith('delete pods') && refused++ < 2
        ? new KubeError(500, 'InternalError', 'no')
        : undefined;
    await waitGone();
    expect(refused).toBe(3);
  });

  async function gone(): Promise<void> {
    await waitGone();
  }

  async function waitGone(): Promise<void> {
    const deadline = Date.now() + 5_000;
    while (cluster.find(Kinds.Pod).length > 0) {
      if (Date.now() > deadline) throw new Error('the pod was never removed');
      await clock.advance(100);
    }
  }
});

describe('a node that starts again', () => {
  it('runs the pods that it had, as restarts', async () => {
    await start();
    const before = await run();
    await node.stop();
    expect(launcher.launched[0]!.signals).toEqual(['SIGKILL']);
    await start();
    await launches(2);
    const after = await read();
    expect(after.metadata.uid).toBe(before.metadata.uid);
    expect(after.status?.containerStatuses).toMatchObject([{ ready: true, restartCount: 1 }]);
    expect(after.status?.podIP).not.toBe(before.status?.podIP);
  });
});

describe('a hollow node', () => {
  it('places pods where the API has no bindings, asking for one only once', async () => {
    cluster.bindings = false;
    await start({ runtime: 'hollow', concurrency: 1 });
    for (const name of ['a', 'b', 'c']) {
      await cluster.create(Kinds.Pod, pod(name));
      await settle();
      expect((await read(name)).spec.nodeName).toBe('sandbox');
    }
    expect(cluster.requests.filter((request) => request.includes('binding'))).toEqual(['create pods/binding a']);
  });

  it('makes pods ready after a delay with three writes each and no process', async () => {
    await start({ runtime: 'hollow', readyDelayMs: 500 });
    await cluster.create(Kinds.Pod, pod('a', {}, { image: 'anything' }));
    await settle();
    expect(isReady(await read())).toBe('False');
    await clock.advance(500);
    expect(isReady(await read())).toBe('True');
    expect(cluster.requests.filter((request) => request.endsWith(' a'))).toEqual([
      'create pods a',
      'create pods/binding a',
      'patch pods/status a',
      'patch pods/status a',
    ]);
    await cluster.delete(Kinds.Pod, 'default', 'a');
    await settle();
    expect(cluster.find(Kinds.Pod)).toEqual([]);
    expect(launcher.launched).toEqual([]);
  });

  it('says that it is full, and takes the next pod when one leaves', async () => {
    await start({ runtime: 'hollow', maxPods: 1 });
    await cluster.create(Kinds.Pod, pod('a'));
    await settle();
    await cluster.create(Kinds.Pod, pod('b'));
    await settle();
    expect(conditionOf((await read('b')).status?.conditions, 'PodScheduled')).toMatchObject({
      status: 'False',
      reason: 'Unschedulable',
    });
    await cluster.delete(Kinds.Pod, 'default', 'a');
    await clock.advance(1_000);
    expect(isReady(await read('b'))).toBe('True');
  });
});
