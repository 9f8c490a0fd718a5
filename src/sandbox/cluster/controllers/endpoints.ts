import { isReady, isTerminal, isTerminating } from '../pods.js';
import type { Endpoint, EndpointPort, Pod, Service } from '../types.js';

export const SERVICE_NAME = 'kubernetes.io/service-name';
export const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
export const MANAGER = 'endpointslice-controller.k8s.io';
const HEADLESS = 'service.kubernetes.io/headless';
/** A slice holds at most so many endpoints (`--max-endpoints-per-slice`). */
const MAX_ENDPOINTS = 100;

export interface SliceContent {
  endpoints: Endpoint[];
  ports: EndpointPort[];
}

/** A slice carries the Service's own labels beside those that say whose it is. */
export function sliceLabels(service: Service): Record<string, string> {
  const headless: Record<string, string> = service.spec.clusterIP === 'None' ? { [HEADLESS]: '' } : {};
  return { ...service.metadata.labels, ...headless, [SERVICE_NAME]: service.metadata.name, [MANAGED_BY]: MANAGER };
}

/** What the Service's slices must hold: one per set of resolved ports, since pods may resolve a named port differently. */
export function desiredSlices(service: Service, pods: Pod[]): SliceContent[] {
  const groups = new Map<string, SliceContent>();
  for (const pod of [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    if (isTerminal(pod) || !pod.status?.podIP) continue;
    const ports = resolvePorts(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpointOf(service, pod, pod.status.podIP));
    groups.set(key, group);
  }
  // Without endpoints one empty slice says that somebody looked.
  if (groups.size === 0) return [{ endpoints: [], ports: [] }];
  return [...groups.values()].flatMap(split);
}

function split({ ports, endpoints }: SliceContent): SliceContent[] {
  const slices: SliceContent[] = [];
  for (let from = 0; from < endpoints.length; from += MAX_ENDPOINTS) {
    slices.push({ ports, endpoints: endpoints.slice(from, from + MAX_ENDPOINTS) });
  }
  return slices;
}

function endpointOf(service: Service, pod: Pod, ip: string): Endpoint {
  const serving = isReady(pod);
  const terminating = isTerminating(pod);
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const { name, namespace, uid } = pod.metadata;
  const endpoint: Endpoint = {
    addresses: [ip],
    conditions: { ready, serving, terminating },
    nodeName: pod.spec.nodeName,
    targetRef: { kind: 'Pod', name, namespace, uid },
  };
  if (pod.spec.hostname && pod.spec.subdomain === service.metadata.name) endpoint.hostname = pod.spec.hostname;
  return endpoint;
}

/** The Service's ports as this pod answers them. A named port that the pod lacks is left out. */
function resolvePorts(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const protocol = port.protocol ?? 'TCP';
    const target = port.targetPort ?? port.port;
    const number = typeof target === 'number' ? target : namedPort(pod, target, protocol);
    if (number === undefined) return [];
    return [{ name: port.name ?? '', port: number, protocol, ...(port.appProtocol ? { appProtocol: port.appProtocol } : {}) }];
  });
}

function namedPort(pod: Pod, name: string, protocol: string): number | undefined {
  return pod.spec.containers
    .flatMap((container) => container.ports ?? [])
    .find((port) => port.name === name && (port.protocol ?? 'TCP') === protocol)?.containerPort;
}
