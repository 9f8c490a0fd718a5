import { invalidValue, required, unsupportedValue, type Cause } from '../errors.js';
import { asObject, at, clone, deepEqual, ensureObject, isObject, own, setDefault, show, type Json } from '../json.js';
import { selectorMatches } from '../selectors.js';
import type { ResourceInfo, ScalePaths } from '../types.js';
import { dns1123Subdomain, validateLabels, validateMeta, validateSelector } from '../validation/names.js';
import { validatePodSpec } from '../validation/pods.js';
import { AGE, DAEMON_SET, DEPLOYMENT, NAME, REPLICA_SET, STATEFUL_SET, count, num, text } from './columns.js';
import { define } from './define.js';
import { defaultTemplate } from './pod-defaults.js';

const IMMUTABLE = 'field is immutable';

const SCALE: ScalePaths = {
  specReplicas: ['spec', 'replicas'],
  statusReplicas: ['status', 'replicas'],
  labelSelector: ['spec', 'selector'],
};

const spec = (object: Json): Json => ensureObject(object, 'spec');

function defaultDeployment(object: Json): void {
  const fields = spec(object);
  setDefault(fields, 'replicas', 1);
  setDefault(fields, 'revisionHistoryLimit', 10);
  setDefault(fields, 'progressDeadlineSeconds', 600);
  const strategy = ensureObject(fields, 'strategy');
  setDefault(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', '25%');
    setDefault(rolling, 'maxSurge', '25%');
  }
  defaultTemplate(own(fields, 'template'));
}

