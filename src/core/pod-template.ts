import { z } from 'zod';
import { withoutNowhere } from './daemon-set.js';

/**
 * The parts of `corev1.PodTemplateSpec` that Sluice reads. Everything else is carried along untouched, so a field of a newer
 * Kubernetes is part of the revision and of the slot.
 */
const loose = <T extends z.ZodRawShape>(shape: T) => z.looseObject(shape);
const named = loose({ name: z.string().optional(), optional: z.boolean().optional() });
const envVar = loose({
  name: z.string(),
  valueFrom: loose({ configMapKeyRef: named.optional(), secretKeyRef: named.optional() }).optional(),
});
const container = loose({
  name: z.string(),
  image: z.string().optional(),
  env: z.array(envVar).optional(),
  envFrom: z.array(loose({ configMapRef: named.optional(), secretRef: named.optional() })).optional(),
});
const projection = loose({ configMap: named.optional(), secret: named.optional() });
const volume = loose({
  name: z.string(),
  configMap: named.optional(),
  secret: loose({ secretName: z.string().optional(), optional: z.boolean().optional() }).optional(),
  projected: loose({ sources: z.array(projection).optional() }).optional(),
});
export const podTemplateSchema = loose({
  metadata: loose({
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }).optional(),
  spec: loose({
    containers: z.array(container),
    initContainers: z.array(container).optional(),
    volumes: z.array(volume).optional(),
  }),
}).transform(withoutNowhere);
export type PodTemplate = z.infer<typeof podTemplateSchema>;

export interface ConfigContent {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
  type?: string;
}
export interface ConfigReference {
  kind: 'ConfigMap' | 'Secret';
  name: string;
  /** True when every place that refers to it says so. */
  optional: boolean;
}

type Rename = (kind: ConfigReference['kind'], name: string) => string;
interface Visitor {
  (kind: ConfigReference['kind'], name: string, optional: boolean): string;
}

const visitNamed = <T extends z.infer<typeof named> | undefined>(reference: T, kind: ConfigReference['kind'], visit: Visitor): T =>
  reference?.name ? { ...reference, name: visit(kind, reference.name, reference.optional ?? false) } : reference;

function visitContainer(item: z.infer<typeof container>, visit: Visitor): z.infer<typeof container> {
  const result = { ...item };
  if (item.env)
    result.env = item.env.map((entry) => {
      if (!entry.valueFrom) return entry;
      const valueFrom = { ...entry.valueFrom };
      if (valueFrom.configMapKeyRef) valueFrom.configMapKeyRef = visitNamed(valueFrom.configMapKeyRef, 'ConfigMap', visit);
      if (valueFrom.secretKeyRef) valueFrom.secretKeyRef = visitNamed(valueFrom.secretKeyRef, 'Secret', visit);
      return { ...entry, valueFrom };
    });
  if (item.envFrom) result.envFrom = item.envFrom.map((entry) => visitProjection(entry, visit, 'configMapRef', 'secretRef'));
  return result;
}

function visitProjection<T extends Record<string, unknown>>(entry: T, visit: Visitor, configKey: keyof T, secretKey: keyof T): T {
  const result = { ...entry };
  const config = entry[configKey] as z.infer<typeof named> | undefined;
  const secret = entry[secretKey] as z.infer<typeof named> | undefined;
  if (config) Object.assign(result, { [configKey]: visitNamed(config, 'ConfigMap', visit) });
  if (secret) Object.assign(result, { [secretKey]: visitNamed(secret, 'Secret', visit) });
  return result;
}

function visitVolume(item: z.infer<typeof volume>, visit: Visitor): z.infer<typeof volume> {
  const result = { ...item };
  if (item.configMap) result.configMap = visitNamed(item.configMap, 'ConfigMap', visit);
  if (item.secret?.secretName)
    result.secret = { ...item.secret, secretName: visit('Secret', item.secret.secretName, item.secret.optional ?? false) };
  if (item.projected?.sources)
    result.projected = { ...item.projected, sources: item.projected.sources.map((source) => visitProjection(source, visit, 'configMap', 'secret')) };
  return result;
}

