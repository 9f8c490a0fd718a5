/**
 * How a destination names a slot: by the host of the slot's Service, or by a subset of the Service that all callers use. Such a
 * subset is called after the slot, `blue`; where the user's route named a subset of their own, after both: `v1-blue`.
 */
import type { SlotName } from '../../api/index.js';
import { hostSuffix, type Identity } from './hosts.js';

interface Destination {
  host: string;
  subset?: string | undefined;
}
type Owner = SlotName | 'service';
const SLOTS = ['blue', 'green'] as const;

/** Name of the slot's subset that stands for the user's; undefined is what the user writes for the whole Service. */
export const slotSubset = (user: string | undefined, slot: SlotName, subsets: Record<SlotName, string>): string =>
  user === undefined ? subsets[slot] : `${user}-${subsets[slot]}`;

/** The slot that a subset is of, and the subset of the user's that it stands for. */
function readSubset(subset: string | undefined, { subsets, taken = [] }: Identity): { slot?: SlotName; user?: string | undefined } {
  if (subset === undefined || !subsets || taken.includes(subset)) return { user: subset };
  const slot = SLOTS.find((name) => subset === subsets[name] || subset.endsWith(`-${subsets[name]}`));
  if (!slot) return { user: subset };
  return { slot, user: subset === subsets[slot] ? undefined : subset.slice(0, -subsets[slot].length - 1) };
}

/** Whose a destination is, and how its host is spelled after the Service's name. Undefined: not the Canary's. */
export function ownerOf({ host, subset }: Destination, id: Identity): { owner: Owner; suffix: string } | undefined {
  const suffix = hostSuffix(host, id.service, id.namespace);
  if (id.subsets) return suffix === undefined ? undefined : { owner: readSubset(subset, id).slot ?? 'service', suffix };
  for (const slot of SLOTS) {
    const hosts = [id.slots[slot], ...(id.control ? [id.control[slot]] : [])];
    const ofSlot = hosts.map((name) => hostSuffix(host, name, id.namespace)).find((found) => found !== undefined);
    if (ofSlot !== undefined) return { owner: slot, suffix: ofSlot };
  }
  return suffix === undefined ? undefined : { owner: 'service', suffix };
}

/** The slot that a destination leads to. */
export function slotOf(destination: Destination, id: Identity): SlotName | undefined {
  const owner = ownerOf(destination, id)?.owner;
  return owner === 'service' ? undefined : owner;
}

/** The subset of the user's that a destination of the Canary names, or stands for. */
export const userSubset = ({ subset }: Destination, id: Identity): string | undefined => readSubset(subset, id).user;

/** A destination of the Canary led to somebody else of it; every other field, and their order, stay. */
export function readdress(destination: Record<string, unknown>, suffix: string, to: Owner, id: Identity): Record<string, unknown> {
  if (!id.subsets) return { ...destination, host: `${to === 'service' ? id.service : id.slots[to]}${suffix}` };
  const { subset, ...whole } = destination as { subset?: string };
  const user = readSubset(subset, id).user;
  const wanted = to === 'service' ? user : slotSubset(user, to, id.subsets);
  return wanted === undefined ? whole : { ...destination, subset: wanted };
}
