import type { KubeObject, Resource } from './types.js';

const resource = <T extends KubeObject = KubeObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced = true,
): Resource<T> => ({ group, version, plural, kind, namespaced });

/** Versions in which Istio has served its routing kinds, newest first. Their fields are the same. */
export const ISTIO_VERSIONS: readonly string[] = ['v1', 'v1beta1', 'v1alpha3'];

/** The built-in and Istio kinds that Sluice reads or writes. Sluice's own are in `api/resources.ts`. */
export const Resources = {
  Namespace: resource('', 'v1', 'namespaces', 'Namespace', false),
  Node: resource('', 'v1', 'nodes', 'Node', false),
  Pod: resource('', 'v1', 'pods', 'Pod'),
  Service: resource('', 'v1', 'services', 'Service'),
  ConfigMap: resource('', 'v1', 'configmaps', 'ConfigMap'),
  Secret: resource('', 'v1', 'secrets', 'Secret'),
  ServiceAccount: resource('', 'v1', 'serviceaccounts', 'ServiceAccount'),
  Event: resource('', 'v1', 'events', 'Event'),
  Deployment: resource('apps', 'v1', 'deployments', 'Deployment'),
  DaemonSet: resource('apps', 'v1', 'daemonsets', 'DaemonSet'),
  ReplicaSet: resource('apps', 'v1', 'replicasets', 'ReplicaSet'),
  ControllerRevision: resource('apps', 'v1', 'controllerrevisions', 'ControllerRevision'),
  EndpointSlice: resource('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  Lease: resource('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  HorizontalPodAutoscaler: resource('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler'),
  Job: resource('batch', 'v1', 'jobs', 'Job'),
  PodDisruptionBudget: resource('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget'),
  ScaledObject: resource('keda.sh', 'v1alpha1', 'scaledobjects', 'ScaledObject'),
  CustomResourceDefinition: resource(
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions',
    'CustomResourceDefinition',
    false,
  ),
  VirtualService: resource('networking.istio.io', 'v1', 'virtualservices', 'VirtualService'),
  DestinationRule: resource('networking.istio.io', 'v1', 'destinationrules', 'DestinationRule'),
  ServiceEntry: resource('networking.istio.io', 'v1', 'serviceentries', 'ServiceEntry'),
} as const;
