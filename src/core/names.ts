import type { CanarySpec, SlotName } from '../api/index.js';

/** Field managers that Sluice writes with: its controller, and its Git sync. */
export const OWN_MANAGERS: readonly string[] = ['sluice', 'sluice-git'];

export const SLOTS: readonly SlotName[] = ['blue', 'green'];
export const otherSlot = (slot: SlotName): SlotName => (slot === 'blue' ? 'green' : 'blue');

/** True when routes tell the slots apart by subsets of one Service. */
export const hasSubsets = (spec: CanarySpec): boolean => spec.service.routing === 'subsets';

/** The Service that callers use, the Deployment and Service of each slot (one name for both), and, with `routing: subsets`, the slots' subsets. */
export function canaryNames(spec: CanarySpec): { service: string; slots: Record<SlotName, string>; subsets?: Record<SlotName, string> } {
  const service = spec.service.name ?? spec.targetRef.name;
  const { blue, green } = spec.service.slots;
  return { service, slots: { blue: `${service}-${blue}`, green: `${service}-${green}` }, ...(hasSubsets(spec) ? { subsets: { blue, green } } : {}) };
}

/** The user's own VirtualServices that carry the weights, and the routes of each; none: a generated one does. */
export const ownVirtualServices = ({ service }: CanarySpec): { name: string; routes?: string[] | undefined }[] =>
  service.virtualServices ?? (service.virtualService ? [service.virtualService] : []);

/** Name of the ControllerRevision that keeps a revision. */
export const revisionName = (spec: CanarySpec, revision: string): string => `${spec.targetRef.name}-${revision}`;
