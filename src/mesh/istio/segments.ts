/**
 * One `spec.http[].route` list, taken apart: what the user sends to the Canary's Service (still as written, or already as two
 * slot destinations) and what goes elsewhere.
 */
import type { SlotName } from '../../api/index.js';
import type { Weights } from '../../engine/ports.js';
import { ownerOf, readdress, userSubset } from './addresses.js';
import type { Identity } from './hosts.js';
import { readDestination } from './schema.js';
import { apportion, splitShare } from './shares.js';

type Item = Record<string, unknown>;

/** A destination that is the Canary's; `suffix` is how the user spells the host after the Service's name. */
interface Part {
  item: Item;
  weight?: number;
  suffix: string;
}
export type Segment =
  | { kind: 'other'; item: unknown; weight: number }
  | { kind: 'plain'; part: Part }
  | { kind: 'pair'; parts: Partial<Record<SlotName, Part>> };

export interface RouteReading {
  segments: Segment[];
  /** Why the list cannot be rewritten; empty when it can. */
  faults: string[];
}

type Classified =
  { kind: 'other'; item: unknown; weight: number } | { kind: 'plain'; part: Part } | { kind: SlotName; part: Part };

function classify(raw: unknown, position: number, id: Identity, faults: string[]): Classified {
  const read = readDestination(raw);
  if (!read) {
    faults.push(`destination ${position + 1} cannot be read: expected destination.host and a weight that is a whole number`);
    return { kind: 'other', item: raw, weight: 0 };
  }
  const found = ownerOf(read.destination, id);
  if (!found) return { kind: 'other', item: raw, weight: read.weight ?? 0 };
  const { owner, suffix } = found;
  return { kind: owner === 'service' ? 'plain' : owner, part: { item: raw as Item, weight: read.weight, suffix } };
}

/** Index of the slot destination that belongs with the one at `at`: the nearest later one of the other slot; -1 without one. */
function partnerOf(classified: Classified[], at: number, taken: Set<number>): number {
  const wanted = classified[at]?.kind === 'blue' ? 'green' : 'blue';
  return classified.findIndex((other, i) => i > at && other.kind === wanted && !taken.has(i));
}

/** Take one route list apart. Never throws; what is not understood is `other` and named in `faults`. */
export function readRoute(route: unknown[], id: Identity): RouteReading {
  const faults: string[] = [];
  const classified = route.map((raw, i) => classify(raw, i, id, faults));
  const taken = new Set<number>();
  const segments: Segment[] = [];
  classified.forEach((entry, i) => {
    if (taken.has(i)) return;
    if (entry.kind === 'other' || entry.kind === 'plain') {
      segments.push(entry);
      return;
    }
    const partner = partnerOf(classified, i, taken);
    const other = classified[partner];
    const parts: Partial<Record<SlotName, Part>> = { [entry.kind]: entry.part };
    if (other?.kind === 'blue' || other?.kind === 'green') {
      parts[other.kind] = other.part;
      taken.add(partner);
    }
    segments.push({ kind: 'pair', parts });
  });
  return { segments, faults };
}

/** Names of the user's subsets that the Canary's destinations send to; each slot has one for each. */
export const subsetsOf = (segments: Segment[], id: Identity): string[] =>
  segments.flatMap((segment) => {
    const parts = segment.kind === 'plain' ? [segment.part] : segment.kind === 'pair' ? Object.values(segment.parts) : [];
    return parts.flatMap(({ item }) => {
      const read = readDestination(item);
      return (read && userSubset(read.destination, id)) ?? [];
    });
  });

export const isOwn = (segment: Segment): boolean => segment.kind !== 'other';
export const isPair = (segment: Segment): boolean => segment.kind === 'pair';

const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Weight that the live object gives to a segment. */
function weightOf(segment: Segment): number {
  if (segment.kind === 'other') return segment.weight;
  if (segment.kind === 'plain') return segment.part.weight ?? 0;
  return (segment.parts.blue?.weight ?? 0) + (segment.parts.green?.weight ?? 0);
}

/**
 * Percent of the route per segment, summing to 100, or why there is no such division. A route's only destination gets everything,
 * whatever its weight says (so does Istio). Slot weights that somebody tampered with give way to what the user wrote beside them.
 * @param remembered what the user wrote on the Canary's own destinations, in order; it counts where it still fits.
 */
