import type { CanarySpec, SlotName } from '../api/index.js';

/** Field managers that Sluice writes with: its controller, and its Git sync. */
export const OWN_MANAGERS: readonly string[] = ['sluice', 'sluice-git'];

export const SLOTS: readonly SlotName[] = ['blue', 'green'];
export const otherSlot = (slot: SlotName): SlotName => (slot === 'blue' ? 'green' : 'blue');

/** True when routes tell the slots apart by subsets of one Service. */
export const hasSubsets = (spec: CanarySpec): boolean => spec.service.routing === 'subsets';

/** True when a share of the matching requests stays with the stable version, by a Service that tells them apart. */
export const hasControl = (spec: CanarySpec): boolean => spec.analysis?.control === true && !hasSubsets(spec);

const CONTROL_SUFFIX = '-control';

interface Names {
  service: string;
  slots: Record<SlotName, string>;
  /** With `routing: subsets`. */
  subsets?: Record<SlotName, string>;
  /** With `analysis.control`: beside each slot's Service, a second one for the same pods. */
  control?: Record<SlotName, string>;
}

/** The Service that callers use, the Deployment and Service of each slot (one name for both), and what else routes name. */
export function canaryNames(spec: CanarySpec): Names {
  const service = spec.service.name ?? spec.targetRef.name;
  const { blue, green } = spec.service.slots;
  const slots = { blue: `${service}-${blue}`, green: `${service}-${green}` };
  return { service, slots, ...(hasSubsets(spec) ? { subsets: { blue, green } } : {}), ...(hasControl(spec) ? { control: controlNames(slots) } : {}) };
}

/** Services of the control arm, wanted or not: those of a Canary that wanted one before are still its own. */
export const controlNames = ({ blue, green }: Record<SlotName, string>): Record<SlotName, string> => ({ blue: blue + CONTROL_SUFFIX, green: green + CONTROL_SUFFIX });

/**
 * The Service that has the stable version's side of a comparison.
 * @param slot the stable version's
 * @param match of the step in force
 */
export function comparedService(spec: CanarySpec, slot: SlotName, match: { control?: true | undefined } | undefined): string {
  const { slots, control } = canaryNames(spec);
  return (match?.control && control ? control : slots)[slot];
}

/** The user's own VirtualServices that carry the weights, and the routes of each; none: a generated one does. */
export const ownVirtualServices = ({ service }: CanarySpec): { name: string; routes?: string[] | undefined }[] =>
  service.virtualServices ?? (service.virtualService ? [service.virtualService] : []);

/** Name of the ControllerRevision that keeps a revision. */
export const revisionName = (spec: CanarySpec, revision: string): string => `${spec.targetRef.name}-${revision}`;
