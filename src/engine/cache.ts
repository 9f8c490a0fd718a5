import { z } from 'zod';
import { Annotations, Labels, SluiceResources, type AlertProvider, type Canary, type CanaryAction, type GitSource, type MetricTemplate } from '../api/index.js';
import { readOverlay } from '../core/overlay.js';
import { perObject } from '../core/per-object.js';
import { createInformer, ISTIO_VERSIONS, Resources, type IndexedInformer, type KubeClient, type KubeObject } from '../kube/index.js';
import type { InformerClock, InformerOptions } from '../kube/index.js';
import type { Resource } from '../kube/types.js';
import { overlaidKey, selectedKey } from './keys.js';
import { slimAutoscaler } from './autoscaler-state.js';
import { budgetKeys, entryKeys, scaledCanary, scaledDeployment, selectingKeys } from './selecting.js';

export { overlaidKey, selectedKey };

/** Local copies of everything a decision reads. In steady state nothing else reads the API. */
export interface Cache {
  canaries: IndexedInformer<Canary>;
  actions: IndexedInformer<CanaryAction>;
  gitSources: IndexedInformer<GitSource>;
  metricTemplates: IndexedInformer<MetricTemplate>;
  alertProviders: IndexedInformer<AlertProvider>;
  deployments: IndexedInformer<KubeObject>;
  daemonSets: IndexedInformer<KubeObject>;
  pods: IndexedInformer<KubeObject>;
  services: IndexedInformer<KubeObject>;
  endpointSlices: IndexedInformer<KubeObject>;
  configMaps: IndexedInformer<KubeObject>;
  revisions: IndexedInformer<KubeObject>;
  virtualServices: IndexedInformer<KubeObject>;
  destinationRules: IndexedInformer<KubeObject>;
  /** Empty where the mesh does not have them. */
  serviceEntries: IndexedInformer<KubeObject>;
  budgets: IndexedInformer<KubeObject>;
  autoscalers: IndexedInformer<KubeObject>;
  /** KEDA's; empty where KEDA is not installed. */
  scaledObjects: IndexedInformer<KubeObject>;
  start(signal: AbortSignal): void;
  whenSynced(): Promise<void>;
}

/** Names of the secondary indexes. */
export const Index = {
  /** `NAMESPACE/CANARY` of what Sluice made for it, and of autoscalers that name it. */
  canary: 'canary',
  /** `NAMESPACE/CANARY/SLOT` of pods. */
  slot: 'slot',
  /** `NAMESPACE/SERVICE` of EndpointSlices; first label of the host of DestinationRules; `NAMESPACE/LABEL` of each host of VirtualServices. */
  service: 'service',
  /** First label of the host of each destination of VirtualServices, whatever their namespace. */
  destination: 'destination',
  /** What may make a Service one that callers of a Canary use; see {@link callerKeys}. */
  callers: 'callers',
  /** `NAMESPACE/DEPLOYMENT` of Canaries. */
  target: 'target',
} as const;

export const keyOf = (object: KubeObject): string => `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
const labelKey = (object: KubeObject, label: string): string[] => {
  const value = object.metadata.labels?.[label];
  return value === undefined ? [] : [`${object.metadata.namespace ?? ''}/${value}`];
};

const byCanary = (object: KubeObject): string[] => labelKey(object, Labels.canary);

function slotKey(object: KubeObject): string[] {
  const slot = object.metadata.labels?.[Labels.slot];
  return slot === undefined ? [] : byCanary(object).map((key) => `${key}/${slot}`);
}

const memo = z.object({ canaries: z.record(z.string(), z.unknown()) });

/** Canaries that a VirtualService carries weights for: by label when it is generated, by overlay when it is the user's. */
export function overlaidBy(object: KubeObject): string[] {
  const text = object.metadata.annotations?.[Annotations.overlay];
  if (text === undefined) return byCanary(object);
  try {
    const names = Object.keys(memo.safeParse(JSON.parse(text)).data?.canaries ?? {});
    return [...byCanary(object), ...names.map((name) => `${object.metadata.namespace ?? ''}/${name}`)];
  } catch {
    return byCanary(object);
  }
}

/** One key per Service; one that is ours by its selector is found by that. */
function callerKeys(service: KubeObject): string[] {
  const selector = selectorOf(service) ?? {};
  const canary = selector[Labels.canary];
  return selectingKeys(service, canary === undefined ? selector : { [Labels.canary]: canary });
}

const selecting = z.object({ spec: z.object({ selector: z.record(z.string(), z.string()).nullish() }).optional() });
/** What a Service selects; undefined when it selects nothing, or says so in no way that can be read. */
export const selectorOf = perObject((service: KubeObject): Record<string, string> | undefined => selecting.safeParse(service).data?.spec?.selector ?? undefined);

/** First label of every host of a VirtualService, in its namespace. */
function hostsOf(object: KubeObject): string[] {
  const hosts = (object['spec'] as { hosts?: unknown } | undefined)?.hosts;
  const names = Array.isArray(hosts) ? hosts.filter((host): host is string => typeof host === 'string') : [];
  return [...new Set(names.map((host) => `${object.metadata.namespace ?? ''}/${firstLabel(host)}`))];
}
/** First label of every host that a VirtualService sends requests, or copies of them, to. */
export function destinationsOf(object: KubeObject): string[] {
  const { http, tls, tcp } = (object['spec'] ?? {}) as Record<string, unknown>;
  const elements = [http, tls, tcp].flatMap((list) => (Array.isArray(list) ? (list as unknown[]) : [])) as ({ route?: unknown; mirrors?: unknown; mirror?: unknown } | null)[];
  const items = elements.flatMap((element) => [element?.route, element?.mirrors, [{ destination: element?.mirror }]].flatMap((list) => (Array.isArray(list) ? (list as unknown[]) : [])));
  const hosts = (items as ({ destination?: { host?: unknown } | null } | null)[]).flatMap((item) => (typeof item?.destination?.host === 'string' ? [firstLabel(item.destination.host)] : []));
  return [...new Set(hosts)];
}
export const firstLabel = (host: string): string => host.split('.')[0] ?? host;

/** First label of a DestinationRule's host: rules of any namespace may be for a Service. */
function hostOf(object: KubeObject): string[] {
  const host = (object['spec'] as { host?: unknown } | undefined)?.host;
  return typeof host === 'string' ? [host.split('.')[0] ?? host] : [];
}

/** `NAMESPACE//CANARY` whose overlay lies on an object. */
function overlayKeys(object: KubeObject): string[] {
  const overlay = readOverlay(object);
  return overlay ? [overlaidKey(object.metadata.namespace ?? '', overlay.canary)] : [];
}