function defaultStatefulSet(object: Json): void {
  const fields = spec(object);
  setDefault(fields, 'replicas', 1);
  setDefault(fields, 'revisionHistoryLimit', 10);
  setDefault(fields, 'podManagementPolicy', 'OrderedReady');
  setDefault(fields, 'persistentVolumeClaimRetentionPolicy', { whenDeleted: 'Retain', whenScaled: 'Retain' });
  const strategy = ensureObject(fields, 'updateStrategy');
  setDefault(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') setDefault(ensureObject(strategy, 'rollingUpdate'), 'partition', 0);
  defaultTemplate(own(fields, 'template'));
}

function defaultDaemonSet(object: Json): void {
  setDefault(ensureObject(ensureObject(object, 'metadata'), 'annotations'), TEMPLATE_GENERATION, '1');
  const fields = spec(object);
  setDefault(fields, 'revisionHistoryLimit', 10);
  const strategy = ensureObject(fields, 'updateStrategy');
  setDefault(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', 1);
    setDefault(rolling, 'maxSurge', 0);
  }
  defaultTemplate(own(fields, 'template'));
}

/** Which template of a DaemonSet this is, counted since it was made. */
const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

function countTemplate(object: Json, previous: Json): void {
  const before = Number(at(previous, 'metadata', 'annotations', TEMPLATE_GENERATION) ?? 1);
  const same = deepEqual(at(object, 'spec', 'template'), at(previous, 'spec', 'template'));
  ensureObject(ensureObject(object, 'metadata'), 'annotations')[TEMPLATE_GENERATION] = String(same ? before : before + 1);
}

function nonNegative(object: Json, ...keys: string[]): Cause[] {
  return keys.flatMap((key) => {
    const value = at(object, 'spec', key);
    return typeof value === 'number' && value < 0
      ? [invalidValue(`spec.${key}`, value, 'must be greater than or equal to 0')]
      : [];
  });
}

/** What Deployments, ReplicaSets, StatefulSets and DaemonSets have in common: replicas, selector, template. */
function validateWorkload(object: Json): Cause[] {
  const causes = [
    ...validateMeta(object, dns1123Subdomain),
    ...nonNegative(object, 'replicas', 'minReadySeconds', 'revisionHistoryLimit'),
  ];
  const selector = at(object, 'spec', 'selector');
  const template = at(object, 'spec', 'template');
  const labels = asObject(at(template, 'metadata', 'labels'));
  const unselected = invalidValue(
    'spec.template.metadata.labels',
    at(template, 'metadata', 'labels') ?? null,
    '`selector` does not match template `labels`',
  );
  if (selector === undefined || selector === null)
    causes.push(required('spec.selector'), ...(isObject(template) && Object.keys(labels).length > 0 ? [unselected] : []));
  else {
    const empty =
      Object.keys(asObject(at(selector, 'matchLabels'))).length === 0 && at(selector, 'matchExpressions') === undefined;
    if (empty) causes.push(invalidValue('spec.selector', selector, 'empty selector is invalid for deployment'));
    const wrong = validateSelector(selector, 'spec.selector');
    causes.push(...wrong, ...(wrong.length > 0 ? [invalidValue('spec.selector', selector, 'invalid label selector')] : []));
    if (wrong.length > 0) return causes;
  }
  if (!isObject(template)) return [...causes, required('spec.template')];
  if (isObject(selector) && !selectorMatches(selector, labels)) {
    causes.push(unselected);
  }
  causes.push(...validateLabels(labels, 'spec.template.metadata.labels'));
  return [...causes, ...validatePodSpec(at(template, 'spec'), 'spec.template.spec', ['Always'])];
}

/** Counts of a status, which hold together: none is negative, and no more are ready than there are. */
function validateCounts(status: unknown, keys: string[]): Cause[] {
  const count = (key: string): number => Number(at(status, key) ?? 0);
  const causes = keys
    .filter((key) => count(key) < 0)
    .map((key) => invalidValue(`status.${key}`, count(key), 'must be greater than or equal to 0'));
  for (const key of keys) {
    if (key !== 'replicas' && key !== 'observedGeneration' && count(key) > count('replicas'))
      causes.push(invalidValue(`status.${key}`, count(key), 'cannot be greater than status.replicas'));
  }
  if (count('availableReplicas') > count('readyReplicas'))
    causes.push(invalidValue('status.availableReplicas', count('availableReplicas'), 'cannot be greater than readyReplicas'));
  return causes;
}

const DEPLOYMENT_COUNTS = ['observedGeneration', 'replicas', 'updatedReplicas', 'readyReplicas', 'availableReplicas'];
const REPLICA_SET_COUNTS = ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'];

const PERCENT = /^(\d+)%$/;

function validateRolling(object: Json): Cause[] {
  const strategy = at(object, 'spec', 'strategy');
  const rolling = at(strategy, 'rollingUpdate');
  const causes: Cause[] = [];
  const type = at(strategy, 'type');
  if (type !== 'Recreate' && type !== 'RollingUpdate')
    return [unsupportedValue('spec.strategy', { Type: type, RollingUpdate: rolling ?? null }, ['Recreate', 'RollingUpdate'])];
  if (type === 'Recreate' && rolling !== undefined && rolling !== null) {
    return [
      {
        reason: 'FieldValueForbidden',
        message: "Forbidden: may not be specified when strategy `type` is 'Recreate'",
        field: 'spec.strategy.rollingUpdate',
      },
    ];
  }
  for (const key of ['maxUnavailable', 'maxSurge']) {
    const value = at(rolling, key);
    const bad = typeof value === 'string' ? !PERCENT.test(value) : typeof value === 'number' && value < 0;
    if (bad) {
      const detail =
        typeof value === 'string'
          ? "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
          : 'must be greater than or equal to 0';
      causes.push(invalidValue(`spec.strategy.rollingUpdate.${key}`, value, detail));
    }
  }
  const zero = (value: unknown): boolean => value === 0 || value === '0%';
  if (zero(at(rolling, 'maxUnavailable')) && zero(at(rolling, 'maxSurge'))) {
    causes.push(invalidValue('spec.strategy.rollingUpdate.maxUnavailable', 0, 'may not be 0 when `maxSurge` is 0'));
  }
  return causes;
}

function validateDeployment(object: Json): Cause[] {
  const causes = [...validateWorkload(object), ...validateRolling(object), ...nonNegative(object, 'progressDeadlineSeconds')];
  const deadline = at(object, 'spec', 'progressDeadlineSeconds');
  const ready = at(object, 'spec', 'minReadySeconds') ?? 0;
  if (typeof deadline === 'number' && typeof ready === 'number' && deadline <= ready) {
    causes.push(invalidValue('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  }
  return causes;
}

const immutableSelector = (object: Json, previous: Json): Cause[] => {
  const selector = at(object, 'spec', 'selector');
  return deepEqual(selector, at(previous, 'spec', 'selector')) ? [] : [invalidValue('spec.selector', selector, IMMUTABLE)];
};

const STATEFUL_MUTABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

function validateStatefulSetUpdate(object: Json, previous: Json): Cause[] {
  const after = clone(asObject(object['spec']));
  const before = asObject(previous['spec']);
  for (const key of STATEFUL_MUTABLE) {
    if (Object.hasOwn(before, key)) after[key] = before[key];
    else delete after[key];
  }
  const quoted = STATEFUL_MUTABLE.map((key) => `'${key}'`);
  const listed = `${quoted.slice(0, -1).join(', ')} and ${quoted.at(-1)}`;
  return deepEqual(after, before)
    ? []
    : [
        {
          reason: 'FieldValueForbidden',
          message: `Forbidden: updates to statefulset spec for fields other than ${listed} are forbidden`,
          field: 'spec',
        },
      ];
}

function validateRevision(object: Json): Cause[] {
  const revision = object['revision'];
  const causes = validateMeta(object, dns1123Subdomain);
  if (typeof revision === 'number' && revision < 0)
    causes.push(invalidValue('revision', revision, 'must be greater than or equal to 0'));
  return causes;
}

export const apps: ResourceInfo[] = [
  define({
    group: 'apps',
    plural: 'controllerrevisions',
    kind: 'ControllerRevision',
    type: 'V1ControllerRevision',
    columns: [NAME, text('Controller', controllerOf), count('Revision', num('revision')), AGE],
    strategy: {
      validate: validateRevision,
      validateUpdate: (object, previous) =>
        deepEqual(object['data'], previous['data']) ? [] : [invalidValue('data', object['data'], IMMUTABLE)],
    },
  }),
  define({
    group: 'apps',
    plural: 'daemonsets',
    kind: 'DaemonSet',
    type: 'V1DaemonSet',
    shortNames: ['ds'],
    categories: ['all'],
    subresources: ['status'],
    generation: true,
    columns: DAEMON_SET,
    strategy: {
      defaults: defaultDaemonSet,
      prepareUpdate: countTemplate,
      validate: validateWorkload,
      validateUpdate: immutableSelector,
    },
  }),
  define({
    group: 'apps',
    plural: 'deployments',
    kind: 'Deployment',
    type: 'V1Deployment',
    shortNames: ['deploy'],
    categories: ['all'],
    subresources: ['status', 'scale'],
    generation: true,
    columns: DEPLOYMENT,
    strategy: {
      defaults: defaultDeployment,
      validate: validateDeployment,
      validateUpdate: (object, previous) => [
        ...immutableSelector(object, previous),
        ...validateCounts(object['status'], DEPLOYMENT_COUNTS),
      ],
      generationFrom: 'annotations',
    },
    overrides: { scale: SCALE },
  }),
  define({
    group: 'apps',
    plural: 'replicasets',
    kind: 'ReplicaSet',
    type: 'V1ReplicaSet',
    shortNames: ['rs'],
    categories: ['all'],
    subresources: ['status', 'scale'],
    generation: true,
    columns: REPLICA_SET,
    strategy: {
      defaults: (object) => {
        setDefault(spec(object), 'replicas', 1);
        defaultTemplate(at(object, 'spec', 'template'));
      },
      validate: validateWorkload,
      validateUpdate: (object, previous) => [
        ...immutableSelector(object, previous),
        ...validateCounts(object['status'], REPLICA_SET_COUNTS),
      ],
      selectableFields: (object) => ({ 'status.replicas': show(at(object, 'status', 'replicas') ?? 0) }),
    },
    overrides: { scale: SCALE },
  }),
  define({
    group: 'apps',
    plural: 'statefulsets',
    kind: 'StatefulSet',
    type: 'V1StatefulSet',
    shortNames: ['sts'],
    categories: ['all'],
    subresources: ['status', 'scale'],
    generation: true,
    columns: STATEFUL_SET,
    strategy: { defaults: defaultStatefulSet, validate: validateWorkload, validateUpdate: validateStatefulSetUpdate },
    overrides: { scale: SCALE },
  }),
];

function controllerOf(object: {
  metadata: { ownerReferences?: { controller?: boolean; kind: string; name: string; apiVersion: string }[] };
}): string {
  const owner = object.metadata.ownerReferences?.find((item) => item.controller === true);
  if (owner === undefined) return '<none>';
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}
