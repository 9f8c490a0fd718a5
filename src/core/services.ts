import { Labels, type CanarySpec, type SlotName } from '../api/index.js';
import type { KubeObject } from '../kube/types.js';
import { canaryNames, controlNames } from './names.js';
import { slotLabels, type Identity } from './workload.js';

/** What Istio reads of a Service beside its spec: who sees it, and the waypoint that it goes through (trap I2). */
const COPIED_ANNOTATIONS = ['networking.istio.io/exportTo', 'networking.istio.io/traffic-distribution'];
const COPIED_LABELS = ['istio.io/use-waypoint', 'istio.io/use-waypoint-namespace', 'istio.io/ingress-use-waypoint'];

/** True for a Service whose requests go through a waypoint: it divides and counts them, as neither callers nor pods have a proxy. */
export const hasWaypoint = (service: KubeObject | undefined): boolean => (service?.metadata.labels?.['istio.io/use-waypoint'] ?? 'none') !== 'none';

interface Port {
  name?: string;
  port?: number;
  protocol?: string;
  targetPort?: unknown;
  appProtocol?: string;
}
interface Spec {
  ports?: (Port & { nodePort?: number })[];
  trafficDistribution?: string;
}
const specOf = (service: KubeObject): Spec => (service['spec'] ?? {}) as Spec;
const some = (from: Record<string, string> | undefined, keys: string[]): Record<string, string> => Object.fromEntries(keys.flatMap((key) => (from?.[key] === undefined ? [] : [[key, from[key]]])));

function servicePorts(spec: CanarySpec): Port[] {
  const { port, portName, targetPort, appProtocol } = spec.service;
  return [{ name: portName, port, protocol: 'TCP', targetPort: targetPort ?? port, ...(appProtocol ? { appProtocol } : {}) }];
}

/** Ports of the user's Service without what the server allocates. */
const portsLike = (service: KubeObject): Port[] | undefined => specOf(service).ports?.map(({ nodePort: _, ...port }) => port);

/**
 * The Service of a slot: the ports of the Service that callers use and what else says how it is reached, and a selector that never
 * changes. Never headless, and without pods that are not ready.
 */
export function slotService(identity: Identity, slot: SlotName, like: KubeObject | undefined): KubeObject {
  const { trafficDistribution } = like ? specOf(like) : {};
  const annotations = some(like?.metadata.annotations, COPIED_ANNOTATIONS);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: canaryNames(identity.spec).slots[slot],
      namespace: identity.namespace,
      labels: { ...some(like?.metadata.labels, COPIED_LABELS), ...slotLabels(identity, slot) },
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    spec: { type: 'ClusterIP', ports: (like && portsLike(like)) ?? servicePorts(identity.spec), selector: slotLabels(identity, slot), ...(trafficDistribution ? { trafficDistribution } : {}) },
  };
}

/** A second Service of the same pods: by its name the requests of a control arm are told from all others of the stable version. */
export function controlService(identity: Identity, slot: SlotName, like: KubeObject | undefined): KubeObject {
  const service = slotService(identity, slot, like);
  return { ...service, metadata: { ...service.metadata, name: controlNames(canaryNames(identity.spec).slots)[slot] } };
}

/** What makes two Services of a slot the same, the server's defaults filled in. */
function aspects(service: KubeObject): string {
  const { ports = [], trafficDistribution } = specOf(service);
  const { labels, annotations } = service.metadata;
  return JSON.stringify([
    ports.map((port) => [port.name, port.port, port.protocol ?? 'TCP', port.targetPort ?? port.port, port.appProtocol]),
    trafficDistribution,
    some(labels, COPIED_LABELS),
    some(annotations, COPIED_ANNOTATIONS),
  ]);
}

/** The merge patch that makes a slot's Service like the one that is wanted; undefined when it is. */
export function slotServicePatch(live: KubeObject, wanted: KubeObject): Record<string, unknown> | undefined {
  if (aspects(live) === aspects(wanted)) return undefined;
  const all = (keys: string[], from: Record<string, string> | undefined): Record<string, string | null> => Object.fromEntries(keys.map((key) => [key, from?.[key] ?? null]));
  const { ports, trafficDistribution } = specOf(wanted);
  const metadata = { labels: all(COPIED_LABELS, wanted.metadata.labels), annotations: all(COPIED_ANNOTATIONS, wanted.metadata.annotations) };
  return { metadata, spec: { ports, trafficDistribution: trafficDistribution ?? null } };
}

/** The Service that callers use, where the user has none. */
export function callerService(identity: Identity, selector: Record<string, string>): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: canaryNames(identity.spec).service, namespace: identity.namespace, labels: { [Labels.canary]: identity.name } },
    spec: { type: 'ClusterIP', ports: servicePorts(identity.spec), selector },
  };
}
