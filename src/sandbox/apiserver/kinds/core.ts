import type { KubeObject } from '../../../kube/types.js';
import { forbiddenField, invalidValue, tooLong, type Cause } from '../errors.js';
import { asArray, asObject, asString, at, deepEqual, ensureObject, isObject, own, setDefault, type Json } from '../json.js';
import type { ResourceInfo } from '../types.js';
import { dns1123Label, dns1123Subdomain, validateMeta, validateQualifiedName } from '../validation/names.js';
import { validatePodSpec } from '../validation/pods.js';
import { AGE, EVENT, NAME, NODE, POD, count, str, text } from './columns.js';
import { define } from './define.js';
import { services } from './services.js';
import { defaultPodSpec, defaultRequests } from './pod-defaults.js';

const CONFIG_KEY = /^[-._a-zA-Z0-9]+$/;

function validateData(object: Json, ...fields: string[]): Cause[] {
  return fields.flatMap((field) =>
    Object.keys(asObject(own(object, field)))
      .filter((key) => !CONFIG_KEY.test(key))
      .map((key) =>
        invalidValue(
          `${field}[${key}]`,
          key,
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        ),
      ),
  );
}

/** Data above this many bytes is refused. */
const MAX_DATA_BYTES = 1024 * 1024;

function tooBig(object: Json, field: string): Cause[] {
  const text = Object.values(asObject(object['data'])).reduce<number>((sum, value) => sum + Buffer.byteLength(String(value)), 0);
  const coded = Object.values(asObject(object['binaryData'])).reduce<number>(
    (sum, value) => sum + (String(value).length * 3) / 4,
    0,
  );
  const size = object['kind'] === 'Secret' ? (text * 3) / 4 : text + coded;
  return size > MAX_DATA_BYTES ? [tooLong(field, MAX_DATA_BYTES)] : [];
}

