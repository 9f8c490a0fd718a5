/** The annotation that remembers what the user wrote where Sluice's destinations lie over it. */
import { z } from 'zod';
import { Annotations, faultInjection, slotName, trafficMatches } from '../../api/index.js';
import type { RouteExtras, Weights } from '../../engine/ports.js';
import type { KubeObject } from '../../kube/types.js';
import type { Identity } from './hosts.js';
import type { Live } from './schema.js';
import { isPartition } from './shares.js';

const rememberedRoute = z.object({
  /** Absent for http. */
  protocol: z.enum(['tls', 'tcp']).optional(),
  /** `name` of the route, where it has one; unnamed routes are found by their place. */
  name: z.string().optional(),
  index: z.int().min(0),
  /** The weight on each destination that is the Canary's, in order; null where none was written. */
  weights: z.array(z.int().min(0).nullable()),
});
export type RememberedRoute = z.infer<typeof rememberedRoute>;

const cookie = z.object({ name: z.string(), value: z.string(), attributes: z.string() });
const slotFault = faultInjection.extend({ slot: slotName });
const extras = z.object({
  slot: slotName,
  match: z.object({ when: trafficMatches(), weight: z.number(), control: z.literal(true).optional() }).optional(),
  mirror: z.number().optional(),
  fault: faultInjection.optional(),
  affinity: z.object({ canary: cookie, stable: cookie.optional() }).optional(),
});

/** The same extras with their fields in the order in which they are read back, so that equal ones have equal texts. */
export const inOrder = (value: RouteExtras): RouteExtras => extras.parse(value);

const ofSlots = z.object({ blue: z.string(), green: z.string() });
const entry = z.object({
  service: z.string(),
  slots: ofSlots,
  /** Services of the control arm, while the routes name one. */
  control: ofSlots.optional(),
  weights: z.object({ blue: z.number(), green: z.number() }).refine((weights: Weights) => isPartition(weights)),
  /** `service.virtualService.routes` of the Canary; absent: every route that sends to the Service. */
  only: z.array(z.string()).optional(),
  routes: z.array(rememberedRoute),
  /** Subsets by which the routes name the slots; absent: they name the slots' Services. */
  slotSubsets: ofSlots.optional(),
  /** Subsets of the user's that the slots have, because routes name them. */
  subsets: z.array(z.string()).optional(),
  /** What was asked for beside the weights; the routes that carry it are known by their names. */
  extras: extras.optional(),
  /** What befalls requests of the canary's pods that take the routes of this object. */
  fault: slotFault.optional(),
});
/** What lies on one VirtualService for one Canary. */
export type MemoEntry = z.infer<typeof entry>;

/** Whose routes an entry is about. */
export const identityOf = ({ service, slots, slotSubsets, control }: MemoEntry, namespace: string): Identity => ({
  service,
  slots,
  namespace,
  ...(slotSubsets ? { subsets: slotSubsets } : {}),
  ...(control ? { control } : {}),
});
/** The same as an entry says it. */
export const namesOf = ({ service, slots, subsets, control }: Identity, extras?: RouteExtras): Pick<MemoEntry, 'service' | 'slots' | 'slotSubsets' | 'control'> => ({
  service,
  slots: { blue: slots.blue, green: slots.green },
  ...(control && extras?.match?.control ? { control: { blue: control.blue, green: control.green } } : {}),
  ...(subsets ? { slotSubsets: { blue: subsets.blue, green: subsets.green } } : {}),
});

/** Several Canaries may share a VirtualService, so there is an entry for each, by name. */
const memo = z.object({ v: z.literal(1), canaries: z.record(z.string(), entry) });
export type Memo = z.infer<typeof memo>;

/** Kubernetes' limit for all annotations of one object, keys and values, in bytes. */
const ANNOTATIONS_LIMIT = 262_144;

/** What is remembered on an object. Text that cannot be read counts as none: the destinations themselves still say what is ours. */
export function readMemo(live: Live): Memo {
  const text = live.meta.annotations[Annotations.overlay];
  if (text === undefined) return { v: 1, canaries: {} };
  try {
    return memo.safeParse(JSON.parse(text)).data ?? { v: 1, canaries: {} };
  } catch {
    return { v: 1, canaries: {} };
  }
}

/** The memo of one Canary set, or taken away when `value` is undefined. */
export function withEntry(before: Memo, canary: string, value: MemoEntry | undefined): Memo {
  const others = Object.entries(before.canaries).filter(([name]) => name !== canary);
  return { v: 1, canaries: Object.fromEntries(value ? [...others, [canary, value] as const].sort(byName) : others) };
}
const byName = ([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number =>
  one < other ? -1 : one > other ? 1 : 0;

/** A copy of the object with this memo; without entries the annotation goes, and `annotations` with it when it was the last one. */
export function writeMemo(raw: KubeObject, value: Memo): KubeObject {
  if (Object.keys(value.canaries).length === 0) return without(raw, [Annotations.overlay]);
  return {
    ...raw,
    metadata: { ...raw.metadata, annotations: { ...annotationsOf(raw), [Annotations.overlay]: JSON.stringify(value) } },
  };
}

/** The same for an object that is given back: when nobody has an entry any more, the mark of the leader goes, too. */
export const writeLastMemo = (raw: KubeObject, value: Memo): KubeObject =>
  Object.keys(value.canaries).length === 0 ? without(raw, [Annotations.overlay, Annotations.epoch]) : writeMemo(raw, value);

function without(raw: KubeObject, keys: string[]): KubeObject {
  const before = annotationsOf(raw);
  if (!keys.some((key) => key in before)) return raw;
  const annotations = Object.fromEntries(Object.entries(before).filter(([key]) => !keys.includes(key)));
  const { annotations: _, ...metadata } = raw.metadata;
  return { ...raw, metadata: Object.keys(annotations).length > 0 ? { ...raw.metadata, annotations } : metadata };
}

const annotationsOf = (raw: KubeObject): Record<string, string> => {
  const annotations: unknown = raw.metadata?.annotations;
  return typeof annotations === 'object' && annotations !== null && !Array.isArray(annotations)
    ? (raw.metadata.annotations ?? {})
    : {};
};

/** True when the API server would refuse the object for the size of its annotations. */
export const annotationsTooLarge = (raw: KubeObject): boolean =>
  Object.entries(annotationsOf(raw)).reduce(
    (size, [key, value]) => size + Buffer.byteLength(key) + Buffer.byteLength(String(value)),
    0,
  ) > ANNOTATIONS_LIMIT;
