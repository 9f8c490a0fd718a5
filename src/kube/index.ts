export {
  createKubeClient,
  createKubeClientFor,
  type KubeClientOptions,
  type KubeVerb,
  type OwnedKubeClient,
  type RequestRecord,
} from './client.js';
export { createEventRecorder, type EventRecorder, type EventRecorderOptions } from './events.js';
export { createInformer, type IndexedInformer, type InformerClock, type InformerOptions } from './informer.js';
export { loadClusterAccess, type ClusterAccess, type KubeconfigOptions } from './kubeconfig.js';
export {
  createLeaderElector,
  NotLeadingError,
  type LeaderCallbacks,
  type LeaderElector,
  type LeaderElectorOptions,
  type LeaseClock,
} from './lease.js';
export { ISTIO_VERSIONS, Resources } from './resources.js';
export { matchesLabels, selectsLabels, type LabelSelector } from './selector.js';
export * from './types.js';
