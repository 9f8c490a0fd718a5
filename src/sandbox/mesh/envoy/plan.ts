import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { programHosts } from '../domains.js';
import type { Cluster, MeshConfig, Source } from '../types.js';
import { edsCluster, loadAssignment, mirrorListener, pipeCluster, sourceListener } from './resources.js';
import { routeConfiguration, type Json } from './routes.js';

export interface EnvoySource {
  id: string;
  source: Source;
}

/** Where files (configuration) and sockets go. Socket paths must stay short: the kernel allows about 100 bytes. */
export interface EnvoyPaths {
  files: string;
  sockets: string;
}

/** One file of resources that Envoy watches. */
export interface ResourceFile {
  path: string;
  resources: Json[];
  /** The statistic that says which version of it is in force. */
  stat: string;
}

/** Everything that Envoy is given for a configuration, in the order of its steps: each may name only what came before it. */
export interface EnvoyPlan {
  endpoints: ResourceFile[];
  clusters: Map<string, Json>;
  listeners: Map<string, Json>;
  routes: ResourceFile[];
  /** Clusters by their name in Envoy, for reading its logs. */
  known: Map<string, Cluster>;
}

const CLIENT_MARK = '@';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** Statistics use `.` as their separator and cannot hold `:`. */
const statName = (name: string): string => name.replaceAll(':', '_');

/** The same cluster may look different from one namespace: then it has a name of its own there. */
const clusterNamer =
  (config: MeshConfig, namespace: string) =>
  (name: string): string =>
    config.clientClusters[namespace]?.[name.slice(name.lastIndexOf('|') + 1)] === undefined
      ? name
      : `${namespace}${CLIENT_MARK}${name}`;

const allClusters = (config: MeshConfig): Map<string, Cluster> => {
  const all = new Map(Object.entries(config.clusters));
  for (const [namespace, hosts] of Object.entries(config.clientClusters)) {
    for (const clusters of Object.values(hosts)) {
      for (const [name, cluster] of Object.entries(clusters)) all.set(`${namespace}${CLIENT_MARK}${name}`, cluster);
    }
  }
  return all;
};

export const ldsStat = 'listener_manager.lds.version_text';
export const cdsStat = 'cluster_manager.cds.version_text';

/** What Envoy must be told so that these sources obey `config`. Pure. */
export const planEnvoy = (config: MeshConfig, sources: readonly EnvoySource[], paths: EnvoyPaths): EnvoyPlan => {
  const known = allClusters(config);
  const plan: EnvoyPlan = { endpoints: [], clusters: new Map(), listeners: new Map(), routes: [], known };
  for (const [name, cluster] of known) {
    const path = join(paths.files, `eds-${digest(name)}.json`);
    plan.endpoints.push({ path, resources: [loadAssignment(name, cluster)], stat: `cluster.${statName(name)}.version_text` });
    plan.clusters.set(name, edsCluster(name, cluster, path));
  }
  for (const { id, source } of sources) {
    const forward = clusterNamer(config, source.namespace);
    const mirror = (target: string): string => {
      const name = `mirror|${id}|${target}`;
      const pipe = join(paths.sockets, `${digest(name)}.sock`);
      plan.clusters.set(name, pipeCluster(name, pipe));
      plan.listeners.set(name, mirrorListener(id, name, pipe, forward(target)));
      return name;
    };
    const path = join(paths.files, `rds-${id}.json`);
    const hosts = programHosts(config, source);
    plan.routes.push({
      path,
      resources: [routeConfiguration(id, hosts, { forward, mirror })],
      stat: `http.${id}.rds.${id}.version_text`,
    });
    plan.listeners.set(id, sourceListener(id, path));
  }
  return plan;
};
