import { DOMAIN, visibleIn } from './clusters.js';
import type { MeshConfig, Route, Source, VirtualHost } from './types.js';

/** A route table as one proxy gets it, with the `Host` values that lead to it (lower case). */
export interface ProgrammedHost {
  host: string;
  port: number;
  virtualService?: string;
  domains: string[];
  routes: Route[];
}

const gatewayOf = (source: Source): string => source.gateway ?? 'mesh';

const isFor = (route: Route, source: Source): boolean => {
  const audience = route.audience;
  if (audience === undefined) return true;
  if (!audience.gateways.includes(gatewayOf(source))) return false;
  if (audience.sourceNamespace !== undefined && audience.sourceNamespace !== source.namespace) return false;
  return Object.entries(audience.sourceLabels ?? {}).every(([key, value]) => source.labels[key] === value);
};

/** The first table of each host and port that this source sees. */
const visibleHosts = (config: MeshConfig, source: Source): VirtualHost[] => {
  const chosen = new Map<string, VirtualHost>();
  for (const candidate of config.virtualHosts) {
    const key = `${candidate.host}:${candidate.port}`;
    if (chosen.has(key) || !visibleIn(candidate.exportTo, source.namespace)) continue;
    // Gateways open only the hosts that a VirtualService gives them; sidecars reach every Service.
    if (!(candidate.gateways ?? ['mesh']).includes(gatewayOf(source))) continue;
    const routes = candidate.routes.filter((route) => isFor(route, source));
    if (routes.length > 0) chosen.set(key, { ...candidate, routes });
  }
  return [...chosen.values()];
};

/** `reviews` (in its own namespace), `reviews.default`, `reviews.default.svc` and the full name. */
const namesOf = (host: string, namespace: string): string[] => {
  const suffix = `.${DOMAIN}`;
  if (!host.endsWith(suffix) || host.startsWith('*')) return [host];
  const [name, home] = host.slice(0, -suffix.length).split('.');
  const long = [host, `${name}.${home}.svc`, `${name}.${home}`];
  return home === namespace && name !== undefined ? [...long, name] : long;
};

/** Callers name a port only when they mean it: without one, 80 is meant, or the Service's first port. */
const defaultPorts = (hosts: readonly VirtualHost[]): Map<string, number> => {
  const ports = new Map<string, number>();
  for (const { host, port } of hosts) if (!ports.has(host) || port === 80) ports.set(host, port);
  return ports;
};

/** Everything that one proxy is programmed with, most specific domains resolved; each domain appears once. */
export const programHosts = (config: MeshConfig, source: Source): ProgrammedHost[] => {
  const hosts = visibleHosts(config, source);
  const ports = defaultPorts(hosts);
  const taken = new Set<string>();
  return hosts.flatMap(({ host, port, virtualService, routes }) => {
    const domains = namesOf(host, source.namespace)
      .flatMap((name) => [...(port === 0 ? [] : [`${name}:${port}`]), ...(ports.get(host) === port ? [name] : [])])
      .map((name) => name.toLowerCase())
      .filter((name) => !taken.has(name));
    for (const name of domains) taken.add(name);
    return domains.length === 0 ? [] : [{ host, port, domains, routes, ...(virtualService !== undefined && { virtualService }) }];
  });
};

/** Finds the table for a `Host` value: exact, then without its port, then the longest wildcard, then `*`. */
export const hostFinder = (programmed: readonly ProgrammedHost[]): ((authority: string) => ProgrammedHost | undefined) => {
  const exact = new Map<string, ProgrammedHost>();
  const wild: { suffix: string; host: ProgrammedHost }[] = [];
  for (const host of programmed) {
    for (const domain of host.domains) {
      if (domain.startsWith('*')) wild.push({ suffix: domain.slice(1), host });
      else exact.set(domain, host);
    }
  }
  wild.sort((a, b) => b.suffix.length - a.suffix.length);
  return (authority) => {
    const name = authority.toLowerCase();
    const bare = name.replace(/:[0-9]+$/, '');
    const anyPort = exact.get(bare);
    return (
      exact.get(name) ?? (anyPort?.port === 0 ? anyPort : undefined) ?? wild.find(({ suffix }) => bare.endsWith(suffix))?.host
    );
  };
};
