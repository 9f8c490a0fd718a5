import type { KubeObject } from '../../src/kube/types.js';
import { Resources, type Api } from './api.js';
import type { Chance, Timeline } from './time.js';
import type { Version } from '../versions.js';

/** How a version behaves; it is known by the image of its pods. */
export const NAMESPACE = 'shop';
export interface Template {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: { containers: { name: string; image: string; envFrom?: { configMapRef: { name: string } }[] }[] };
}
export interface DeploymentSpec {
  replicas: number;
  progressDeadlineSeconds?: number;
  template: Template;
}
export const specOf = (deployment: KubeObject): DeploymentSpec => deployment['spec'] as DeploymentSpec;
const imageOf = (template: Template): string => template.spec.containers[0]?.image ?? '';

interface Life {
  owner: string;
  template: string;
  image: string;
  /** When it becomes ready; Infinity: never. */
  readyAt: number;
  /** Not ready until then although it started. */
  downUntil: number;
}
interface PodStatus {
  conditions: { type: string; status: string }[];
  containerStatuses?: unknown[];
}

export const isReady = (pod: KubeObject): boolean =>
  pod.metadata.deletionTimestamp === undefined && ((pod['status'] as PodStatus | undefined)?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');

const matches = (selector: Record<string, string> | undefined, labels: Record<string, string> = {}): boolean =>
  selector !== undefined && Object.keys(selector).length > 0 && Object.entries(selector).every(([key, value]) => labels[key] === value);
export const selectorOf = (service: KubeObject): Record<string, string> | undefined => (service['spec'] as { selector?: Record<string, string> }).selector;

const WHO = 'kube';

/** The controllers of Kubernetes that a release depends on: Deployments make pods, Services find them. */
export class Cluster {
  readonly #lives = new Map<string, Life>();
  readonly #queued = new Set<string>();
  #names = 0;
  readonly #progressSince = new Map<string, number>();

  constructor(
    private readonly api: Api,
    private readonly timeline: Timeline,
    private readonly chance: Chance,
    private readonly versions: (image: string) => Version,
  ) {
    api.onWrite(({ resource, before, after, by, subresource }) => {
      const object = after ?? before;
      if (!object || subresource === 'status') return;
      if (resource.kind === 'Deployment') {
        if (!before || !after || before.metadata.generation !== after.metadata.generation) this.#progressSince.set(object.metadata.uid ?? '', this.timeline.now);
        this.#soon(`Deployment/${object.metadata.name}`, 60, () => this.#deployment(object.metadata.name, object.metadata.uid ?? ''));
      } else if (resource.kind === 'Service') this.#soon(`Service/${object.metadata.name}`, 40, () => this.#service(object.metadata.name));
      else if (resource.kind === 'Pod' && by === WHO) this.#podChanged(object);
    });
  }

  pods(): KubeObject[] {
    return this.api.list(Resources.Pod);
  }
  podsOf(deployment: string): KubeObject[] {
    const uid = this.api.find(Resources.Deployment, NAMESPACE, deployment)?.metadata.uid;
    return uid === undefined ? [] : this.pods().filter((pod) => this.#lives.get(pod.metadata.name)?.owner === uid);
  }
  /** Ready pods that the Service selects, as its EndpointSlice says; of a slot without a Service, its pods among those of the common one. */
  endpoints(service: string): string[] {
    const [, common, slot] = /^(.*)-(blue|green)$/.exec(service) ?? [];
    if (common !== undefined && !this.api.find(Resources.Service, NAMESPACE, service)) {
      const own = new Set(this.pods().flatMap((pod) => (pod.metadata.labels?.['sluice.dev/slot'] === slot ? [pod.metadata.name] : [])));
      return this.endpoints(common).filter((pod) => own.has(pod));
    }
    const slice = this.api.find(Resources.EndpointSlice, NAMESPACE, `${service}-1`);
    const endpoints = (slice?.['endpoints'] ?? []) as { conditions: { ready: boolean }; targetRef: { name: string } }[];
    return endpoints.filter(({ conditions }) => conditions.ready).map(({ targetRef }) => targetRef.name);
  }
  serves(pod: string): boolean {
    const found = this.api.find(Resources.Pod, NAMESPACE, pod);
    return found !== undefined && isReady(found);
  }
  imageOfPod(pod: string): string {
    return this.#lives.get(pod)?.image ?? '';
  }

  /** So many of a Deployment's pods stop being ready for a while. */
  outage(deployment: string, count: number, forMs: number): void {
    for (const pod of this.podsOf(deployment).slice(0, count)) {
      const life = this.#lives.get(pod.metadata.name);
      if (!life) continue;
      life.downUntil = Math.max(life.downUntil, this.timeline.now + forMs);
      this.#tell(pod.metadata.name);
      this.timeline.after(forMs, () => this.#tell(pod.metadata.name));
    }
  }
  /** Pods are evicted; others take their place. */
  evict(deployment: string, count: number): void {
    for (const pod of this.podsOf(deployment).filter((item) => item.metadata.deletionTimestamp === undefined).slice(0, count)) this.#end(pod);
  }
  /** Nothing is down any more. */
  heal(): void {
    for (const [name, life] of this.#lives) {
      life.downUntil = Math.min(life.downUntil, this.timeline.now);
      this.#tell(name);
    }
  }

  #soon(key: string, upTo: number, run: () => void): void {
    if (this.#queued.has(key)) return;
    this.#queued.add(key);
    this.timeline.after(this.chance.between(2, upTo), () => {
      this.#queued.delete(key);
      run();
    });
  }

  #podChanged(pod: KubeObject): void {
    const life = this.#lives.get(pod.metadata.name);
    const owner = life && this.api.list(Resources.Deployment).find((item) => item.metadata.uid === life.owner);
    if (owner) this.#soon(`Deployment/${owner.metadata.name}`, 60, () => this.#deployment(owner.metadata.name, owner.metadata.uid ?? ''));
    for (const service of this.api.list(Resources.Service))
      if (matches(selectorOf(service), pod.metadata.labels)) this.#soon(`Service/${service.metadata.name}`, 40, () => this.#service(service.metadata.name));
  }

  #deployment(name: string, uid: string): void {
    const live = this.api.find(Resources.Deployment, NAMESPACE, name);
    // Garbage collection: the pods of a Deployment that is gone go too.
    if (live?.metadata.uid !== uid) for (const pod of this.pods()) if (this.#lives.get(pod.metadata.name)?.owner === uid && !pod.metadata.deletionTimestamp) this.#end(pod);
    if (!live) return;
    const spec = specOf(live);
    const template = JSON.stringify(spec.template);
    const alive = this.podsOf(name).filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const current = alive.filter((pod) => this.#lives.get(pod.metadata.name)?.template === template);
    const old = alive.filter((pod) => !current.includes(pod));
    for (let missing = spec.replicas - current.length; missing > 0; missing -= 1) this.#start(live, template);
    // Those that are not ready go first, then the youngest.
    const surplus = current.toReversed().sort((a, b) => Number(isReady(a)) - Number(isReady(b))).slice(0, Math.max(0, current.length - spec.replicas));
    for (const pod of surplus) this.#end(pod);
    if (current.filter(isReady).length >= spec.replicas) for (const pod of old) this.#end(pod);
    this.#status(live);
  }

  #status(live: KubeObject): void {
    const spec = specOf(live);
    const pods = this.podsOf(live.metadata.name).filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const ready = pods.filter(isReady).length;
    const uid = live.metadata.uid ?? '';
    const limit = (spec.progressDeadlineSeconds ?? 600) * 1_000;
    const waited = this.timeline.now - (this.#progressSince.get(uid) ?? this.timeline.now);
    if (ready >= spec.replicas) this.#progressSince.set(uid, this.timeline.now);
    else if (waited < limit) this.timeline.after(limit - waited, () => this.#soon(`Deployment/${live.metadata.name}`, 60, () => this.#deployment(live.metadata.name, uid)));
    const exceeded = ready < spec.replicas && waited >= limit;
    const conditions = [{ type: 'Progressing', status: exceeded ? 'False' : 'True', reason: exceeded ? 'ProgressDeadlineExceeded' : 'NewReplicaSetAvailable' }];
    const status = { observedGeneration: live.metadata.generation, replicas: pods.length, readyReplicas: ready, conditions };
    this.api.update(WHO, Resources.Deployment, { ...live, status, metadata: { ...live.metadata } }, { subresource: 'status' });
  }

  #start(deployment: KubeObject, template: string): void {
    const { template: wanted } = specOf(deployment);
    const name = `${deployment.metadata.name}-${(this.#names += 1)}`;
    const image = imageOf(wanted);
    const { startup } = this.versions(image);
    const readyAt = startup === undefined ? Infinity : this.timeline.now + startup + this.chance.between(0, 500);
    this.#lives.set(name, { owner: deployment.metadata.uid ?? '', template, image, readyAt, downUntil: 0 });
    this.api.create(WHO, Resources.Pod, { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: NAMESPACE, labels: wanted.metadata?.labels ?? {} }, status: this.#podStatus(name) });
    this.timeline.at(Math.min(readyAt, this.timeline.now + 3_000), () => this.#tell(name));
    if (readyAt < Infinity) this.timeline.at(readyAt, () => this.#tell(name));
  }

  #podStatus(name: string): PodStatus {
    const life = this.#lives.get(name);
    const ready = life !== undefined && this.timeline.now >= life.readyAt && this.timeline.now >= life.downUntil;
    const crashes = life?.readyAt === Infinity && { containerStatuses: [{ name: 'reviews', state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: { terminated: { exitCode: 1 } } }] };
    return { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }], ...crashes };
  }
  #tell(name: string): void {
    const pod = this.api.find(Resources.Pod, NAMESPACE, name);
    if (pod) this.api.patch(WHO, Resources.Pod, NAMESPACE, name, { status: this.#podStatus(name) }, { subresource: 'status' });
    if (pod) this.#podChanged(pod);
  }
  #end(pod: KubeObject): void {
    const { name } = pod.metadata;
    this.api.patch(WHO, Resources.Pod, NAMESPACE, name, { metadata: { deletionTimestamp: new Date(this.timeline.now).toISOString() } });
    this.timeline.after(this.chance.between(500, 2_500), () => {
      if (this.api.find(Resources.Pod, NAMESPACE, name)) this.api.delete(WHO, Resources.Pod, NAMESPACE, name);
      this.#podChanged(pod);
      this.#lives.delete(name);
    });
  }

  #service(name: string): void {
    const service = this.api.find(Resources.Service, NAMESPACE, name);
    const known = this.api.find(Resources.EndpointSlice, NAMESPACE, `${name}-1`);
    if (!service) {
      if (known) this.api.delete(WHO, Resources.EndpointSlice, NAMESPACE, `${name}-1`);
      return;
    }
    const endpoints = this.pods()
      .filter((pod) => matches(selectorOf(service), pod.metadata.labels))
      .map((pod) => ({ conditions: { ready: isReady(pod) }, targetRef: { name: pod.metadata.name } }));
    const metadata = { name: `${name}-1`, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': name } };
    if (known) this.api.update(WHO, Resources.EndpointSlice, { ...known, endpoints });
    else this.api.create(WHO, Resources.EndpointSlice, { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata, endpoints });
  }
}
