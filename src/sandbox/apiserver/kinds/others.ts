import type { KubeObject } from '../../../kube/types.js';
import { invalidValue, required, type Cause } from '../errors.js';
import { asArray, asObject, asString, at, deepEqual, ensureObject, isObject, setDefault, show, type Json } from '../json.js';
import type { ResourceInfo } from '../types.js';
import { dns1123Subdomain, pathSegment, validateMeta, validateSelector } from '../validation/names.js';
import { AGE, NAME, count, num, str, text } from './columns.js';
import { eventFromV1, eventToV1 } from './events.js';
import { core } from './core.js';
import { define } from './define.js';

const named =
  (rule: Parameters<typeof validateMeta>[1]) =>
  (object: Json): Cause[] =>
    validateMeta(object, rule);

function validateAutoscaler(object: Json): Cause[] {
  const causes = validateMeta(object, dns1123Subdomain);
  const max = at(object, 'spec', 'maxReplicas');
  const min = at(object, 'spec', 'minReplicas');
  if (typeof max !== 'number' || max < 1) causes.push(invalidValue('spec.maxReplicas', max ?? 0, 'must be greater than 0'));
  if (typeof min === 'number' && min < 1)
    causes.push(invalidValue('spec.minReplicas', min, 'must be greater than or equal to 1'));
  if (typeof max === 'number' && typeof min === 'number' && max < min) {
    causes.push(invalidValue('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'));
  }
  for (const key of ['kind', 'name']) {
    if (asString(at(object, 'spec', 'scaleTargetRef', key)) === '') causes.push(required(`spec.scaleTargetRef.${key}`));
  }
  return causes;
}

