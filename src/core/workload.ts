import { Annotations, Labels, type CanarySpec, type SlotName } from '../api/index.js';
import type { KubeObject } from '../kube/types.js';
import { nowhere } from './daemon-set.js';
import { canaryNames } from './names.js';
import { renameConfigs, type ConfigReference, type PodTemplate } from './pod-template.js';

/** Who the objects of a Canary belong to. */
export interface Identity {
  name: string;
  namespace: string;
  spec: CanarySpec;
}

/** What a ControllerRevision of ours holds in `data`. */
export interface RevisionData {
  template: PodTemplate;
  configs: { kind: ConfigReference['kind']; name: string; snapshot: string | null }[];
}

/** Labels of everything that belongs to a slot. */
export const slotLabels = (identity: Identity, slot: SlotName): Record<string, string> => ({ [Labels.canary]: identity.name, [Labels.slot]: slot });

interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: unknown[];
}
interface SelectingTerm {
  labelSelector?: LabelSelector;
  podAffinityTerm?: SelectingTerm;
}

/**
 * Two copies of one application must not repel each other: rules by which pods avoid their own kind count only pods of the same
 * slot (trap K9).
 */
function narrowSpread(template: PodTemplate, labels: Record<string, string>, slot: SlotName): PodTemplate {
  const matchesSelf = (selector: LabelSelector | undefined): boolean =>
    selector?.matchLabels !== undefined && Object.entries(selector.matchLabels).every(([key, value]) => labels[key] === value);
  const narrow = <T extends SelectingTerm>(term: T): T =>
    matchesSelf(term.labelSelector)
      ? { ...term, labelSelector: { ...term.labelSelector, matchLabels: { ...term.labelSelector?.matchLabels, [Labels.slot]: slot } } }
      : term;
  const spec: Record<string, unknown> = { ...template.spec };
  const spread = spec['topologySpreadConstraints'];
  if (Array.isArray(spread)) spec['topologySpreadConstraints'] = spread.map((term: SelectingTerm) => narrow(term));
  const affinity = spec['affinity'] as { podAntiAffinity?: Record<string, unknown> } | undefined;
  if (affinity?.podAntiAffinity) {
    const rules: Record<string, unknown> = { ...affinity.podAntiAffinity };
    for (const [key, terms] of Object.entries(rules))
      if (Array.isArray(terms))
        rules[key] = terms.map((term: SelectingTerm) => (term.podAffinityTerm ? { ...term, podAffinityTerm: narrow(term.podAffinityTerm) } : narrow(term)));
    spec['affinity'] = { ...affinity, podAntiAffinity: rules };
  }
  return { ...template, spec: spec as PodTemplate['spec'] };
}

/** The pod template of a slot: the user's, plus our labels, with tracked configuration read from its frozen copies. */
function slotTemplate(identity: Identity, slot: SlotName, revision: string, data: RevisionData): PodTemplate {
  const snapshots = new Map(data.configs.map((config) => [`${config.kind}/${config.name}`, config.snapshot]));
  const frozen = renameConfigs(data.template, (kind, name) => snapshots.get(`${kind}/${name}`) ?? name);
  const labels = { ...frozen.metadata?.labels, ...slotLabels(identity, slot), [Labels.revision]: revision };
  return narrowSpread({ ...frozen, metadata: { ...frozen.metadata, labels } }, labels, slot);
}

/** Fields of the target's spec that apply to both slots without a run. */
const SHARED_FIELDS = ['strategy', 'updateStrategy', 'minReadySeconds', 'progressDeadlineSeconds', 'revisionHistoryLimit'] as const;

/** When `kubectl rollout restart` was last asked for; undefined for never. */
export function restartOf(workload: KubeObject | undefined): string | undefined {
  const spec = workload?.['spec'] as { template?: { metadata?: { annotations?: Record<string, unknown> } } } | undefined;
  const at = spec?.template?.metadata?.annotations?.[Annotations.restartedAt];
  return typeof at === 'string' ? at : undefined;
}

/** `kubectl rollout restart` of the target, whose pods-to-be are as young as it asks. */
function withRestart(template: PodTemplate, at: string | undefined): PodTemplate {
  if (at === undefined) return template;
  return { ...template, metadata: { ...template.metadata, annotations: { ...template.metadata?.annotations, [Annotations.restartedAt]: at } } };
}

/** The Deployment of a slot, or its DaemonSet. It has no owner: what serves traffic never goes by garbage collection (trap K1). */
export function slotWorkload(identity: Identity, slot: SlotName, revision: string, data: RevisionData, target: KubeObject | undefined, replicas: number): KubeObject {
  const targetSpec = (target?.['spec'] ?? {}) as Record<string, unknown>;
  const shared = Object.fromEntries(SHARED_FIELDS.flatMap((field) => (targetSpec[field] === undefined ? [] : [[field, targetSpec[field]]])));
  const template = withRestart(slotTemplate(identity, slot, revision, data), restartOf(target));
  const { kind } = identity.spec.targetRef;
  const size = kind === 'DaemonSet' ? { template: replicas > 0 ? template : nowhere(template) } : { replicas, template };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: {
      name: canaryNames(identity.spec).slots[slot],
      namespace: identity.namespace,
      labels: { ...slotLabels(identity, slot), [Labels.revision]: revision },
    },
    spec: { ...shared, ...size, selector: { matchLabels: slotLabels(identity, slot) } },
  };
}
