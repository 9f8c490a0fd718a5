import type { KubeObject } from '../../src/kube/types.js';
import { Resources } from '../../src/kube/resources.js';
import { SluiceResources } from '../../src/api/index.js';
import type { AuditEntry, Store } from '../../src/sandbox/apiserver/index.js';

type Weights = Record<string, number>;
interface Destination {
  destination: { host: string; subset?: string };
  weight?: number;
}

/** The Service of a slot, or, where routes name subsets, what it would be called: `reviews-blue` for a subset `blue` or `v1-blue`. */
const slotName = ({ host, subset }: Destination['destination']): string => {
  const service = host.split('.')[0] ?? '';
  const slot = /(?:^|-)(blue|green)$/.exec(subset ?? '')?.[1];
  return slot ? `${service}-${slot}` : service;
};

/** Weights by Service name, or the slot's name, of the first route of a VirtualService. */
export function weightsIn(virtualService: KubeObject | undefined): Weights {
  const { http } = (virtualService?.['spec'] ?? {}) as { http?: { route?: Destination[] }[] };
  const route = http?.[0]?.route ?? [];
  return Object.fromEntries(route.map(({ destination, weight }) => [slotName(destination), weight ?? (route.length === 1 ? 100 : 0)]));
}

const MAX_STATUS_BYTES = 32 * 1024;

/** Watches every write that Sluice makes, and notes where one breaks what must be true at any time (DESIGN.md, section 1). */
export class Truths {
  readonly broken: string[] = [];
  readonly #weights = new Map<string, Weights>();

  constructor(private readonly store: Store) {}

  /** `entry` is a write of Sluice that the server has just carried out. */
  check(entry: AuditEntry): void {
    const object = entry.responseObject as KubeObject | undefined;
    if (entry.verb === 'delete' && entry.resource?.startsWith('virtualservices.')) this.#weights.delete(`${entry.namespace}/${entry.name}`);
    if (entry.code >= 300 || !object?.metadata) return;
    if (object.kind === 'VirtualService' && entry.verb !== 'delete') this.#routes(object);
    if (object.kind === 'Service' && object.metadata.name === 'reviews' && entry.verb !== 'delete') this.#callers(object);
    if (entry.resource === 'deployments.apps' && entry.verb !== 'delete') this.#scale(object);
    if (object.kind === 'Canary') this.#status(object);
  }

  /** From now on somebody must always serve callers of the Service `reviews` in a namespace. Returns what ends it. */
  guard(namespace: string): () => void {
    return this.store.watch(
      Resources.EndpointSlice,
      (event) => {
        if (event.type === 'ERROR' || event.type === 'BOOKMARK') return;
        if (event.object.metadata.labels?.['kubernetes.io/service-name'] === 'reviews' && this.endpoints(namespace, 'reviews') === 0) this.#note(event.object, 'nobody serves');
      },
      { namespace },
    );
  }