function visitTemplate(template: PodTemplate, visit: Visitor): PodTemplate {
  const spec = { ...template.spec };
  spec.containers = spec.containers.map((item) => visitContainer(item, visit));
  if (spec.initContainers) spec.initContainers = spec.initContainers.map((item) => visitContainer(item, visit));
  if (spec.volumes) spec.volumes = spec.volumes.map((item) => visitVolume(item, visit));
  return { ...template, spec };
}

/** The ConfigMaps and Secrets that pods of the template read: volumes, projections, env and envFrom of all containers. */
export function configReferences(template: PodTemplate): ConfigReference[] {
  const found = new Map<string, ConfigReference>();
  visitTemplate(template, (kind, name, optional) => {
    const known = found.get(`${kind}/${name}`);
    found.set(`${kind}/${name}`, { kind, name, optional: optional && (known?.optional ?? true) });
    return name;
  });
  return [...found.values()];
}

const MAX_IMAGES = 5;

/** Images with the tag `latest` or none, and no digest: what they name may change without any change in the template. */
export function mutableImages({ spec }: PodTemplate): string[] {
  const images = [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ image }) => image ?? []);
  return [...new Set(images)].filter((image) => defaultPullPolicy(image) === 'Always' && !image.includes('@')).slice(0, MAX_IMAGES);
}

/** The template with references renamed, for pods that must read frozen copies. */
export const renameConfigs = (template: PodTemplate, rename: Rename): PodTemplate => visitTemplate(template, (kind, name) => rename(kind, name));

type Json = unknown;
const isObject = (value: Json): value is Record<string, Json> => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What the API server fills in by itself (k8s.io/kubernetes pkg/apis/core/v1/defaults.go), by path. A template that came back
 * from the server must hash like the one in Git, and a server upgrade that adds a default must not move the hash of either.
 */
const DEFAULTS: Record<string, Json> = {
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  restartPolicy: 'Always',
  dnsPolicy: 'ClusterFirst',
  schedulerName: 'default-scheduler',
  terminationGracePeriodSeconds: 30,
  protocol: 'TCP',
  timeoutSeconds: 1,
  periodSeconds: 10,
  successThreshold: 1,
  failureThreshold: 3,
  scheme: 'HTTP',
  defaultMode: 420,
  creationTimestamp: null,
  enableServiceLinks: true,
};

/** `imagePullPolicy` defaults by the image's tag. */
const defaultPullPolicy = (image: Json): string => (typeof image === 'string' && (image.endsWith(':latest') || !/[:@][^/]*$/.test(image)) ? 'Always' : 'IfNotPresent');

function isDefault(key: string, value: Json, owner: Record<string, Json>): boolean {
  if (value === null || value === undefined) return true;
  if (key in DEFAULTS && DEFAULTS[key] === value) return true;
  if (key === 'imagePullPolicy') return value === defaultPullPolicy(owner['image']);
  if (key === 'apiVersion') return value === 'v1' && 'fieldPath' in owner;
  if (key === 'serviceAccount') return value === owner['serviceAccountName'];
  return false;
}

const EMPTY_IS_ABSENT = new Set(['securityContext', 'resources', 'metadata', 'labels', 'annotations']);

/** The template without what the server adds; for hashing only, never for writing. */
export function withoutDefaults(value: Json): Json {
  if (Array.isArray(value)) return value.map((item) => withoutDefaults(item));
  if (!isObject(value)) return value;
  const result: Record<string, Json> = {};
  for (const [key, item] of Object.entries(value)) {
    if (isDefault(key, item, value)) continue;
    const kept = withoutDefaults(item);
    if (EMPTY_IS_ABSENT.has(key) && isObject(kept) && Object.keys(kept).length === 0) continue;
    result[key] = kept;
  }
  return result;
}
