import type { Container, EnvFrom, EnvVar, KeyRef, Pod } from '../types.js';
import type { ConfigSource, Data } from './config.js';

/** A reference that cannot be resolved yet; the message is the kubelet's for `CreateContainerConfigError`. */
export class MissingConfig extends Error {}

export interface PodFacts {
  pod: Pod;
  podIP: string;
  hostIP: string;
}

/**
 * The environment of a container, from `envFrom` and `env`, with `$(NAME)` expanded.
 * @throws MissingConfig when a ConfigMap, a Secret or a key that is not optional does not exist.
 */
export async function resolveEnv(container: Container, facts: PodFacts, source: ConfigSource): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const from of container.envFrom ?? []) Object.assign(env, await resolveEnvFrom(from, facts.pod, source));
  for (const variable of container.env ?? []) {
    const value = await resolveVariable(variable, facts, source);
    if (value !== undefined) env[variable.name] = expand(value, env);
  }
  return env;
}

async function resolveEnvFrom(from: EnvFrom, pod: Pod, source: ConfigSource): Promise<Record<string, string>> {
  const { name, optional } = from.configMapRef ?? from.secretRef ?? { name: '' };
  if (name === '') return {};
  const data = from.configMapRef ? await configMap(pod, name, optional, source) : await secret(pod, name, optional, source);
  return Object.fromEntries([...(data ?? [])].map(([key, value]) => [`${from.prefix ?? ''}${key}`, value.toString()]));
}

async function resolveVariable(variable: EnvVar, facts: PodFacts, source: ConfigSource): Promise<string | undefined> {
  const { configMapKeyRef, secretKeyRef, fieldRef } = variable.valueFrom ?? {};
  const { pod } = facts;
  if (configMapKeyRef) {
    return pick(await configMap(pod, configMapKeyRef.name, configMapKeyRef.optional, source), configMapKeyRef, 'ConfigMap', pod);
  }
  if (secretKeyRef) return pick(await secret(pod, secretKeyRef.name, secretKeyRef.optional, source), secretKeyRef, 'Secret', pod);
  if (fieldRef) return fieldValue(fieldRef.fieldPath, facts);
  return variable.value ?? '';
}

function pick(data: Data | undefined, ref: KeyRef, kind: string, pod: Pod): string | undefined {
  const value = data?.get(ref.key);
  if (value === undefined && !ref.optional)
    throw new MissingConfig(`couldn't find key ${ref.key} in ${kind} ${pod.metadata.namespace}/${ref.name}`);
  return value?.toString();
}

async function configMap(pod: Pod, name: string, optional: boolean | undefined, source: ConfigSource): Promise<Data | undefined> {
  const data = await source.configMap(pod.metadata.namespace ?? '', name);
  if (!data && !optional) throw new MissingConfig(`configmap "${name}" not found`);
  return data;
}

async function secret(pod: Pod, name: string, optional: boolean | undefined, source: ConfigSource): Promise<Data | undefined> {
  const data = await source.secret(pod.metadata.namespace ?? '', name);
  if (!data && !optional) throw new MissingConfig(`secret "${name}" not found`);
  return data;
}

/** The downward API. Fields that the sandbox does not know are empty. */
function fieldValue(path: string, { pod, podIP, hostIP }: PodFacts): string {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed) return pod.metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2] ?? ''] ?? '';
  const fields: Record<string, string | undefined> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.spec.nodeName,
    'spec.serviceAccountName': pod.spec.serviceAccountName ?? 'default',
    'status.podIP': podIP,
    'status.podIPs': podIP,
    'status.hostIP': hostIP,
    'status.hostIPs': hostIP,
  };
  return fields[path] ?? '';
}

/** `$(NAME)` stands for a variable defined before; `$$(NAME)` for the text `$(NAME)`. Unknown names stay as written. */
function expand(value: string, env: Record<string, string>): string {
  return value.replace(/\$(\$?)\(([A-Za-z_.-][\w.-]*)\)/g, (text, escaped: string, name: string) =>
    escaped ? text.slice(1) : (env[name] ?? text),
  );
}
