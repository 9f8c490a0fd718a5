import { z } from 'zod';
import { Annotations, Labels, SluiceResources, type AlertProvider, type Canary, type CanaryAction, type GitSource, type MetricTemplate } from '../api/index.js';
import { createInformer, Resources, type IndexedInformer, type KubeClient, type KubeObject } from '../kube/index.js';
import type { InformerOptions } from '../kube/index.js';
import type { Resource } from '../kube/types.js';

/** Local copies of everything a decision reads. In steady state nothing else reads the API. */
export interface Cache {
  canaries: IndexedInformer<Canary>;
  actions: IndexedInformer<CanaryAction>;
  gitSources: IndexedInformer<GitSource>;
  metricTemplates: IndexedInformer<MetricTemplate>;
  alertProviders: IndexedInformer<AlertProvider>;
  deployments: IndexedInformer<KubeObject>;
  pods: IndexedInformer<KubeObject>;
  services: IndexedInformer<KubeObject>;
  endpointSlices: IndexedInformer<KubeObject>;
  configMaps: IndexedInformer<KubeObject>;
  revisions: IndexedInformer<KubeObject>;
  virtualServices: IndexedInformer<KubeObject>;
  destinationRules: IndexedInformer<KubeObject>;
  start(signal: AbortSignal): void;
  whenSynced(): Promise<void>;
}

/** Names of the secondary indexes. */
export const Index = {
  /** `NAMESPACE/CANARY` of what Sluice made for it. */
  canary: 'canary',
  /** `NAMESPACE/CANARY/SLOT` of pods. */
  slot: 'slot',
  /** `NAMESPACE/SERVICE` of EndpointSlices; first label of the host of DestinationRules. */
  service: 'service',
  /** `NAMESPACE` of Services. */
  namespace: 'namespace',
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
function overlaidBy(object: KubeObject): string[] {
  const text = object.metadata.annotations?.[Annotations.overlay];
  if (text === undefined) return byCanary(object);
  try {
    const names = Object.keys(memo.safeParse(JSON.parse(text)).data?.canaries ?? {});
    return [...byCanary(object), ...names.map((name) => `${object.metadata.namespace ?? ''}/${name}`)];
  } catch {
    return byCanary(object);
  }
}

/** First label of a DestinationRule's host: rules of any namespace may be for a Service. */
function hostOf(object: KubeObject): string[] {
  const host = (object['spec'] as { host?: unknown } | undefined)?.host;
  return typeof host === 'string' ? [host.split('.')[0] ?? host] : [];
}

/** Template text is most of a pod's bytes and nothing here reads it. */
function slimPod(pod: KubeObject): KubeObject {
  return { apiVersion: pod.apiVersion, kind: pod.kind, metadata: pod.metadata, status: pod['status'] };
}

export interface CacheOptions {
  /** Undefined watches all namespaces. */
  namespace?: string;
  onError?: (error: unknown) => void;
}

export function createCache(client: KubeClient, options: CacheOptions = {}): Cache {
  const make = <T extends KubeObject>(resource: Resource<T>, more: InformerOptions<T> = {}): IndexedInformer<T> =>
    createInformer(client, resource, { namespace: options.namespace, onError: options.onError, ...more });
  const cache = {
    canaries: make(SluiceResources.Canary).index(Index.target, (canary) => [`${canary.metadata.namespace}/${canary.spec?.targetRef?.name}`]),
    actions: make(SluiceResources.CanaryAction).index(Index.canary, (action) => [`${action.metadata.namespace}/${action.spec?.canary}`]),
    gitSources: make(SluiceResources.GitSource),
    metricTemplates: make(SluiceResources.MetricTemplate),
    alertProviders: make(SluiceResources.AlertProvider),
    deployments: make<KubeObject>(Resources.Deployment).index(Index.canary, byCanary),
    pods: make<KubeObject>(Resources.Pod, { labelSelector: Labels.canary, transform: slimPod }).index(Index.slot, slotKey),
    services: make<KubeObject>(Resources.Service)
      .index(Index.canary, byCanary)
      .index(Index.namespace, (service) => [service.metadata.namespace ?? '']),
    endpointSlices: make<KubeObject>(Resources.EndpointSlice).index(Index.service, (slice) => labelKey(slice, 'kubernetes.io/service-name')),
    configMaps: make<KubeObject>(Resources.ConfigMap).index(Index.canary, byCanary),
    revisions: make<KubeObject>(Resources.ControllerRevision, { labelSelector: Labels.canary }).index(Index.canary, byCanary),
    virtualServices: make<KubeObject>(Resources.VirtualService, { keepManagedFields: true }).index(Index.canary, overlaidBy),
    destinationRules: make<KubeObject>(Resources.DestinationRule).index(Index.service, hostOf),
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
