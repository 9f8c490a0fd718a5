/**
 * The cluster's node, a process of its own. Arguments: a kubeconfig, and `pods` (Kubernetes makes them, every one becomes ready at once,
 * nothing runs in it) or `instant` (every Deployment has ready pods at once, without ReplicaSets).
 */
import { createInformer, createKubeClient, Resources, type KubeClient } from '../src/kube/index.js';
import { startNode } from '../src/sandbox/cluster/index.js';
import { Kinds } from '../src/sandbox/cluster/types.js';
import { NODE, startInstantDeployments } from './workloads.js';

const [, , kubeconfig, workloads] = process.argv;
const client = await createKubeClient({ kubeconfig, userAgent: 'bench-node' });
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
const stop = workloads === 'instant' ? await instant(client, stopping.signal) : await hollow(client, stopping.signal);
await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve));
await stop();
client.close();

async function instant(nodeClient: KubeClient, signal: AbortSignal): Promise<() => Promise<void>> {
  await startInstantDeployments(nodeClient, signal);
  await nodeClient.create(Resources.Node, { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE } });
  return async () => {};
}

async function hollow(nodeClient: KubeClient, signal: AbortSignal): Promise<() => Promise<void>> {
  const pods = createInformer(nodeClient, Kinds.Pod);
  pods.start(signal);
  const onError = (key: string, error: unknown): void => console.error(key, error instanceof Error ? error.message : error);
  const node = await startNode({ client: nodeClient, informers: { pods }, nodeName: NODE, runtime: 'hollow', onError });
  return () => node.stop();
}
