import { asArray, ensureObject, isObject, own, setDefault, type Json } from '../json.js';

/** Defaults of `PodSpec`, as the real server sets them. Mutates `spec`. */
export function defaultPodSpec(spec: Json): void {
  setDefault(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'dnsPolicy', 'ClusterFirst');
  setDefault(spec, 'schedulerName', 'default-scheduler');
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  setDefault(spec, 'securityContext', {});
  if (typeof spec['serviceAccountName'] === 'string') setDefault(spec, 'serviceAccount', spec['serviceAccountName']);
  for (const container of asArray(spec['containers'])) if (isObject(container)) defaultContainer(container);
  for (const container of asArray(spec['initContainers'])) if (isObject(container)) defaultContainer(container);
  for (const volume of asArray(spec['volumes'])) if (isObject(volume)) defaultVolume(volume);
}

function pullPolicy(image: unknown): string {
  if (typeof image !== 'string') return 'IfNotPresent';
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1] ?? 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultContainer(container: Json): void {
  setDefault(container, 'imagePullPolicy', pullPolicy(container['image']));
  setDefault(container, 'terminationMessagePath', '/dev/termination-log');
  setDefault(container, 'terminationMessagePolicy', 'File');
  setDefault(container, 'resources', {});
  for (const port of asArray(container['ports'])) if (isObject(port)) setDefault(port, 'protocol', 'TCP');
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const value = own(container, probe);
    if (isObject(value)) defaultProbe(value);
  }
  for (const env of asArray(container['env'])) {
    const ref = own(own(env, 'valueFrom'), 'fieldRef');
    if (isObject(ref)) setDefault(ref, 'apiVersion', 'v1');
  }
}

/** Requests are as high as limits where they are not given; in Pods alone, not in templates. Mutates `spec`. */
export function defaultRequests(spec: Json): void {
  for (const container of [...asArray(spec['containers']), ...asArray(spec['initContainers'])]) {
    const resources = own(container, 'resources');
    const limits = own(resources, 'limits');
    if (!isObject(resources) || !isObject(limits)) continue;
    for (const [name, value] of Object.entries(limits)) setDefault(ensureObject(resources, 'requests'), name, value);
  }
}

function defaultProbe(probe: Json): void {
  setDefault(probe, 'timeoutSeconds', 1);
  setDefault(probe, 'periodSeconds', 10);
  setDefault(probe, 'successThreshold', 1);
  setDefault(probe, 'failureThreshold', 3);
  const http = own(probe, 'httpGet');
  if (isObject(http)) {
    setDefault(http, 'path', '/');
    setDefault(http, 'scheme', 'HTTP');
  }
  const grpc = own(probe, 'grpc');
  if (isObject(grpc)) setDefault(grpc, 'service', '');
}

const MODED = ['configMap', 'secret', 'projected', 'downwardAPI'];

function defaultVolume(volume: Json): void {
  for (const source of MODED) {
    const value = own(volume, source);
    if (isObject(value)) setDefault(value, 'defaultMode', 0o644);
  }
  const hostPath = own(volume, 'hostPath');
  if (isObject(hostPath)) setDefault(hostPath, 'type', '');
  if (Object.keys(volume).length === 1 && typeof volume['name'] === 'string') volume['emptyDir'] = {};
}

/** Defaults of a `PodTemplateSpec`. */
export function defaultTemplate(template: unknown): void {
  if (!isObject(template)) return;
  ensureObject(template, 'metadata');
  const spec = own(template, 'spec');
  if (isObject(spec)) defaultPodSpec(spec);
}
