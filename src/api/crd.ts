import type { z } from 'zod';
import type { KubeObject, Resource } from '../kube/types.js';
import { GROUP, VERSION } from './common.js';
import { canarySpec } from './canary-spec.js';
import { canaryStatus } from './canary-status.js';
import {
  alertProviderSpec,
  canaryActionSpec,
  canaryActionStatus,
  gitSourceSpec,
  gitSourceStatus,
  readyStatus,
} from './others.js';
import { metricTemplateSpec } from './metric-template.js';
import { SluiceResources } from './resources.js';
import { structuralSchema, type StructuralSchema } from './structural.js';

/** `additionalPrinterColumns[]` of a CustomResourceDefinition. Columns with a priority above 0 show only with `-o wide`. */
export interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'date';
  jsonPath: string;
  priority?: number;
  description?: string;
}

/** One of Sluice's kinds, as its CustomResourceDefinition and its reference page describe it. */
export interface KindDefinition {
  resource: Resource;
  shortNames: string[];
  categories: string[];
  /** Of the kind, its spec and its status. */
  description: string;
  specDescription: string;
  statusDescription: string;
  spec: z.ZodType;
  status: z.ZodType;
  columns: PrinterColumn[];
  scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath: string };
}

const age: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
const ofCondition = (type: string, field: string) => `.status.conditions[?(@.type=="${type}")].${field}`;
const readyColumn: PrinterColumn = { name: 'Ready', type: 'string', jsonPath: ofCondition('Ready', 'status') };
const readyMessage: PrinterColumn = { name: 'Message', type: 'string', jsonPath: ofCondition('Ready', 'message'), priority: 1 };

const canary: KindDefinition = {
  resource: SluiceResources.Canary,
  shortNames: ['cn'],
  categories: ['sluice', 'all'],
  description:
    'A Canary releases the changes of one workload: each new revision gets traffic step by step, is judged on what callers measured, and is promoted or taken back.',
  specDescription: 'The workload, its routes and how its releases are judged.',
  statusDescription: 'What serves, and the release in progress. Written by the controller only.',
  spec: canarySpec,
  status: canaryStatus,
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' },
  columns: [
    { name: 'Status', type: 'string', jsonPath: '.status.phase', description: 'Phase of the release.' },
    {
      name: 'Weight',
      type: 'integer',
      jsonPath: '.status.canaryWeight',
      description: 'Percent of the traffic that the canary has.',
    },
    { name: 'Stable', type: 'string', jsonPath: '.status.stable.revision', description: 'Revision that serves.' },
    { name: 'Canary', type: 'string', jsonPath: '.status.canary.revision', description: 'Revision under release.' },
    // The API server shows the first match: the commit under release and, between releases, the one that serves.
    {
      name: 'Commit',
      type: 'string',
      jsonPath: `.status['canary','stable'].commit`,
      description: 'Commit under release, else the one that serves.',
    },
    age,
    { name: 'Failed-Checks', type: 'integer', jsonPath: '.status.failedChecks', priority: 1 },
    { name: 'Next-Step', type: 'string', jsonPath: '.status.nextStepTime', priority: 1 },
    { name: 'Reason', type: 'string', jsonPath: ofCondition('Progressing', 'reason'), priority: 1 },
    { name: 'Message', type: 'string', jsonPath: ofCondition('Progressing', 'message'), priority: 1 },
  ],
};

const canaryAction: KindDefinition = {
  resource: SluiceResources.CanaryAction,
  shortNames: ['ca'],
  categories: ['sluice'],
  description:
    'A CanaryAction is one thing that a person asks of a Canary: approve, hold, resume, abort, promote or retry. It is created once and never changed.',
  specDescription: 'What is asked, of which Canary, by whom. It cannot be changed.',
  statusDescription: 'What became of it. Written by the controller only.',
  spec: canaryActionSpec,
  status: canaryActionStatus,
  columns: [
    { name: 'Canary', type: 'string', jsonPath: '.spec.canary' },
    { name: 'Verb', type: 'string', jsonPath: '.spec.verb' },
    { name: 'Revision', type: 'string', jsonPath: '.spec.revision' },
    { name: 'By', type: 'string', jsonPath: '.spec.by' },
    { name: 'Result', type: 'string', jsonPath: '.status.result' },
    age,
    { name: 'Message', type: 'string', jsonPath: '.status.message', priority: 1 },
  ],
};

const gitSource: KindDefinition = {
  resource: SluiceResources.GitSource,
  shortNames: ['gits'],
  categories: ['sluice'],
  description: 'A GitSource follows a Git repository and applies the manifests in one of its folders.',
  specDescription: 'The repository, what to follow in it, and how to apply it.',
  statusDescription: 'What was fetched and applied. Written by the controller only.',
  spec: gitSourceSpec,
  status: gitSourceStatus,
  columns: [
    { name: 'URL', type: 'string', jsonPath: '.spec.url' },
    readyColumn,
    {
      name: 'Commit',
      type: 'string',
      jsonPath: '.status.appliedCommit',
      description: 'Newest commit all of whose objects were applied.',
    },
    age,
    { name: 'Reason', type: 'string', jsonPath: ofCondition('Ready', 'reason'), priority: 1 },
    readyMessage,
  ],
};

const metricTemplate: KindDefinition = {
  resource: SluiceResources.MetricTemplate,
  shortNames: ['mt'],
  categories: ['sluice'],
  description: 'A MetricTemplate is a query of your own that Canaries can be judged by.',
  specDescription: 'The query and the metrics server that answers it.',
  statusDescription: 'Whether it can be used. Written by the controller only.',
  spec: metricTemplateSpec,
  status: readyStatus,
  columns: [{ name: 'Provider', type: 'string', jsonPath: '.spec.provider.type' }, readyColumn, age, readyMessage],
};

const alertProvider: KindDefinition = {
  resource: SluiceResources.AlertProvider,
  shortNames: ['ap'],
  categories: ['sluice'],
  description: 'An AlertProvider is a place that messages about releases are sent to.',
  specDescription: 'The kind of receiver and its address.',
  statusDescription: 'Whether it can be used. Written by the controller only.',
  spec: alertProviderSpec,
  status: readyStatus,
  columns: [{ name: 'Type', type: 'string', jsonPath: '.spec.type' }, readyColumn, age, readyMessage],
};

/** Sluice's kinds, in the order in which the reference describes them. */
export const KINDS: readonly KindDefinition[] = [canary, canaryAction, gitSource, metricTemplate, alertProvider];

/** `spec.versions[].schema.openAPIV3Schema` of a kind. */
export function kindSchema(kind: KindDefinition): StructuralSchema {
  return {
    type: 'object',
    description: kind.description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `Version of this kind: ${GROUP}/${VERSION}.` },
      kind: { type: 'string', description: `Always ${kind.resource.kind}.` },
      metadata: { type: 'object' },
      spec: { ...structuralSchema(kind.spec), description: kind.specDescription },
      status: { ...structuralSchema(kind.status), description: kind.statusDescription },
    },
  };
}

function crd(kind: KindDefinition): KubeObject {
  const { plural, kind: name } = kind.resource;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: name,
        listKind: `${name}List`,
        plural,
        singular: name.toLowerCase(),
        shortNames: kind.shortNames,
        categories: kind.categories,
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: kindSchema(kind) },
          subresources: { status: {}, ...(kind.scale ? { scale: kind.scale } : {}) },
          additionalPrinterColumns: kind.columns,
        },
      ],
    },
  };
}

/** The CustomResourceDefinitions of all of Sluice's kinds: what `crds/` holds, without the files. */
export const crds = (): KubeObject[] => KINDS.map(crd);
