import { clone, isObject, type Json } from '../json.js';
import { builtinName } from './builtin.js';
import { canonicalQuantity } from './quantity.js';
import { memberSchema, type Schema } from './types.js';

/**
 * Members of built-in types that are always there, with what stands for nothing: parts that Go holds by value (`{}`), and scalars and
 * lists that are written even when empty. (Kubernetes 1.35, the fields without `omitempty` and the structs.)
 */
const ALWAYS: Record<string, Json> = {
  CoreV1Event: {
    involvedObject: {},
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: null,
    reportingComponent: '',
    reportingInstance: '',
  },
  EventsV1Event: {
    eventTime: null,
    regarding: {},
    deprecatedSource: {},
    deprecatedFirstTimestamp: null,
    deprecatedLastTimestamp: null,
  },
  V1ClusterRole: { rules: null },
  V1ClusterRoleBinding: { roleRef: {} },
  V1Container: { resources: {} },
  V1ContainerStatus: { state: {}, lastState: {}, ready: false, restartCount: 0 },
  V1ControllerRevision: { revision: 0 },
  V1CustomResourceDefinition: { spec: {}, status: {} },
  V1CustomResourceDefinitionSpec: { group: '', names: {}, scope: '', versions: null },
  V1CustomResourceDefinitionStatus: { conditions: null, acceptedNames: {}, storedVersions: null },
  V1CustomResourceDefinitionNames: { plural: '', kind: '' },
  V1DaemonSet: { spec: {}, status: {} },
  V1DaemonSetSpec: { selector: null, template: {}, updateStrategy: {} },
  V1DaemonSetStatus: { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 },
  V1Deployment: { spec: {}, status: {} },
  V1DeploymentSpec: { selector: null, template: {}, strategy: {} },
  V1Endpoint: { conditions: {} },
  V1EndpointSlice: { addressType: '', endpoints: null, ports: null },
  V1Lease: { spec: {} },
  V1Namespace: { spec: {}, status: {} },
  V1Node: { spec: {}, status: {} },
  V1PersistentVolumeClaim: { spec: {}, status: {} },
  V1PersistentVolumeClaimSpec: { resources: {} },
  V1Pod: { spec: {}, status: {} },
  V1PodDisruptionBudget: { spec: {}, status: {} },
  V1PodDisruptionBudgetStatus: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
  V1PodCondition: { lastProbeTime: null, lastTransitionTime: null },
  V1DeploymentCondition: { lastUpdateTime: null, lastTransitionTime: null },
  V1ReplicaSetCondition: { lastTransitionTime: null },
  V1StatefulSetCondition: { lastTransitionTime: null },
  V1DaemonSetCondition: { lastTransitionTime: null },
  V1NodeCondition: { lastHeartbeatTime: null, lastTransitionTime: null },
  V1NamespaceCondition: { lastTransitionTime: null },
  V2HorizontalPodAutoscalerCondition: { lastTransitionTime: null },
  V1PodSpec: { containers: null },
  V1PodTemplateSpec: { metadata: {}, spec: {} },
  V1ReplicaSet: { spec: {}, status: {} },
  V1ReplicaSetSpec: { selector: null, template: {} },
  V1ReplicaSetStatus: { replicas: 0 },
  V1Role: { rules: null },
  V1RoleBinding: { roleRef: {} },
  V1RoleRef: { kind: '', name: '' },
  V1Service: { spec: {}, status: {} },
  V1ServicePort: { port: 0, targetPort: 0 },
  V1ServiceStatus: { loadBalancer: {} },
  V1StatefulSet: { spec: {}, status: {} },
  V1StatefulSetSpec: { selector: null, template: {}, serviceName: '', updateStrategy: {} },
  V1StatefulSetStatus: { replicas: 0, availableReplicas: 0 },
  V2CrossVersionObjectReference: { kind: '', name: '' },
  V2HorizontalPodAutoscaler: { spec: {}, status: {} },
  V2HorizontalPodAutoscalerSpec: { scaleTargetRef: {}, maxReplicas: 0 },
  V2HorizontalPodAutoscalerStatus: { currentMetrics: null, desiredReplicas: 0 },
};

/** Members whose absence the kind's validation tells apart from nothing. */
const LEFT_OUT: Record<string, ReadonlySet<string>> = {
  V1ServicePort: new Set(['port', 'targetPort']),
  V1CustomResourceDefinitionSpec: new Set(['group', 'scope', 'versions', 'names']),
  V1CustomResourceDefinitionNames: new Set(['plural', 'kind']),
  V1CustomResourceDefinition: new Set(['status']),
  V2HorizontalPodAutoscalerSpec: new Set(['maxReplicas']),
  V1EndpointSlice: new Set(['addressType']),
  V2CrossVersionObjectReference: new Set(['kind', 'name']),
};

/**
 * Gives a built-in object the form that it has after a server read it: empty maps and lists are gone, the parts that are always there
 * are there. Mutates `value`.
 */
export function settle(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) settle(item, schema.items);
    return;
  }
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    const member = memberSchema(schema, key);
    if (member === undefined) continue;
    const current = value[key];
    if (isEmptyCollection(current, member)) delete value[key];
    else if (member.format === 'quantity' && (typeof current === 'string' || typeof current === 'number'))
      value[key] = canonicalQuantity(current);
    else settle(value[key], member);
  }
  const name = builtinName(schema) ?? '';
  for (const [key, nothing] of Object.entries(ALWAYS[name] ?? {})) {
    if (value[key] !== undefined || LEFT_OUT[name]?.has(key) === true) continue;
    value[key] = clone(nothing);
    const member = memberSchema(schema, key);
    if (member !== undefined) settle(value[key], member);
  }
}

/** An object of the kind before anybody has said anything: what the fields of a new object are compared with. */
export function emptyObject(schema: Schema): Json {
  const name = builtinName(schema) ?? '';
  const result: Json = {};
  for (const [key, nothing] of Object.entries(ALWAYS[name] ?? {})) {
    const member = memberSchema(schema, key);
    result[key] = isObject(nothing) && member !== undefined ? emptyObject(member) : nothing;
  }
  return result;
}

function isEmptyCollection(value: unknown, schema: Schema): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && schema.additionalProperties !== undefined && Object.keys(value).length === 0;
}
