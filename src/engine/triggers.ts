import { Annotations, Labels, type Canary } from '../api/index.js';
import { canaryNames, controlNames, hasSubsets, ownVirtualServices } from '../core/names.js';
import { readOverlay } from '../core/overlay.js';
import { configReferences } from '../core/pod-template.js';
import type { Informer, KubeObject } from '../kube/index.js';
import { attachedCanaries } from './attachments.js';
import { isScalingActive } from './autoscaler-state.js';
import { destinationsOf, Index, keyOf, overlaidBy, selectorOf, type Cache } from './cache.js';
import { differs, podLabels, readTemplate } from './facts.js';
import { bereftOf } from './leftovers.js';
import { targetOf } from './workloads.js';

/** Which Canaries care for an object by its name: `Kind/NAMESPACE/NAME` → keys of Canaries. */
class Interests {
  readonly #byObject = new Map<string, Set<string>>();
  readonly #byCanary = new Map<string, string[]>();

  set(key: string, objects: string[]): void {
    for (const old of this.#byCanary.get(key) ?? []) {
      const keys = this.#byObject.get(old);
      keys?.delete(key);
      if (keys?.size === 0) this.#byObject.delete(old);
    }
    for (const object of objects) {
      const keys = this.#byObject.get(object) ?? new Set();
      keys.add(key);
      this.#byObject.set(object, keys);
    }
    if (objects.length > 0) this.#byCanary.set(key, objects);
    else this.#byCanary.delete(key);
  }

  of(object: string): Iterable<string> {
    return this.#byObject.get(object) ?? [];
  }
}

/** Not every kind counts its generations. */
const wishes = (object: KubeObject | undefined): string => JSON.stringify([object?.['spec'], object?.metadata.annotations?.[Annotations.overlay], object?.metadata.uid, object && isScalingActive(object)]);
const isSameSpec = (object: KubeObject | undefined, previous: KubeObject | undefined): boolean =>
  object?.metadata.generation !== undefined && object.metadata.generation === previous?.metadata.generation && object.metadata.uid === previous.metadata.uid;

/** Wakes a Canary whenever anything changed that its decision reads. */
export class Triggers {
  readonly #interests = new Interests();

  constructor(
    private readonly cache: Cache,
    private readonly wake: (key: string) => void,
  ) {}

  /** Begin to listen; returns the function that ends it. */
  start(): () => void {
    const stops = this.#listen();
    return () => stops.forEach((stop) => stop());
  }