function validateTwice(object: Json): Cause[] {
  const other = asObject(object['binaryData']);
  return Object.keys(asObject(object['data']))
    .filter((key) => Object.hasOwn(other, key))
    .map((key) => invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'));
}

/** `immutable: true` cannot be taken back and freezes the data. */
function validateImmutable(object: Json, previous: Json): Cause[] {
  if (previous['immutable'] !== true) return [];
  const causes: Cause[] = [];
  if (object['immutable'] !== true) causes.push(forbiddenField('immutable', 'field is immutable when `immutable` is set'));
  for (const key of ['data', 'binaryData', 'stringData']) {
    if (!deepEqual(object[key], previous[key])) causes.push(forbiddenField(key, 'field is immutable when `immutable` is set'));
  }
  return causes;
}

function mergeStringData(object: Json): void {
  const plain = own(object, 'stringData');
  if (!isObject(plain)) return;
  const data = ensureObject(object, 'data');
  for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(String(value)).toString('base64');
  delete object['stringData'];
}

function validateSecret(object: Json): Cause[] {
  return [...validateMeta(object, dns1123Subdomain), ...validateData(object, 'data'), ...tooBig(object, 'data')];
}

function defaultPod(object: Json): void {
  const spec = ensureObject(object, 'spec');
  defaultPodSpec(spec);
  defaultRequests(spec);
  setDefault(spec, 'enableServiceLinks', true);
}

function preparePod(object: Json): void {
  const spec = ensureObject(object, 'spec');
  setDefault(spec, 'serviceAccountName', 'default');
  setDefault(spec, 'serviceAccount', spec['serviceAccountName']);
  setDefault(spec, 'priority', 0);
  setDefault(spec, 'preemptionPolicy', 'PreemptLowerPriority');
  setDefault(spec, 'tolerations', [
    { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  ]);
  object['status'] = { phase: 'Pending', qosClass: qosClass(spec) };
}

function qosClass(spec: Json): string {
  const resources = asArray(spec['containers']).map((container) => asObject(at(container, 'resources')));
  const set = resources.filter(
    (item) => Object.keys(asObject(item['requests'])).length + Object.keys(asObject(item['limits'])).length > 0,
  );
  if (set.length === 0) return 'BestEffort';
  const guaranteed = resources.every(
    (item) =>
      ['cpu', 'memory'].every((name) => at(item, 'limits', name) !== undefined) && deepEqual(item['limits'], item['requests']),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

/** Pods may only change images, deadline, tolerations (additions), grace period and what the scheduler binds. */
function validatePodUpdate(object: Json, previous: Json): Cause[] {
  const normal = (pod: Json): Json => {
    const spec: Json = { ...asObject(pod['spec']) };
    for (const key of [
      'activeDeadlineSeconds',
      'tolerations',
      'terminationGracePeriodSeconds',
      'schedulingGates',
      'nodeName',
      'ephemeralContainers',
    ])
      delete spec[key];
    for (const key of ['containers', 'initContainers']) {
      if (Array.isArray(spec[key])) spec[key] = spec[key].map((container) => ({ ...asObject(container), image: '' }));
    }
    return spec;
  };
  if (deepEqual(normal(object), normal(previous))) return [];
  return [
    forbiddenField(
      'spec',
      'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
    ),
  ];
}

const podFields = (pod: KubeObject): Record<string, string> => ({
  'spec.nodeName': asString(at(pod, 'spec', 'nodeName')),
  'spec.restartPolicy': asString(at(pod, 'spec', 'restartPolicy')),
  'spec.schedulerName': asString(at(pod, 'spec', 'schedulerName')),
  'spec.serviceAccountName': asString(at(pod, 'spec', 'serviceAccountName')),
  'spec.hostNetwork': String(at(pod, 'spec', 'hostNetwork') === true),
  'status.phase': asString(at(pod, 'status', 'phase')),
  'status.podIP': asString(at(pod, 'status', 'podIP')),
  'status.nominatedNodeName': asString(at(pod, 'status', 'nominatedNodeName')),
});

const eventFields = (event: KubeObject): Record<string, string> => ({
  ...Object.fromEntries(
    ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((key) => [
      `involvedObject.${key}`,
      asString(at(event, 'involvedObject', key)),
    ]),
  ),
  reason: asString(event['reason']),
  reportingComponent: asString(event['reportingComponent']),
  source: asString(at(event, 'source', 'component')) || asString(event['reportingComponent']),
  type: asString(event['type']),
});

function validateEvent(object: Json): Cause[] {
  const causes = validateMeta(object, dns1123Subdomain);
  const about = asString(at(object, 'involvedObject', 'namespace'));
  const namespace = asString(at(object, 'metadata', 'namespace'));
  const mismatch = about === '' ? namespace !== 'default' && namespace !== 'kube-system' : about !== namespace;
  if (mismatch && namespace !== '')
    causes.push(invalidValue('involvedObject.namespace', about, 'does not match event.namespace'));
  return causes;
}

const named =
  (rule: Parameters<typeof validateMeta>[1]) =>
  (object: Json): Cause[] =>
    validateMeta(object, rule);

function validateNamespace(object: Json): Cause[] {
  const finalizers = asArray(at(object, 'spec', 'finalizers'));
  return [
    ...validateMeta(object, dns1123Label),
    ...finalizers.flatMap((item) => validateQualifiedName(String(item), 'spec.finalizers')),
  ];
}

/** Mutates a Namespace as its creation does: phase, finalizer and the name label. */
function prepareNamespace(object: Json): void {
  ensureObject(object, 'spec')['finalizers'] = ['kubernetes'];
  object['status'] = { phase: 'Active' };
}

function labelNamespace(object: Json): void {
  const meta = ensureObject(object, 'metadata');
  if (typeof meta['name'] === 'string' && meta['name'] !== '')
    ensureObject(meta, 'labels')['kubernetes.io/metadata.name'] = meta['name'];
}

const dataCount =
  (...fields: string[]) =>
  (object: KubeObject): number =>
    fields.reduce((sum, field) => sum + Object.keys(asObject(object[field])).length, 0);

export const core: ResourceInfo[] = [
  define({
    group: '',
    plural: 'configmaps',
    kind: 'ConfigMap',
    type: 'V1ConfigMap',
    shortNames: ['cm'],
    columns: [NAME, count('Data', dataCount('data', 'binaryData')), AGE],
    strategy: {
      validate: (object) => [
        ...validateMeta(object, dns1123Subdomain),
        ...validateData(object, 'data', 'binaryData'),
        ...validateTwice(object),
        ...tooBig(object, '[]'),
      ],
      validateUpdate: validateImmutable,
    },
  }),
  define({
    group: '',
    plural: 'endpoints',
    kind: 'Endpoints',
    type: 'V1Endpoints',
    shortNames: ['ep'],
    columns: [NAME, text('Endpoints', formatEndpoints), AGE],
    strategy: { validate: named(dns1123Subdomain), createOnUpdate: true },
    overrides: {
      listKind: 'EndpointsList',
      singular: 'endpoints',
      deprecationWarning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
    },
  }),
  define({
    group: '',
    plural: 'events',
    kind: 'Event',
    type: 'CoreV1Event',
    shortNames: ['ev'],
    columns: EVENT,
    strategy: {
      validate: validateEvent,
      createOnUpdate: true,
      selectableFields: eventFields,
      defaults: (object) => {
        setDefault(object, 'type', 'Normal');
        setDefault(object, 'source', {});
        setDefault(object, 'reportingComponent', '');
        setDefault(object, 'reportingInstance', '');
      },
    },
  }),
  define({
    group: '',
    plural: 'namespaces',
    kind: 'Namespace',
    type: 'V1Namespace',
    namespaced: false,
    shortNames: ['ns'],
    subresources: ['status'],
    columns: [NAME, text('Status', str('status', 'phase')), AGE],
    strategy: {
      defaults: labelNamespace,
      prepareCreate: prepareNamespace,
      prepareUpdate: (object, previous) => {
        object['spec'] = previous['spec'];
      },
      validate: validateNamespace,
      selectableFields: (object) => ({ 'status.phase': asString(at(object, 'status', 'phase')), name: object.metadata.name }),
    },
  }),
  define({
    group: '',
    plural: 'nodes',
    kind: 'Node',
    type: 'V1Node',
    namespaced: false,
    shortNames: ['no'],
    subresources: ['status'],
    columns: NODE,
    strategy: {
      validate: named(dns1123Subdomain),
      selectableFields: (node) => ({ 'spec.unschedulable': String(at(node, 'spec', 'unschedulable') === true) }),
    },
  }),
  define({
    group: '',
    plural: 'persistentvolumeclaims',
    kind: 'PersistentVolumeClaim',
    type: 'V1PersistentVolumeClaim',
    shortNames: ['pvc'],
    subresources: ['status'],
    columns: [
      NAME,
      text('Status', str('status', 'phase')),
      text('Volume', str('spec', 'volumeName')),
      text('Capacity', str('status', 'capacity', 'storage')),
      text('StorageClass', str('spec', 'storageClassName')),
      AGE,
    ],
    strategy: {
      validate: named(dns1123Subdomain),
      prepareCreate: (object) => {
        object['status'] = { phase: 'Pending' };
      },
      defaults: (object) => setDefault(ensureObject(object, 'spec'), 'volumeMode', 'Filesystem'),
    },
  }),
  define({
    group: '',
    plural: 'pods',
    kind: 'Pod',
    type: 'V1Pod',
    shortNames: ['po'],
    categories: ['all'],
    subresources: ['status', 'log', 'eviction'],
    generation: true,
    columns: POD,
    strategy: {
      defaults: defaultPod,
      prepareCreate: preparePod,
      validate: (object) => [...validateMeta(object, dns1123Subdomain), ...validatePodSpec(object['spec'], 'spec')],
      validateUpdate: validatePodUpdate,
      selectableFields: podFields,
    },
  }),
  define({
    group: '',
    plural: 'secrets',
    kind: 'Secret',
    type: 'V1Secret',
    columns: [NAME, text('Type', str('type')), count('Data', dataCount('data')), AGE],
    strategy: {
      defaults: (object) => {
        setDefault(object, 'type', 'Opaque');
        mergeStringData(object);
      },
      validate: validateSecret,
      validateUpdate: (object, previous) => [
        ...(object['type'] === previous['type'] ? [] : [invalidValue('type', object['type'], 'field is immutable')]),
        ...validateImmutable(object, previous),
      ],
      selectableFields: (secret) => ({ type: asString(secret['type']) }),
    },
  }),
  define({
    group: '',
    plural: 'serviceaccounts',
    kind: 'ServiceAccount',
    type: 'V1ServiceAccount',
    shortNames: ['sa'],
    columns: [NAME, count('Secrets', (object) => asArray(object['secrets']).length), AGE],
    strategy: { validate: named(dns1123Subdomain) },
  }),
  services,
];

function formatEndpoints(object: KubeObject): string {
  const all = asArray(object['subsets']).flatMap((subset) =>
    asArray(at(subset, 'ports')).flatMap((port) =>
      asArray(at(subset, 'addresses')).map((address) => `${String(at(address, 'ip'))}:${String(at(port, 'port'))}`),
    ),
  );
  if (all.length === 0) return '<none>';
  return all.length > 3 ? `${all.slice(0, 3).join(',')} + ${all.length - 3} more...` : all.join(',');
}
