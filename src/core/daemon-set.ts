import { Labels } from '../api/index.js';
import { pointer } from './overlay.js';

/**
 * A DaemonSet has a pod on each node that its template fits, and no number of replicas. It runs none while the template asks for a
 * label that no node has.
 */
export const NOWHERE = { [Labels.nowhere]: 'true' } as const;
/** The field that an overlay lays over a target of this kind. */
export const NOWHERE_FIELD = pointer('spec', 'template', 'spec', 'nodeSelector', Labels.nowhere);

/** What of a pod's spec says where it runs. */
interface Placed {
  nodeSelector?: unknown;
  [field: string]: unknown;
}

const selectorOf = (spec: Placed): Record<string, unknown> => (typeof spec.nodeSelector === 'object' && spec.nodeSelector !== null ? (spec.nodeSelector as Record<string, unknown>) : {});

/** True for the template of pods that run nowhere. */
export const runsNowhere = (template: { spec: Placed } | undefined): boolean => template !== undefined && Labels.nowhere in selectorOf(template.spec);

/** The template as its user means it: that it runs nowhere for now is no part of a revision. */
export function withoutNowhere<T extends { spec: Placed }>(template: T): T {
  if (!runsNowhere(template)) return template;
  const { [Labels.nowhere]: _, ...others } = selectorOf(template.spec);
  const { nodeSelector: __, ...spec } = template.spec;
  return { ...template, spec: Object.keys(others).length > 0 ? { ...spec, nodeSelector: others } : spec };
}

export const nowhere = <T extends { spec: Placed }>(template: T): T => ({ ...template, spec: { ...template.spec, nodeSelector: { ...selectorOf(template.spec), ...NOWHERE } } });
