import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeClient } from '../../../kube/types.js';
import type { Clock } from '../clock.js';
import { systemClock } from '../clock.js';
import type { EventSink } from '../events.js';
import { noEvents } from '../events.js';
import type { NodeInformers } from '../informers.js';
import type { Pod } from '../types.js';
import { LocalPorts, PodAddresses } from './addresses.js';
import { configSource } from './config.js';
import { HollowRuntime } from './hollowRuntime.js';
import type { Launcher } from './launcher.js';
import { processLauncher } from './launcher.js';
import { SandboxNode } from './node.js';
import type { Prober } from './probes.js';
import { localProber } from './probes.js';
import { ProcessRuntime } from './processRuntime.js';
import type { Programs } from './programs.js';
import { programs as bookinfo } from './programs.js';
import { registerNode } from './registration.js';
import type { RuntimeFactory } from './runtime.js';

export interface NodeOptions {
  client: KubeClient;
  /** Started by the caller. Without ConfigMaps and Secrets among them, those are read from the API when needed. */
  informers: NodeInformers;
  /** `sandbox` by default. */
  nodeName?: string;
  /** `process` (default): containers are local processes. `hollow`: nothing runs, pods just become ready. */
  runtime?: 'process' | 'hollow';
  /** Images that the node knows; Bookinfo's by default. */
  programs?: Programs;
  /** Environment beneath every program's own, such as MESH_URL; may depend on the pod. */
  env?: Record<string, string> | ((pod: Pod) => Record<string, string> | Promise<Record<string, string>>);
  onLog?: (pod: Pod, container: string, line: string) => void;
  onError?: (key: string, error: unknown) => void;
  /** Where events such as `BackOff` and `Unhealthy` go; nowhere by default. */
  events?: EventSink;
  /** Pods that the node takes: 110 for processes, 60,000 for hollow ones by default. */
  maxPods?: number;
  /** Hollow pods become ready after so many milliseconds (0 by default), never when it says undefined. */
  readyDelayMs?: number | ((pod: Pod) => number | undefined);
  /** Between renewals of the node's Lease; 10 by default, 0 for none (no controller watches the lease). */
  heartbeatSeconds?: number;
  /** How many pods are worked on at once: 8, hollow 32. */
  concurrency?: number;
  clock?: Clock;
  launcher?: Launcher;
  prober?: Prober;
}

export interface RunningNode {
  readonly name: string;
  /** The last 200 log lines of a pod's container (of the first without a name); undefined when no such pod runs here. */
  logs(namespace: string, pod: string, container?: string): string[] | undefined;
  /** Kills every program and removes what was written to disk. The Node and the Pods stay in the API. */
  stop(): Promise<void>;
}

const HOST_IP = '127.0.0.1';

/**
 * Starts a node that stands in for the scheduler and the kubelet. Resolves once the Node exists and the informers are in sync.
 * Rejects with a KubeError when the Node cannot be registered.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { client, informers, nodeName = 'sandbox', runtime = 'process', clock = systemClock } = options;
  const hollow = runtime === 'hollow';
  const maxPods = options.maxPods ?? (hollow ? 60_000 : 110);
  const onError = options.onError ?? (() => undefined);
  await Promise.all(Object.values(informers).map((informer: { whenSynced(): Promise<void> }) => informer.whenSynced()));
  const nodeLabels = { 'kubernetes.io/hostname': nodeName, 'kubernetes.io/os': 'linux' };
  const endHeartbeat = await registerNode({
    client,
    clock,
    nodeName,
    labels: nodeLabels,
    hostIP: HOST_IP,
    maxPods,
    heartbeatSeconds: options.heartbeatSeconds ?? 10,
    onError: (error) => onError(`node/${nodeName}`, error),
  });
  const directory = hollow ? undefined : await mkdtemp(join(tmpdir(), 'sluice-node-'));
  const makeRuntime = directory === undefined ? hollowFactory(options, clock) : processFactory(options, clock, directory);
  const concurrency = options.concurrency ?? (hollow ? 32 : 8);
  const node = new SandboxNode({ client, informers, clock, nodeName, nodeLabels, maxPods, concurrency, makeRuntime, onError });
  return {
    name: nodeName,
    logs: (namespace, pod, container) => node.logs(namespace, pod, container),
    stop: async () => {
      endHeartbeat();
      await node.close();
      if (directory !== undefined) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** The addresses of a node, without those that its pods already have from before. */
function addressesFor({ informers }: NodeOptions): PodAddresses {
  const addresses = new PodAddresses();
  for (const pod of informers.pods.list()) if (pod.status?.podIP) addresses.reserve(pod.status.podIP);
  return addresses;
}

function hollowFactory(options: NodeOptions, clock: Clock): RuntimeFactory {
  const addresses = addressesFor(options);
  const { readyDelayMs = 0 } = options;
  const delay = typeof readyDelayMs === 'number' ? () => readyDelayMs : readyDelayMs;
  return (pod, onChange) => new HollowRuntime(pod, { clock, addresses, hostIP: HOST_IP, readyDelayMs: delay }, onChange);
}

function processFactory(options: NodeOptions, clock: Clock, directory: string): RuntimeFactory {
  const { client, informers, env = {}, onLog = () => undefined } = options;
  const deps = {
    clock,
    launcher: options.launcher ?? processLauncher,
    prober: options.prober ?? localProber,
    programs: options.programs ?? bookinfo,
    addresses: addressesFor(options),
    localPorts: new LocalPorts(),
    source: configSource(client, informers),
    hostIP: HOST_IP,
    directory,
    baseEnv: (pod: Pod) => Promise.resolve(typeof env === 'function' ? env(pod) : env),
    onLog,
    events: options.events ?? noEvents,
  };
  return (pod, onChange) => new ProcessRuntime(pod, deps, onChange);
}
