import { isIP } from 'node:net';
import { z } from 'zod';
import { PORTS_ANNOTATION } from '../cluster/annotations.js';
import type { DestinationRule, EndpointSlice, Pod, Service } from './schema.js';
import type { Cluster, Clusters, Endpoint, LoadBalancer, Problem } from './types.js';
import { describeWorkload } from './workload.js';

export const DOMAIN = 'svc.cluster.local';
export const fqdn = (name: string, namespace: string): string => `${name}.${namespace}.${DOMAIN}`;

/** Istio's own expansion: only names without a dot are completed. `reviews.default` stays what it is, and matches no Service. */
export const expandHost = (host: string, namespace: string): string =>
  host.includes('.') || host === '*' ? host : fqdn(host, namespace);

export const clusterName = (port: number, subset: string, host: string): string => `outbound|${port}|${subset}|${host}`;

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

/** Whether `pattern` (`a.b`, `*.b` or `*`) covers `host`. */
export const hostCovers = (pattern: string, host: string): boolean =>
  pattern === host || pattern === '*' || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)));

/** `exportTo` with `.` spelled out. Without it everybody sees the object. */
export const visibility = (exportTo: string[] | undefined, namespace: string): string[] =>
  exportTo === undefined || exportTo.length === 0 ? ['*'] : exportTo.map((entry) => (entry === '.' ? namespace : entry));

export const visibleIn = (exportTo: string[], namespace: string): boolean =>
  exportTo.includes('*') || exportTo.includes(namespace);

export const isHttpPort = (port: Service['spec']['ports'][number]): boolean => {
  if (port.protocol !== undefined && port.protocol !== 'TCP') return false;
  const declared = port.appProtocol ?? port.name?.split('-')[0] ?? '';
  return !['tcp', 'mysql', 'mongo', 'redis', 'tls', 'https', 'udp'].includes(declared.toLowerCase());
};

/** Deployment pods name their workload through the ReplicaSet; Istio cuts the template hash off. */
const workloadOf = (pod: Pod): string => {
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true);
  if (owner === undefined) return pod.metadata.name;
  const hash = pod.metadata.labels['pod-template-hash'];
  if (owner.kind !== 'ReplicaSet') return owner.name;
  return hash !== undefined && owner.name.endsWith(`-${hash}`)
    ? owner.name.slice(0, -hash.length - 1)
    : owner.name.replace(/-[a-z0-9]{6,10}$/, '');
};

const realAddress = /^127\.0\.0\.1:[0-9]{1,5}$/;
const portsSchema = z.record(z.string(), z.string().regex(realAddress));

