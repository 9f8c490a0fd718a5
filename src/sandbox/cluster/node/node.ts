import { Resources } from '../../../kube/resources.js';
import type { KubeClient } from '../../../kube/types.js';
import { isConflict, isNotFound } from '../../../kube/types.js';
import { PORTS_ANNOTATION } from '../annotations.js';
import type { Clock } from '../clock.js';
import type { NodeInformers } from '../informers.js';
import { isTerminal, isTerminating } from '../pods.js';
import { WorkQueue, keyOf, splitKey } from '../queue.js';
import { Kinds } from '../types.js';
import type { Pod } from '../types.js';
import type { PodRuntime, RuntimeFactory } from './runtime.js';
import { Scheduler } from './scheduler.js';

export interface NodeDeps {
  client: KubeClient;
  informers: NodeInformers;
  clock: Clock;
  nodeName: string;
  nodeLabels: Record<string, string>;
  maxPods: number;
  concurrency: number;
  makeRuntime: RuntimeFactory;
  onError: (key: string, error: unknown) => void;
}

interface Resident {
  runtime: PodRuntime;
  uid: string;
  /** The status last written, to write only what changed. */
  written: string;
  stopped?: Promise<void>;
}

/** Looks after every pod of one node: binds it, runs it, writes its status and lets it go. */
export class SandboxNode {
  private readonly queue: WorkQueue;
  private readonly residents = new Map<string, Resident>();
  private readonly unsubscribe: (() => void)[] = [];
  /** Pods bound whose binding has not come back through the informer. */
  private readonly bound = new Set<string>();
  private readonly scheduler: Scheduler;
  private closed = false;

  constructor(private readonly deps: NodeDeps) {
    const { informers } = deps;
    this.scheduler = new Scheduler(deps);
    this.queue = new WorkQueue({
      work: (key) => this.sync(key),
      onError: deps.onError,
      clock: deps.clock,
      concurrency: deps.concurrency,
    });
    this.unsubscribe.push(informers.pods.onChange((key) => this.queue.add(keyOf(key))));
    for (const informer of [informers.configMaps, informers.secrets]) {
      if (informer) this.unsubscribe.push(informer.onChange(({ namespace }) => this.configChanged(namespace ?? '')));
    }
    for (const pod of informers.pods.list()) this.queue.add(keyOf(pod.metadata));
  }

  /** The last log lines of a pod's container; undefined when the pod is not on this node. */
  logs(namespace: string, pod: string, container?: string): string[] | undefined {
    return this.residents.get(keyOf({ namespace, name: pod }))?.runtime.logs(container);
  }

  /** Ends every program at once; the objects stay. */
  async close(): Promise<void> {
    this.closed = true;
    for (const off of this.unsubscribe) off();
    this.queue.stop();
    await Promise.all(
      [...this.residents.values()].map(({ runtime, stopped }) => Promise.race([runtime.stop(0), ...(stopped ? [stopped] : [])])),
    );
  }

  private configChanged(namespace: string): void {
    for (const [key, { runtime }] of this.residents) if (splitKey(key).namespace === namespace) runtime.configChanged();
  }

  private async sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const pod = this.deps.informers.pods.get(namespace, name);
    const resident = this.residents.get(key);
    if (!pod || pod.spec.nodeName) this.bound.delete(key);
    if (resident && resident.uid !== pod?.metadata.uid) {
      await this.evict(key, resident);
      return this.queue.add(key);
    }
    if (!pod) return;
    if (!pod.spec.nodeName) return this.place(key, pod);
    if (pod.spec.nodeName !== this.deps.nodeName) return;
    if (isTerminating(pod)) return this.terminate(key, pod, resident);
    if (resident) return this.writeStatus(pod, resident);
    if (!isTerminal(pod)) this.admit(key, pod);
  }

  private async place(key: string, pod: Pod): Promise<void> {
    if (isTerminating(pod)) return this.remove(pod);
    const hasRoom = this.bound.has(key) || this.residents.size + this.bound.size < this.deps.maxPods;
    // Before the request: others are placed while it is under way.
    if (hasRoom) this.bound.add(key);
    try {
      if (await this.scheduler.place(pod, hasRoom)) return;
    } catch (error) {
      this.bound.delete(key);
      throw error;
    }
    this.bound.delete(key);
    this.queue.addAfter(key, 1_000);
  }

  private admit(key: string, pod: Pod): void {
    const runtime = this.deps.makeRuntime(pod, () => this.queue.add(key));
    this.residents.set(key, { runtime, uid: pod.metadata.uid ?? '', written: '' });
    runtime.begin();
  }

  private async terminate(key: string, pod: Pod, resident: Resident | undefined): Promise<void> {
    if (!resident) return this.remove(pod);
    if (resident.stopped) return this.writeStatus(pod, resident);
    const declared = (pod.metadata as { deletionGracePeriodSeconds?: number }).deletionGracePeriodSeconds;
    const grace = declared ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    resident.stopped = resident.runtime.stop(grace);
    // Beside the queue: while it ends, its status is still written.
    void resident.stopped.then(() => this.leave(key, pod, resident));
  }

  private async leave(key: string, pod: Pod, resident: Resident): Promise<void> {
    if (this.closed) return;
    if (this.residents.get(key) === resident) this.residents.delete(key);
    try {
      await this.remove(pod);
    } catch (error) {
      this.deps.onError(key, error);
      // Without a resident the next turn removes the object again.
      this.queue.addAfter(key, 200);
    }
  }

  /** The object vanished (a forced deletion) or another took its name: what still runs is killed. */
  private async evict(key: string, resident: Resident): Promise<void> {
    this.residents.delete(key);
    await (resident.stopped ? Promise.race([resident.stopped, resident.runtime.stop(0)]) : resident.runtime.stop(0));
  }

  /** Removes the object of a pod that has ended: a grace period of 0 lets the API server forget a terminating pod. */
  private async remove(pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    try {
      await this.deps.client.delete(Resources.Pod, namespace, name, { gracePeriodSeconds: 0, uid });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  private async writeStatus(pod: Pod, resident: Resident): Promise<void> {
    const { client, informers } = this.deps;
    const { namespace, name, uid } = pod.metadata;
    const ports = resident.runtime.ports();
    // Before the status: whoever sees a ready pod must find its address.
    if (ports !== undefined && pod.metadata.annotations?.[PORTS_ANNOTATION] !== ports) {
      const body = { metadata: { uid, annotations: { [PORTS_ANNOTATION]: ports } } };
      informers.pods.observe(await client.patch(Kinds.Pod, namespace, name, body, 'merge'));
    }
    const status = resident.runtime.status(informers.pods.get(namespace, name) ?? pod);
    const text = JSON.stringify(status);
    if (text === resident.written) return;
    try {
      const body = { metadata: { uid }, status };
      informers.pods.observe(await client.patch(Kinds.Pod, namespace, name, body, 'merge', { subresource: 'status' }));
      resident.written = text;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
