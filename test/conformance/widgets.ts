import type { Json } from './types.js';

const spec = {
  type: 'object',
  required: ['size'],
  'x-kubernetes-validations': [
    { rule: '!has(self.least) || self.least <= self.size', message: 'least must not exceed size' },
    {
      rule: "!has(self.owner) || self.owner.startsWith('team-')",
      messageExpression: '"owner " + self.owner + " is no team"',
      fieldPath: '.owner',
      reason: 'FieldValueForbidden',
    },
  ],
  properties: {
    size: { type: 'integer', format: 'int32', minimum: 1, maximum: 100 },
    least: { type: 'integer', exclusiveMinimum: true, minimum: 0 },
    owner: { type: 'string' },
    colour: { type: 'string', enum: ['red', 'green', 'blue'], default: 'red' },
    code: { type: 'string', pattern: '^[a-z]+$', minLength: 2, maxLength: 5 },
    ratio: { type: 'number', maximum: 1, multipleOf: 0.25 },
    on: { type: 'boolean' },
    port: { 'x-kubernetes-int-or-string': true },
    when: { type: 'string', format: 'date-time' },
    note: { type: 'string', nullable: true, default: 'none' },
    fixed: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'fixed may not change' }] },
    nested: {
      type: 'object',
      default: {},
      properties: {
        deep: { type: 'string', default: 'water' },
        steps: { type: 'array', maxItems: 3, minItems: 1, items: { type: 'integer' } },
      },
    },
    parts: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string' }, count: { type: 'integer', default: 1 } },
        'x-kubernetes-validations': [{ rule: 'self.count >= oldSelf.count', message: 'count may not shrink' }],
      },
    },
    tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    plain: { type: 'array', items: { type: 'string' } },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    limits: { type: 'object', additionalProperties: { type: 'integer' }, maxProperties: 2 },
    either: {
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: 'string' } },
      oneOf: [{ required: ['a'] }, { required: ['b'] }],
    },
  },
};

const schema = {
  openAPIV3Schema: {
    type: 'object',
    description: 'Widget is a thing to be tried out.',
    required: ['spec'],
    properties: {
      spec,
      status: {
        type: 'object',
        properties: {
          replicas: { type: 'integer' },
          selector: { type: 'string' },
          phase: { type: 'string', enum: ['New', 'Old'] },
          conditions: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['type'],
            items: {
              type: 'object',
              required: ['type', 'status'],
              properties: { type: { type: 'string' }, status: { type: 'string' } },
            },
          },
        },
      },
    },
  },
};

/** A CustomResourceDefinition that uses every part of a schema that the embedded API claims to know. */
export const widgetCrd: Json = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.conformance.dev' },
  spec: {
    group: 'conformance.dev',
    scope: 'Namespaced',
    names: {
      plural: 'widgets',
      singular: 'widget',
      kind: 'Widget',
      listKind: 'WidgetList',
      shortNames: ['wd'],
      categories: ['all', 'things'],
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema,
        selectableFields: [{ jsonPath: '.spec.colour' }],
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.size',
            statusReplicasPath: '.status.replicas',
            labelSelectorPath: '.status.selector',
          },
        },
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size', description: 'How big it is.' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Ratio', type: 'number', jsonPath: '.spec.ratio', priority: 1 },
          { name: 'Parts', type: 'string', jsonPath: '.spec.parts[*].name', priority: 1 },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
      },
      { name: 'v1alpha1', served: true, storage: false, deprecated: true, schema, subresources: { status: {} } },
      // Of its own: a server refuses selectable fields when all versions share one schema.
      {
        name: 'v0',
        served: false,
        storage: false,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

/** A cluster-wide kind without subresources or columns. */
export const gadgetCrd: Json = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gadgets.conformance.dev' },
  spec: {
    group: 'conformance.dev',
    scope: 'Cluster',
    names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget', listKind: 'GadgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

export const widget = (name: string, fields: Json = {}, metadata: Json = {}): Json => ({
  apiVersion: 'conformance.dev/v1',
  kind: 'Widget',
  metadata: { name, ...metadata },
  spec: { size: 5, ...fields },
});
export const WIDGETS = '/apis/conformance.dev/v1/namespaces/{{ns}}/widgets';