  #note(object: KubeObject, words: string): void {
    this.broken.push(`${object.metadata.namespace}: ${object.kind} ${object.metadata.name}: ${words}`);
  }

  /** Truths 1, 2 and 3. */
  #routes(object: KubeObject): void {
    const namespace = object.metadata.namespace ?? '';
    const weights = weightsIn(object);
    const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
    if (sum !== 100 || Object.values(weights).some((weight) => weight < 0 || weight > 100)) this.#note(object, `weights ${JSON.stringify(weights)} are not a partition`);
    for (const subset of subsetsIn(object)) if (!this.#hasSubset(namespace, subset)) this.#note(object, `it sends to subset ${subset}, which no DestinationRule has`);
    const before = this.#weights.get(`${namespace}/${object.metadata.name}`) ?? {};
    this.#weights.set(`${namespace}/${object.metadata.name}`, weights);
    const canary = this.store.get(SluiceResources.Canary, namespace, 'reviews');
    // An autoscaler may ask for more than counts.
    const replicas = canary?.status?.growth?.counted ?? canary?.spec.replicas ?? 1;
    for (const [host, weight] of Object.entries(weights)) {
      if (weight <= (before[host] ?? 0)) continue;
      const ready = this.endpoints(namespace, host);
      if (ready === 0) this.#note(object, `${weight} % of the traffic is sent to ${host}, which has no ready endpoint`);
      const others = Object.keys(weights).filter((other) => other !== host && this.endpoints(namespace, other) > 0);
      const needed = Math.ceil((replicas * weight) / 100);
      if (host !== 'reviews' && others.length > 0 && ready < needed) this.#note(object, `${weight} % of the traffic is sent to ${host}, which has ${ready} of ${needed} ready endpoints`);
    }
  }

  #hasSubset(namespace: string, name: string): boolean {
    const rules = this.store.list(Resources.DestinationRule, { namespace });
    return rules.some((rule) => ((rule['spec'] as { subsets?: { name: string }[] }).subsets ?? []).some((subset) => subset.name === name));
  }

  /** Truth 1, for callers outside the mesh. */
  #callers(object: KubeObject): void {
    const { selector } = object['spec'] as { selector?: Record<string, string> };
    if (!selector) return;
    const labelSelector = Object.entries(selector).map(([key, value]) => `${key}=${value}`).join(',');
    const pods = this.store.list(Resources.Pod, { namespace: object.metadata.namespace, labelSelector });
    const all = this.store.list(Resources.Pod, { namespace: object.metadata.namespace, labelSelector: 'app=reviews' });
    if (!pods.some(isReady) && all.some(isReady)) this.#note(object, `it selects ${labelSelector}, of which no pod is ready, though others are`);
  }

  /** Truth 1: nothing that receives traffic is scaled away. */
  #scale(answer: KubeObject): void {
    const { namespace, name } = answer.metadata;
    const live = this.store.get(Resources.Deployment, namespace, name);
    if ((live?.['spec'] as { replicas?: number } | undefined)?.replicas !== 0) return;
    const weights = this.#weights.get(`${namespace}/reviews`) ?? {};
    if ((weights[name] ?? 0) > 0) this.#note(answer, `it is scaled to 0 with ${weights[name]} % of the traffic`);
    const callers = this.store.get(Resources.Service, namespace, 'reviews');
    const { 'sluice.dev/slot': slot, 'sluice.dev/canary': owner } = (callers?.['spec'] as { selector?: Record<string, string> } | undefined)?.selector ?? {};
    if (callers && name === 'reviews' && slot === undefined && owner === undefined) this.#note(answer, 'it is scaled to 0 while Service reviews selects its pods');
    if (slot !== undefined && name === `reviews-${slot}`) this.#note(answer, 'it is scaled to 0 while Service reviews selects its slot');
  }

  #status(object: KubeObject): void {
    const bytes = JSON.stringify(object['status'] ?? {}).length;
    if (bytes > MAX_STATUS_BYTES) this.#note(object, `its status has ${bytes} bytes`);
    const runs = ((object['status'] as { history?: { run: string }[] } | undefined)?.history ?? []).map(({ run }) => run);
    if (new Set(runs).size !== runs.length) this.#note(object, 'a run is in the history twice');
  }

  /** Ready endpoints of a Service; of a slot that has no Service, its pods among those of the Service that callers use. */
  endpoints(namespace: string, name: string): number {
    const slot = /^(.*)-(blue|green)$/.exec(name);
    if (!slot?.[1] || this.store.get(Resources.Service, namespace, name)) return this.#ready(namespace, name).length;
    const pods = this.store.list(Resources.Pod, { namespace, labelSelector: `sluice.dev/slot=${slot[2]}` }).map(({ metadata }) => metadata.name);
    return this.#ready(namespace, slot[1]).filter((pod) => pods.includes(pod)).length;
  }
  #ready(namespace: string, service: string): string[] {
    const slices = this.store.list(Resources.EndpointSlice, { namespace, labelSelector: `kubernetes.io/service-name=${service}` });
    const all = slices.flatMap((slice) => (slice['endpoints'] ?? []) as { conditions?: { ready?: boolean }; targetRef?: { name: string } }[]);
    return all.filter(({ conditions }) => conditions?.ready !== false).map(({ targetRef }) => targetRef?.name ?? '');
  }
}

/** Subsets that a VirtualService's http routes name. */
const subsetsIn = (virtualService: KubeObject): string[] => {
  const { http } = (virtualService['spec'] ?? {}) as { http?: { route?: Destination[] }[] };
  return (http ?? []).flatMap(({ route }) => (route ?? []).flatMap(({ destination }) => destination.subset ?? []));
};

const isReady = (pod: KubeObject): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  ((pod['status'] as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
