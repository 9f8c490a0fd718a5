import type { Declared } from './manifests.js';

/** What must be there before what follows it. Kinds that are not named come before Canaries and after everything else. */
const STAGES: string[][] = [
  ['Namespace'],
  ['CustomResourceDefinition'],
  [
    'ServiceAccount',
    'Role',
    'ClusterRole',
    'RoleBinding',
    'ClusterRoleBinding',
    'ConfigMap',
    'Secret',
    'Service',
    'ResourceQuota',
    'LimitRange',
    'PriorityClass',
    'StorageClass',
    'PersistentVolume',
    'PersistentVolumeClaim',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'IngressClass',
    'RuntimeClass',
  ],
  ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job', 'CronJob', 'Pod'],
];
const LAST = 'Canary';

/** 0 is first. */
export function stageOf(kind: string): number {
  if (kind === LAST) return STAGES.length + 1;
  const stage = STAGES.findIndex((kinds) => kinds.includes(kind));
  return stage < 0 ? STAGES.length : stage;
}

/** Groups that are applied one after the other; in a group the order does not matter. */
export function inStages(objects: Declared[]): Declared[][] {
  const stages: Declared[][] = [];
  for (const object of objects) (stages[stageOf(object.manifest.kind)] ??= []).push(object);
  return stages.filter(Boolean);
}
