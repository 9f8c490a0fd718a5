/** The cluster's node, a process of its own: every pod becomes ready at once and nothing runs in it. Argument: a kubeconfig. */
import { createInformer, createKubeClient } from '../src/kube/index.js';
import { startNode } from '../src/sandbox/cluster/index.js';
import { Kinds } from '../src/sandbox/cluster/types.js';

const client = await createKubeClient({ kubeconfig: process.argv[2], userAgent: 'bench-node' });
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
const pods = createInformer(client, Kinds.Pod);
pods.start(stopping.signal);
const onError = (key: string, error: unknown): void => console.error(key, error instanceof Error ? error.message : error);
const node = await startNode({ client, informers: { pods }, nodeName: 'bench', runtime: 'hollow', onError });
await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve));
await node.stop();
client.close();