const parsePorts = (pod: Pod, problems: Problem[]): Record<string, string> => {
  const text = pod.metadata.annotations[PORTS_ANNOTATION];
  if (text === undefined) return {};
  try {
    return portsSchema.parse(JSON.parse(text));
  } catch {
    problems.push({
      object: `Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
      field: `metadata.annotations[${PORTS_ANNOTATION}]`,
      message: 'expected a JSON object from container port to "127.0.0.1:PORT"; the pod gets no traffic until it is',
    });
    return {};
  }
};

interface KnownPod {
  pod: Pod;
  ports: Record<string, string>;
  template: Pick<Endpoint, 'pod' | 'workload'>;
}

/** Pods by `namespace/name` and by IP, with what an endpoint needs from them. */
const indexPods = (pods: readonly Pod[], problems: Problem[]): Map<string, KnownPod> => {
  const index = new Map<string, KnownPod>();
  for (const pod of pods) {
    const { namespace, name, labels } = pod.metadata;
    const known: KnownPod = {
      pod,
      ports: parsePorts(pod, problems),
      template: { pod: name, workload: describeWorkload(workloadOf(pod), namespace, labels) },
    };
    index.set(`${namespace}/${name}`, known);
    if (pod.status?.podIP) index.set(pod.status.podIP, known);
  }
  return index;
};

interface LabelledEndpoint {
  endpoint: Endpoint;
  labels: Record<string, string>;
}

/** Ready endpoints of every Service, by `namespace/service` and port name. */
const indexEndpoints = (
  slices: readonly EndpointSlice[],
  pods: Map<string, KnownPod>,
  problems: Problem[],
): Map<string, LabelledEndpoint[]> => {
  const index = new Map<string, LabelledEndpoint[]>();
  for (const slice of slices) {
    const service = slice.metadata.labels['kubernetes.io/service-name'];
    if (service === undefined) continue;
    for (const port of slice.ports) {
      if (typeof port.port !== 'number') continue;
      const key = `${slice.metadata.namespace}/${service}/${port.name ?? ''}`;
      const known = index.get(key) ?? [];
      index.set(key, known);
      for (const entry of slice.endpoints) {
        const found = toEndpoint(slice, entry, port.port, pods, problems);
        if (found !== undefined && !known.some(({ endpoint }) => endpoint.address === found.endpoint.address)) known.push(found);
      }
    }
  }
  for (const known of index.values())
    known.sort((a, b) => a.endpoint.pod.localeCompare(b.endpoint.pod) || a.endpoint.address.localeCompare(b.endpoint.address));
  return index;
};

const toEndpoint = (
  slice: EndpointSlice,
  entry: EndpointSlice['endpoints'][number],
  port: number,
  pods: Map<string, KnownPod>,
  problems: Problem[],
): LabelledEndpoint | undefined => {
  // An unset `ready` means ready: the API says so for clients that cannot tell.
  if (entry.conditions?.ready === false) return undefined;
  const ip = entry.addresses[0] ?? '';
  const target =
    entry.targetRef?.name === undefined ? ip : `${entry.targetRef.namespace ?? slice.metadata.namespace}/${entry.targetRef.name}`;
  const known = pods.get(target);
  const address = known?.ports[String(port)] ?? (ip === '127.0.0.1' ? `${ip}:${port}` : undefined);
  const podAddress = `${isIP(ip) === 6 ? `[${ip}]` : ip}:${port}`;
  if (address === undefined) {
    problems.push({
      object: `EndpointSlice ${slice.metadata.namespace}/${slice.metadata.name}`,
      field: 'endpoints',
      message: known
        ? `Pod ${target} has no loopback address for port ${port} in ${PORTS_ANNOTATION}; it gets no traffic until its process listens there`
        : `Pod ${target} is not known (yet), so ${podAddress} gets no traffic`,
    });
    return undefined;
  }
  const template = known?.template ?? {
    pod: entry.targetRef?.name ?? ip,
    workload: describeWorkload(entry.targetRef?.name ?? 'unknown', slice.metadata.namespace, {}),
  };
  return { endpoint: { address, podAddress, ...template }, labels: known?.pod.metadata.labels ?? {} };
};

/** What DestinationRules of one namespace say of one host, merged in the order of their age. */
interface EffectiveRule {
  subsets: Map<string, Record<string, string>>;
  loadBalancer: LoadBalancer;
  connectTimeoutMs: number;
}

const toLoadBalancer = (simple: string | undefined): LoadBalancer =>
  simple === 'RANDOM' ? 'RANDOM' : simple === 'LEAST_REQUEST' || simple === 'LEAST_CONN' ? 'LEAST_REQUEST' : 'ROUND_ROBIN';

const mergeRules = (rules: readonly DestinationRule[]): EffectiveRule => {
  const subsets = new Map<string, Record<string, string>>();
  for (const rule of rules) {
    for (const subset of rule.spec.subsets ?? []) if (!subsets.has(subset.name)) subsets.set(subset.name, subset.labels ?? {});
  }
  const policy = rules.find((rule) => rule.spec.trafficPolicy !== undefined)?.spec.trafficPolicy;
  return {
    subsets,
    loadBalancer: toLoadBalancer(policy?.loadBalancer?.simple),
    connectTimeoutMs: policy?.connectionPool?.tcp?.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT_MS,
  };
};

const buildClusters = (service: Service, rule: EffectiveRule, endpoints: Map<string, LabelledEndpoint[]>): Clusters => {
  const { name, namespace } = service.metadata;
  const host = fqdn(name, namespace);
  const clusters: Clusters = {};
  const shared = { host, service: { name, namespace }, loadBalancer: rule.loadBalancer, connectTimeoutMs: rule.connectTimeoutMs };
  for (const port of service.spec.ports.filter(isHttpPort)) {
    const all = endpoints.get(`${namespace}/${name}/${port.name ?? ''}`) ?? [];
    const add = (subset: string, chosen: LabelledEndpoint[]): void => {
      const key = clusterName(port.port, subset, host);
      const cluster: Cluster = {
        name: key,
        ...shared,
        port: port.port,
        subset,
        endpoints: chosen.map(({ endpoint }) => endpoint),
      };
      clusters[key] = cluster;
    };
    add('', all);
    for (const [subset, labels] of rule.subsets) {
      add(
        subset,
        all.filter((candidate) => Object.entries(labels).every(([key, value]) => candidate.labels[key] === value)),
      );
    }
  }
  return clusters;
};

export interface ClusterInput {
  services: readonly Service[];
  destinationRules: readonly DestinationRule[];
  endpointSlices: readonly EndpointSlice[];
  pods: readonly Pod[];
}

/** Rules of one namespace for one host: those with the most specific host; with equal ones, merged. */
const rulesFor = (rules: readonly DestinationRule[], host: string): DestinationRule[] => {
  const covering = rules.filter((rule) => hostCovers(expandHost(rule.spec.host, rule.metadata.namespace), host));
  const longest = Math.max(...covering.map((rule) => expandHost(rule.spec.host, rule.metadata.namespace).length));
  return covering.filter((rule) => expandHost(rule.spec.host, rule.metadata.namespace).length === longest);
};

const groupByNamespace = (rules: readonly DestinationRule[]): Map<string, DestinationRule[]> => {
  const groups = new Map<string, DestinationRule[]>();
  for (const rule of rules) groups.set(rule.metadata.namespace, [...(groups.get(rule.metadata.namespace) ?? []), rule]);
  return groups;
};

const byAge = (a: DestinationRule, b: DestinationRule): number =>
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  a.metadata.name.localeCompare(b.metadata.name);

const usableRules = (rules: readonly DestinationRule[], problems: Problem[]): DestinationRule[] =>
  rules
    .filter((rule) => {
      if (rule.spec.workloadSelector === undefined) return true;
      problems.push({
        object: `DestinationRule ${rule.metadata.namespace}/${rule.metadata.name}`,
        field: 'spec.workloadSelector',
        message: 'is not supported by the sandbox; the rule is ignored',
      });
      return false;
    })
    .toSorted(byAge);

/** All clusters, and those that look different from namespaces which have rules of their own for a foreign host. */
export const compileClusters = (
  input: ClusterInput,
  problems: Problem[],
): { clusters: Clusters; clientClusters: Record<string, Record<string, Clusters>> } => {
  const endpoints = indexEndpoints(input.endpointSlices, indexPods(input.pods, problems), problems);
  const rules = groupByNamespace(usableRules(input.destinationRules, problems));
  const clusters: Clusters = {};
  const clientClusters: Record<string, Record<string, Clusters>> = {};
  for (const service of input.services) {
    const { name, namespace } = service.metadata;
    const host = fqdn(name, namespace);
    const own = rulesFor(rules.get(namespace) ?? [], host);
    Object.assign(
      clusters,
      buildClusters(
        service,
        mergeRules(own.filter((rule) => visibility(rule.spec.exportTo, namespace).includes('*'))),
        endpoints,
      ),
    );
    for (const client of clientNamespaces(own, namespace)) {
      // Exported to some namespaces only: those see it, the others do not.
      (clientClusters[client] ??= {})[host] = buildClusters(
        service,
        mergeRules(own.filter((rule) => visibleIn(visibility(rule.spec.exportTo, namespace), client))),
        endpoints,
      );
    }
    for (const [client, group] of rules) {
      const foreign = client === namespace ? [] : rulesFor(group, host);
      if (foreign.length > 0) (clientClusters[client] ??= {})[host] = buildClusters(service, mergeRules(foreign), endpoints);
    }
  }
  return { clusters, clientClusters };
};

const clientNamespaces = (own: readonly DestinationRule[], namespace: string): Set<string> =>
  new Set(own.flatMap((rule) => visibility(rule.spec.exportTo, namespace)).filter((entry) => entry !== '*' && entry !== '~'));

/** The cluster that a proxy in `namespace` has under this name. */
export const findCluster = (
  config: { clusters: Clusters; clientClusters: Record<string, Record<string, Clusters>> },
  namespace: string,
  name: string,
): Cluster | undefined => {
  const host = name.slice(name.lastIndexOf('|') + 1);
  const own = config.clientClusters[namespace]?.[host];
  return own === undefined ? config.clusters[name] : own[name];
};