function defaultAutoscaler(object: Json): void {
  const spec = ensureObject(object, 'spec');
  setDefault(spec, 'minReplicas', 1);
  setDefault(spec, 'metrics', [
    { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
  ]);
}

function validateBudget(object: Json): Cause[] {
  const causes = [
    ...validateMeta(object, dns1123Subdomain),
    ...validateSelector(at(object, 'spec', 'selector'), 'spec.selector'),
  ];
  const min = at(object, 'spec', 'minAvailable');
  const max = at(object, 'spec', 'maxUnavailable');
  if (min !== undefined && max !== undefined) {
    const printed = {
      MinAvailable: min,
      Selector: at(object, 'spec', 'selector') ?? null,
      MaxUnavailable: max,
      UnhealthyPodEvictionPolicy: at(object, 'spec', 'unhealthyPodEvictionPolicy') ?? null,
    };
    causes.push(invalidValue('spec', printed, 'minAvailable and maxUnavailable cannot be both set'));
  }
  return causes;
}

function validateLease(object: Json): Cause[] {
  const causes = validateMeta(object, dns1123Subdomain);
  const seconds = at(object, 'spec', 'leaseDurationSeconds');
  if (typeof seconds === 'number' && seconds <= 0)
    causes.push(invalidValue('spec.leaseDurationSeconds', seconds, 'must be greater than 0'));
  return causes;
}

function defaultSlicePorts(slice: Json): void {
  for (const port of asArray(slice['ports'])) {
    if (!isObject(port)) continue;
    setDefault(port, 'name', '');
    setDefault(port, 'protocol', 'TCP');
  }
}

function validateSlice(object: Json): Cause[] {
  const causes = validateMeta(object, dns1123Subdomain);
  if (asString(object['addressType']) === '') causes.push(required('addressType'));
  return causes;
}

const frozenRole = (object: Json, previous: Json): Cause[] =>
  deepEqual(object['roleRef'], previous['roleRef'])
    ? []
    : [
        invalidValue(
          'roleRef',
          {
            APIGroup: at(object, 'roleRef', 'apiGroup'),
            Kind: at(object, 'roleRef', 'kind'),
            Name: at(object, 'roleRef', 'name'),
          },
          'cannot change roleRef',
        ),
      ];

function validateRole(object: Json): Cause[] {
  const empty = (rule: unknown, key: string): boolean => asArray(at(rule, key)).length === 0;
  const causes = asArray(object['rules']).flatMap((rule, index) => {
    const missing = (key: string, why: string): Cause[] => (empty(rule, key) ? [required(`rules[${index}].${key}`, why)] : []);
    const verbs = missing('verbs', 'verbs must contain at least one value');
    if (!empty(rule, 'nonResourceURLs')) return verbs;
    return [
      ...verbs,
      ...missing('apiGroups', 'resource rules must supply at least one api group'),
      ...missing('resources', 'resource rules must supply at least one resource'),
    ];
  });
  return [...validateMeta(object, pathSegment), ...causes];
}

function references(hpa: KubeObject): string {
  return `${asString(at(hpa, 'spec', 'scaleTargetRef', 'kind'))}/${asString(at(hpa, 'spec', 'scaleTargetRef', 'name'))}`;
}

function targets(hpa: KubeObject): string {
  const metrics = asArray(at(hpa, 'spec', 'metrics'));
  if (metrics.length === 0) return '<none>';
  return metrics
    .map((metric, index) => {
      const source = asObject(
        at(
          metric,
          asString(at(metric, 'type')).replace(/^./, (first) => first.toLowerCase()),
        ),
      );
      const current = asObject(
        Object.values(asObject(asArray(at(hpa, 'status', 'currentMetrics'))[index])).find((item) => typeof item === 'object'),
      );
      const name = asString(source['name']);
      const wanted = at(source, 'target', 'averageUtilization');
      if (wanted !== undefined)
        return `${name}: ${at(current, 'current', 'averageUtilization') === undefined ? '<unknown>' : `${show(at(current, 'current', 'averageUtilization'))}%`}/${show(wanted)}%`;
      const value = at(source, 'target', 'averageValue') ?? at(source, 'target', 'value');
      return `${show(at(current, 'current', 'averageValue') ?? at(current, 'current', 'value') ?? '<unknown>')}/${show(value)}`;
    })
    .join(', ');
}

function sliceColumn(key: 'ports' | 'endpoints') {
  return (slice: KubeObject): string => {
    const items = asArray(slice[key]);
    const cells =
      key === 'ports'
        ? items.map((port) => show(at(port, 'port') ?? '*'))
        : items.flatMap((endpoint) => asArray(at(endpoint, 'addresses')).map(String));
    if (cells.length === 0) return '<unset>';
    return cells.length > 3 ? `${cells.slice(0, 3).join(',')} + ${cells.length - 3} more...` : cells.join(',');
  };
}

const subjects =
  (kind: string) =>
  (binding: KubeObject): string =>
    asArray(binding['subjects'])
      .filter((subject) => at(subject, 'kind') === kind)
      .map((subject) =>
        [at(subject, 'namespace'), at(subject, 'name')]
          .map(asString)
          .filter((part) => part !== '')
          .join('/'),
      )
      .join(', ');

const rbac = (plural: string, kind: string, namespaced: boolean): ResourceInfo => {
  const binding = kind.endsWith('Binding');
  return define({
    group: 'rbac.authorization.k8s.io',
    plural,
    kind,
    type: `V1${kind}`,
    namespaced,
    columns: binding
      ? [
          NAME,
          text('Role', (object) => `${asString(at(object, 'roleRef', 'kind'))}/${asString(at(object, 'roleRef', 'name'))}`),
          AGE,
          text('Users', subjects('User'), 1),
          text('Groups', subjects('Group'), 1),
          text('ServiceAccounts', subjects('ServiceAccount'), 1),
        ]
      : [NAME, text('Created At', (object) => object.metadata.creationTimestamp ?? '')],
    strategy: {
      validate: binding ? named(pathSegment) : validateRole,
      createOnUpdate: true,
      ...(binding ? { validateUpdate: frozenRole } : {}),
    },
  });
};

const coreEvents = core.find((info) => info.plural === 'events');

export const others: ResourceInfo[] = [
  define({
    group: 'autoscaling',
    version: 'v2',
    plural: 'horizontalpodautoscalers',
    kind: 'HorizontalPodAutoscaler',
    type: 'V2HorizontalPodAutoscaler',
    shortNames: ['hpa'],
    categories: ['all'],
    subresources: ['status'],
    columns: [
      NAME,
      text('Reference', references),
      text('Targets', targets),
      text('MinPods', (hpa) => show(at(hpa, 'spec', 'minReplicas') ?? '<unset>')),
      count('MaxPods', num('spec', 'maxReplicas')),
      count('Replicas', num('status', 'currentReplicas')),
      AGE,
    ],
    strategy: { defaults: defaultAutoscaler, validate: validateAutoscaler },
  }),
  define({
    group: 'coordination.k8s.io',
    plural: 'leases',
    kind: 'Lease',
    type: 'V1Lease',
    columns: [NAME, text('Holder', str('spec', 'holderIdentity')), AGE],
    strategy: { validate: validateLease, createOnUpdate: true, unconditionalUpdate: false },
  }),
  define({
    group: 'discovery.k8s.io',
    plural: 'endpointslices',
    kind: 'EndpointSlice',
    type: 'V1EndpointSlice',
    generation: true,
    columns: [
      NAME,
      text('AddressType', str('addressType')),
      text('Ports', sliceColumn('ports')),
      text('Endpoints', sliceColumn('endpoints')),
      AGE,
    ],
    strategy: {
      generationFrom: 'labels',
      defaults: defaultSlicePorts,
      validate: validateSlice,
      validateUpdate: (object, previous) =>
        object['addressType'] === previous['addressType']
          ? []
          : [invalidValue('addressType', object['addressType'], 'field is immutable')],
    },
  }),
  define({
    group: 'events.k8s.io',
    plural: 'events',
    kind: 'Event',
    type: 'EventsV1Event',
    shortNames: ['ev'],
    columns: coreEvents?.columns ?? [],
    strategy: { ...coreEvents?.strategy },
    overrides: { storageKey: '/events', fromStorage: eventToV1, toStorage: eventFromV1 },
  }),
  define({
    group: 'policy',
    plural: 'poddisruptionbudgets',
    kind: 'PodDisruptionBudget',
    type: 'V1PodDisruptionBudget',
    shortNames: ['pdb'],
    subresources: ['status'],
    generation: true,
    columns: [
      NAME,
      text('Min Available', (pdb) => show(at(pdb, 'spec', 'minAvailable') ?? 'N/A')),
      text('Max Unavailable', (pdb) => show(at(pdb, 'spec', 'maxUnavailable') ?? 'N/A')),
      count('Allowed Disruptions', num('status', 'disruptionsAllowed')),
      AGE,
    ],
    strategy: { validate: validateBudget, unconditionalUpdate: false },
  }),
  rbac('clusterrolebindings', 'ClusterRoleBinding', false),
  rbac('clusterroles', 'ClusterRole', false),
  rbac('rolebindings', 'RoleBinding', true),
  rbac('roles', 'Role', true),
];