/** Changes with every pod, and nothing here reads it. */
function withoutStatus({ status: _, ...object }: KubeObject): KubeObject {
  return object as KubeObject;
}

/** Who wrote what matters only where an overlay may be written over; elsewhere it would be most of an object's bytes. */
function slimManagers(object: KubeObject): KubeObject {
  if (object.metadata.managedFields === undefined || object.metadata.annotations?.[Annotations.overlay] !== undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
const OVERLAID = { keepManagedFields: true, transform: slimManagers };

/** Template text is most of a pod's bytes and nothing here reads it. */
function slimPod(pod: KubeObject): KubeObject {
  return { apiVersion: pod.apiVersion, kind: pod.kind, metadata: pod.metadata, status: pod['status'] };
}

const scaling = (informer: IndexedInformer<KubeObject>): IndexedInformer<KubeObject> =>
  informer.index(Index.target, scaledDeployment).index(Index.canary, scaledCanary).index(Index.callers, overlayKeys);

export interface CacheOptions {
  /** Undefined watches all namespaces. */
  namespace?: string;
  onError?: (error: unknown) => void;
  /** Time and chance of the informers; default is the system's. */
  clock?: InformerClock;
  random?: () => number;
}

export function createCache(client: KubeClient, options: CacheOptions = {}): Cache {
  const make = <T extends KubeObject>(resource: Resource<T>, more: InformerOptions<T> = {}): IndexedInformer<T> =>
    createInformer(client, resource, { ...options, ...more });
  const cache = {
    canaries: make(SluiceResources.Canary).index(Index.target, (canary) => [`${canary.metadata.namespace}/${canary.spec?.targetRef?.name}`]),
    actions: make(SluiceResources.CanaryAction).index(Index.canary, (action) => [`${action.metadata.namespace}/${action.spec?.canary}`]),
    gitSources: make(SluiceResources.GitSource),
    metricTemplates: make(SluiceResources.MetricTemplate),
    alertProviders: make(SluiceResources.AlertProvider),
    deployments: make<KubeObject>(Resources.Deployment, OVERLAID).index(Index.canary, byCanary),
    daemonSets: make<KubeObject>(Resources.DaemonSet, OVERLAID).index(Index.canary, byCanary),
    pods: make<KubeObject>(Resources.Pod, { labelSelector: Labels.canary, transform: slimPod }).index(Index.slot, slotKey),
    services: make<KubeObject>(Resources.Service, OVERLAID)
      .index(Index.canary, byCanary)
      .index(Index.callers, callerKeys),
    endpointSlices: make<KubeObject>(Resources.EndpointSlice).index(Index.service, (slice) => labelKey(slice, 'kubernetes.io/service-name')),
    configMaps: make<KubeObject>(Resources.ConfigMap).index(Index.canary, byCanary),
    // Not those that Kubernetes keeps of a DaemonSet.
    revisions: make<KubeObject>(Resources.ControllerRevision, { labelSelector: `${Labels.canary},!controller-revision-hash` }).index(Index.canary, byCanary),
    virtualServices: make<KubeObject>(Resources.VirtualService, { keepManagedFields: true, versions: ISTIO_VERSIONS }).index(Index.canary, overlaidBy).index(Index.service, hostsOf).index(Index.destination, destinationsOf),
    destinationRules: make<KubeObject>(Resources.DestinationRule, { ...OVERLAID, versions: ISTIO_VERSIONS }).index(Index.service, hostOf),
    serviceEntries: make<KubeObject>(Resources.ServiceEntry, { ...OVERLAID, optional: true, versions: ISTIO_VERSIONS, transform: (object) => slimManagers(withoutStatus(object)) }).index(Index.callers, entryKeys),
    budgets: make<KubeObject>(Resources.PodDisruptionBudget, { ...OVERLAID, transform: (object) => slimManagers(withoutStatus(object)) }).index(Index.canary, byCanary).index(Index.callers, budgetKeys),
    autoscalers: scaling(make<KubeObject>(Resources.HorizontalPodAutoscaler, { ...OVERLAID, transform: (object) => slimManagers(slimAutoscaler(object)) })),
    scaledObjects: scaling(make<KubeObject>(Resources.ScaledObject, { ...OVERLAID, optional: true, transform: (object) => slimManagers(withoutStatus(object)) })),
  };
  const all = Object.values(cache) as IndexedInformer<KubeObject>[];
  return {
    ...cache,
    start: (signal) => all.forEach((informer) => informer.start(signal)),
    whenSynced: async () => {
      await Promise.all(all.map((informer) => informer.whenSynced()));
    },
  };
}
