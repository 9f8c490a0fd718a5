import { Resources } from '../../../kube/resources.js';
import type { KubeClient, KubeObject } from '../../../kube/types.js';
import { isAlreadyExists, isNotFound } from '../../../kube/types.js';
import type { Clock } from '../clock.js';
import { timestamp } from '../clock.js';

export interface RegistrationOptions {
  client: KubeClient;
  clock: Clock;
  nodeName: string;
  labels: Record<string, string>;
  hostIP: string;
  maxPods: number;
  /** Between renewals of the node's lease; 0 for none. A real control plane gives up a node after 40 s without. */
  heartbeatSeconds: number;
  onError: (error: unknown) => void;
}

/** Creates the Node, says that it is ready, and keeps its Lease. Returns what ends the heartbeat. */
export async function registerNode(options: RegistrationOptions): Promise<() => void> {
  const node = nodeObject(options);
  const { client } = options;
  try {
    await client.create(Resources.Node, node);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  await client.patch(Resources.Node, undefined, options.nodeName, { status: node['status'] }, 'merge', { subresource: 'status' });
  return options.heartbeatSeconds > 0 ? beat(options) : () => undefined;
}

function nodeObject({ nodeName, labels, hostIP, maxPods, clock }: RegistrationOptions): KubeObject {
  const now = timestamp(clock.now());
  const size = { cpu: '64', memory: '256Gi', 'ephemeral-storage': '1Ti', pods: String(maxPods) };
  const pressure = (type: string, reason: string, message: string) => condition(type, 'False', reason, message, now);
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: nodeName, labels },
    spec: { podCIDR: '10.244.0.0/16', podCIDRs: ['10.244.0.0/16'] },
    status: {
      capacity: size,
      allocatable: size,
      addresses: [
        { type: 'InternalIP', address: hostIP },
        { type: 'Hostname', address: nodeName },
      ],
      conditions: [
        pressure('MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
        pressure('DiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
        pressure('PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
        condition('Ready', 'True', 'KubeletReady', 'the sandbox runs pods as local processes', now),
      ],
      nodeInfo: {
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        operatingSystem: 'linux',
        osImage: 'Sluice sandbox',
        kernelVersion: '',
        containerRuntimeVersion: 'sandbox://1.0.0',
        kubeletVersion: 'v1.34.0',
        kubeProxyVersion: '',
        bootID: '',
        machineID: '',
        systemUUID: '',
      },
    },
  };
}

const condition = (type: string, status: string, reason: string, message: string, now: string) => ({
  type,
  status,
  reason,
  message,
  lastHeartbeatTime: now,
  lastTransitionTime: now,
});

function beat(options: RegistrationOptions): () => void {
  const { clock, onError, heartbeatSeconds } = options;
  let stopped = false;
  let cancel: () => void = () => undefined;
  const once = async (): Promise<void> => {
    await renewLease(options).catch(onError);
    if (!stopped) cancel = clock.after(heartbeatSeconds * 1000, () => void once());
  };
  void once();
  return () => {
    stopped = true;
    cancel();
  };
}

async function renewLease({ client, clock, nodeName }: RegistrationOptions): Promise<void> {
  const spec = {
    holderIdentity: nodeName,
    leaseDurationSeconds: 40,
    renewTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
  };
  const namespace = 'kube-node-lease';
  try {
    await client.patch(Resources.Lease, namespace, nodeName, { spec }, 'merge');
  } catch (error) {
    if (!isNotFound(error)) throw error;
    const lease: KubeObject = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: nodeName, namespace },
      spec,
    };
    await client.create(Resources.Lease, lease);
  }
}
