import type { KubeClient, KubeObject, Resource } from '../../../kube/types.js';
import { isNotFound } from '../../../kube/types.js';
import type { NodeInformers } from '../informers.js';
import { Kinds } from '../types.js';
import type { ConfigMap, Secret } from '../types.js';

/** The data of a ConfigMap or a Secret, decoded. */
export type Data = Map<string, Buffer>;

/** Where pods read their configuration from. Undefined means that the object does not exist. */
export interface ConfigSource {
  configMap(namespace: string, name: string): Promise<Data | undefined>;
  secret(namespace: string, name: string): Promise<Data | undefined>;
}

/** Reads from the informers that are given, and else asks the API server. */
export function configSource(client: KubeClient, informers: NodeInformers): ConfigSource {
  return {
    async configMap(namespace, name) {
      const found = informers.configMaps
        ? informers.configMaps.get(namespace, name)
        : await fetch(client, Kinds.ConfigMap, namespace, name);
      return found && configMapData(found);
    },
    async secret(namespace, name) {
      const found = informers.secrets
        ? informers.secrets.get(namespace, name)
        : await fetch(client, Kinds.Secret, namespace, name);
      return found && secretData(found);
    },
  };
}

async function fetch<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  namespace: string,
  name: string,
): Promise<T | undefined> {
  try {
    return await client.get(resource, namespace, name);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function configMapData({ data = {}, binaryData = {} }: ConfigMap): Data {
  const text = Object.entries(data).map(([key, value]) => [key, Buffer.from(value)] as const);
  const binary = Object.entries(binaryData).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const);
  return new Map([...text, ...binary]);
}

const secretData = ({ data = {} }: Secret): Data =>
  new Map(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