export function sharesOf(segments: Segment[], remembered: (number | null)[] = []): number[] | string {
  if (segments.length === 1) return [100];
  const weights = segments.map(weightOf);
  const total = sum(weights);
  if (total === 100) return weights;
  const pairs = segments.flatMap((segment, i) => (isPair(segment) ? [i] : []));
  const left = 100 - sum(weights.filter((_, i) => !pairs.includes(i)));
  if (pairs.length === 0 || left < 0) {
    return `its weights sum to ${pairs.length === 0 ? total : `${100 - left} without the slots`}, and dividing them needs weights that sum to 100; write them in percent`;
  }
  const own = segments.flatMap((segment, i) => (isOwn(segment) ? [i] : []));
  const before = pairs.map((i) => remembered[own.indexOf(i)] ?? 0);
  const shared =
    sum(before) === left
      ? before
      : apportion(
          left,
          pairs.map((i) => weights[i] ?? 0),
        );
  return weights.map((weight, i) => (pairs.includes(i) ? (shared[pairs.indexOf(i)] ?? 0) : weight));
}

const ledTo = ({ item, suffix }: Part, to: SlotName | 'service', id: Identity): Item => ({
  ...item,
  destination: readdress(item.destination as Item, suffix, to, id),
});

/** The two slot destinations of a segment that is the Canary's, blue first, both always listed. */
function slotItems(segment: Exclude<Segment, { kind: 'other' }>, parts: Weights, id: Identity): Item[] {
  return (['blue', 'green'] as const).map((slot) => {
    const source = segment.kind === 'plain' ? segment.part : (segment.parts[slot] ?? segment.parts.blue ?? segment.parts.green);
    return structuredClone({ ...ledTo(source as Part, slot, id), weight: parts[slot] });
  });
}

/** The route list with every destination of the Canary divided between the slots. */
export function layRoute(segments: Segment[], shares: number[], weights: Weights, id: Identity): unknown[] {
  return segments.flatMap((segment, i) =>
    segment.kind === 'other' ? [segment.item] : slotItems(segment, splitShare(shares[i] ?? 0, weights), id),
  );
}

/**
 * The weight that the user wrote on each destination of the Canary, null where none was written, in order. `remembered` is
 * believed only while it means the same traffic as the live object; otherwise somebody has edited the route since.
 */
export function userWeights(segments: Segment[], shares: number[], remembered: (number | null)[] | undefined): (number | null)[] {
  const alone = segments.length === 1;
  const own = segments.flatMap((segment, i) => (segment.kind === 'other' ? [] : [{ segment, share: shares[i] ?? 0 }]));
  return own.map(({ segment, share }, j) => {
    if (segment.kind === 'plain') return segment.part.weight ?? null;
    const memory = remembered?.[j];
    if (memory !== undefined && (alone || (memory ?? 0) === share)) return memory;
    return alone ? null : share;
  });
}

/** The one destination that two slot destinations stand for. When their texts differ, what serves most callers stays. */
function collapse(parts: Partial<Record<SlotName, Part>>, weight: number | null, id: Identity): Item {
  const { blue, green } = parts;
  const source = blue && green ? ((green.weight ?? 0) > (blue.weight ?? 0) ? green : blue) : (blue ?? green);
  const item = ledTo(source as Part, 'service', id);
  if (weight !== null) item.weight = weight;
  else delete item.weight;
  return item;
}

/** The route list as the user wrote it. */
export function restoreRoute(segments: Segment[], remembered: (number | null)[] | undefined, id: Identity): unknown[] {
  const shares = sharesOf(segments, remembered);
  const weights = userWeights(segments, typeof shares === 'string' ? segments.map(weightOf) : shares, remembered);
  let own = 0;
  return segments.map((segment) => {
    if (segment.kind === 'other') return segment.item;
    const weight = weights[own++] ?? null;
    return segment.kind === 'plain' ? segment.part.item : collapse(segment.parts, weight, id);
  });
}

/** What a pair of slot destinations gets in the live object; a route's only destination gets everything. */
export function pairWeights(segments: Segment[], segment: Segment): Weights {
  if (segment.kind !== 'pair') return { blue: 0, green: 0 };
  const { blue, green } = segment.parts;
  if (segments.length === 1 && !(blue && green)) return { blue: blue ? 100 : 0, green: green ? 100 : 0 };
  return { blue: blue?.weight ?? 0, green: green?.weight ?? 0 };
}