  #listen(): (() => void)[] {
    const { cache } = this;
    for (const canary of cache.canaries.list()) this.#interests.set(keyOf(canary), this.#objectsOf(canary));
    const own = cache.canaries.onChange((name, canary, previous) => {
      const key = `${name.namespace ?? ''}/${name.name}`;
      if (!isSameSpec(canary, previous)) this.#interests.set(key, canary ? this.#objectsOf(canary) : []);
      this.wake(key);
      // The next oldest Canary of the same target may take it over.
      if (!canary && previous) for (const other of cache.canaries.byIndex(Index.target, `${name.namespace ?? ''}/${previous.spec?.targetRef?.name}`)) this.wake(keyOf(other));
    });
    const actions = cache.actions.onChange((_, action, previous) => this.#wakeNamed(action ?? previous, (action ?? previous)?.spec.canary));
    const named = (['Deployment', 'DaemonSet', 'ConfigMap', 'VirtualService', 'AlertProvider', 'MetricTemplate'] as const).map((kind) => this.#follow(kind));
    const owned = [
      cache.pods.onChange((_, pod, previous) => differs('Pod', pod, previous) && this.#wakeOwner(pod ?? previous)),
      cache.revisions.onChange((_, revision, previous) => this.#wakeOwner(revision ?? previous)),
    ];
    const slices = cache.endpointSlices.onChange((_, slice, previous) => {
      if (!differs('EndpointSlice', slice, previous)) return;
      const service = (slice ?? previous)?.metadata.labels?.['kubernetes.io/service-name'];
      this.#wakeInterested('Service', (slice ?? previous)?.metadata.namespace, service);
    });
    const services = cache.services.onChange((name, service) => {
      this.#wakeInterested('Service', name.namespace, name.name);
      this.#wakeBereft(service);
      if (service) this.#wakeSelected(service);
    });
    const attached = [cache.budgets, cache.serviceEntries, cache.autoscalers, cache.scaledObjects].map((informer) =>
      informer.onChange((_, object, previous) => {
        if (wishes(object) === wishes(previous)) return;
        for (const one of [object, previous]) if (one) for (const key of attachedCanaries(cache, one)) this.wake(key);
      }),
    );
    const rules = cache.destinationRules.onChange((_, rule, previous) => {
      const host = ((rule ?? previous)?.['spec'] as { host?: unknown } | undefined)?.host;
      if (typeof host === 'string') this.#wakeInterested('Host', undefined, host.split('.')[0]);
    });
    return [own, actions, ...named, ...owned, slices, services, ...attached, rules];
  }

  /** A Secret that is tracked changed. */
  secretChanged(namespace: string, name: string): void {
    this.#wakeInterested('Secret', namespace, name);
  }

  #objectsOf(canary: Canary): string[] {
    const namespace = canary.metadata.namespace ?? '';
    if (!canary.spec?.targetRef || !canary.spec.service) return [];
    const spec = { ...canary.spec, service: { ...canary.spec.service, slots: canary.spec.service.slots ?? { blue: 'blue', green: 'green' } } };
    const { service, slots } = canaryNames(spec);
    const of = (kind: string, name: string | undefined, space = namespace): string[] => (name === undefined ? [] : [`${kind}/${space}/${name}`]);
    const target = targetOf(this.cache, canary);
    const read = target && readTemplate(target);
    const configs = read && 'template' in read ? configReferences(read.template) : [];
    return [
      ...of(spec.targetRef.kind, spec.targetRef.name),
      ...Object.values(slots).flatMap((name) => [...of(spec.targetRef.kind, name), ...of('Service', name), `Host//${name}`]),
      ...Object.values(controlNames(slots)).flatMap((name) => [...of('Service', name), `Host//${name}`]),
      ...of('Service', service),
      `Host//${service}`,
      ...(hasSubsets(spec) ? [`Destination//${service}`] : []),
      ...of('VirtualService', service),
      ...ownVirtualServices(spec).flatMap(({ name }) => of('VirtualService', name)),
      ...configs.flatMap(({ kind, name }) => of(kind, name)),
      ...(spec.analysis?.metrics ?? []).flatMap(({ templateRef }) => of('MetricTemplate', templateRef?.name, templateRef?.namespace)),
      ...(spec.analysis?.alerts ?? []).flatMap(({ providerRef }) => of('AlertProvider', providerRef.name, providerRef.namespace)),
    ];
  }

  #follow(kind: 'Deployment' | 'DaemonSet' | 'ConfigMap' | 'VirtualService' | 'AlertProvider' | 'MetricTemplate'): () => void {
    const { cache } = this;
    const informers = {
      Deployment: cache.deployments,
      DaemonSet: cache.daemonSets,
      ConfigMap: cache.configMaps,
      VirtualService: cache.virtualServices,
      AlertProvider: cache.alertProviders,
      MetricTemplate: cache.metricTemplates,
    };
    const informer = informers[kind] as Informer<KubeObject>;
    return informer.onChange((name, object, previous) => {
      this.#wakeBereft(object);
      const isWorkload = kind === 'Deployment' || kind === 'DaemonSet';
      if (isWorkload && !differs('Workload', object, previous)) return;
      // A target may refer to other configuration from now on.
      if (isWorkload && !isSameSpec(object, previous)) for (const canary of cache.canaries.byIndex(Index.target, `${name.namespace ?? ''}/${name.name}`)) this.#interests.set(keyOf(canary), this.#objectsOf(canary));
      this.#wakeInterested(kind, name.namespace, name.name);
      // A fault lies on objects that no field of the Canary names.
      if (kind === 'VirtualService') for (const key of new Set([object, previous].flatMap((one) => (one ? overlaidBy(one) : [])))) this.wake(key);
      // With subsets, any route to the Service matters.
      if (kind === 'VirtualService') for (const host of new Set([object, previous].flatMap((one) => (one ? destinationsOf(one) : [])))) this.#wakeInterested('Destination', undefined, host);
    });
  }

  #wakeInterested(kind: string, namespace: string | undefined, name: string | undefined): void {
    for (const key of this.#interests.of(`${kind}/${namespace ?? ''}/${name}`)) this.wake(key);
  }

  #wakeNamed(object: KubeObject | undefined, name: string | undefined): void {
    if (object && name) this.wake(`${object.metadata.namespace ?? ''}/${name}`);
  }

  #wakeOwner(object: KubeObject | undefined): void {
    this.#wakeNamed(object, object?.metadata.labels?.[Labels.canary]);
  }

  /** Something came that was made for a Canary which is gone. */
  #wakeBereft(object: KubeObject | undefined): void {
    const key = bereftOf(this.cache, object);
    if (key !== undefined) this.wake(key);
  }

  /** A Service that begins to select a target's pods must get the selector overlay before a slot is filled (trap K2). */
  #wakeSelected(service: KubeObject): void {
    if (service.metadata.labels?.[Labels.slot]) return;
    const overlay = readOverlay(service);
    if (overlay) return this.wake(`${service.metadata.namespace ?? ''}/${overlay.canary}`);
    const selector = Object.entries(selectorOf(service) ?? {});
    if (selector.length === 0) return;
    for (const canary of this.cache.canaries.list(service.metadata.namespace)) {
      if (!canary.status?.adoptedAt) continue;
      const labels = podLabels(targetOf(this.cache, canary));
      if (selector.every(([label, value]) => labels?.[label] === value)) this.wake(keyOf(canary));
    }
  }
}
