import type { CanarySpec, SlotName } from '../api/index.js';

export const SLOTS: readonly SlotName[] = ['blue', 'green'];
export const otherSlot = (slot: SlotName): SlotName => (slot === 'blue' ? 'green' : 'blue');

/** The Service that callers use, and the Deployment and Service of each slot (one name for both). */
export function canaryNames(spec: CanarySpec): { service: string; slots: Record<SlotName, string> } {
  const service = spec.service.name ?? spec.targetRef.name;
  const { blue, green } = spec.service.slots;
  return { service, slots: { blue: `${service}-${blue}`, green: `${service}-${green}` } };
}

/** Name of the ControllerRevision that keeps a revision. */
export const revisionName = (spec: CanarySpec, revision: string): string => `${spec.targetRef.name}-${revision}`;
