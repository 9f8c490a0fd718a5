import type { Informer, KubeObject, Resource } from '../../kube/types.js';
import { Resources } from '../../kube/resources.js';
import { Kinds } from './types.js';
import type { ConfigMap, DaemonSet, Deployment, EndpointSlice, Pod, ReplicaSet, Secret, Service } from './types.js';

/** What the controllers watch. */
export interface ControllerInformers {
  deployments: Informer<Deployment>;
  replicaSets: Informer<ReplicaSet>;
  daemonSets: Informer<DaemonSet>;
  nodes: Informer<KubeObject>;
  pods: Informer<Pod>;
  services: Informer<Service>;
  endpointSlices: Informer<EndpointSlice>;
}

/** What a node watches. Hollow nodes need only the pods. */
export interface NodeInformers {
  pods: Informer<Pod>;
  configMaps?: Informer<ConfigMap>;
  secrets?: Informer<Secret>;
}

export type ClusterInformers = ControllerInformers & Required<NodeInformers>;

/** Makes every informer that the controllers and a node need. The caller starts them. */
export function clusterInformers(make: <T extends KubeObject>(resource: Resource<T>) => Informer<T>): ClusterInformers {
  return {
    deployments: make(Kinds.Deployment),
    replicaSets: make(Kinds.ReplicaSet),
    daemonSets: make(Kinds.DaemonSet),
    nodes: make(Resources.Node),
    pods: make(Kinds.Pod),
    services: make(Kinds.Service),
    endpointSlices: make(Kinds.EndpointSlice),
    configMaps: make(Kinds.ConfigMap),
    secrets: make(Kinds.Secret),
  };
}
