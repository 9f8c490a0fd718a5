/** `service.virtualService`: the user's own VirtualService. */
import { isDeepStrictEqual } from 'node:util';
import type { ObjectWrite, Problem, RoutePlan, Weights } from '../../engine/ports.js';
import type { KubeObject } from '../../kube/types.js';
import { sameIdentity, type Identity } from './hosts.js';
import { annotationsTooLarge, readMemo, withEntry, writeMemo, type Memo, type MemoEntry } from './memo.js';
import type { Live } from './schema.js';
import { lay, recall, restore, routeTitle, targetsOf, type Laid } from './overlay.js';
import { isPair } from './segments.js';
import { isGeneratedFor, title, write } from './writes.js';

/** Whose routes: the Canary's name, its Services, and the routes that it is confined to. */
export interface Shift {
  canary: string;
  id: Identity;
  only: string[] | undefined;
}

const titleOf = (live: Live): string => title('VirtualService', live.meta.namespace, live.meta.name);
const identityOf = (entry: MemoEntry, namespace: string): Identity => ({ service: entry.service, slots: entry.slots, namespace });

/** One Canary's destinations and memo laid on `raw`. */
function layEntry(
  raw: KubeObject,
  memo: Memo,
  { canary, id, only }: Shift,
  weights: Weights,
  name: string,
): Laid & { memo: Memo } {
  const before = memo.canaries[canary];
  const renamed = before && !sameIdentity(identityOf(before, id.namespace), id);
  const base = renamed ? restore(raw, identityOf(before, id.namespace), before.routes, () => true) : raw;
  const laid = lay(base, id, only, weights, before, name);
  const entry: MemoEntry = {
    service: id.service,
    slots: { blue: id.slots.blue, green: id.slots.green },
    weights: { blue: weights.blue, green: weights.green },
    ...(only ? { only } : {}),
    routes: laid.routes,
  };
  return { ...laid, memo: withEntry(memo, canary, entry) };
}

/** The write that brings the user's VirtualService to `weights`. */
export function planOwn(live: Live, shift: Shift, weights: Weights): RoutePlan {
  const laid = layEntry(live.raw, readMemo(live), shift, weights, titleOf(live));
  const object = writeMemo(laid.object, laid.memo);
  const problems: Problem[] = [...laid.problems];
  if (annotationsTooLarge(object)) {
    problems.push({
      reason: 'InvalidRoute',
      message: `${titleOf(live)}: what must be remembered of its ${laid.routes.length} routes does not fit into its annotations (256 KiB in all). Name fewer routes in service.virtualService.routes of the Canary, or split the VirtualService.`,
    });
  }
  const changed = !isDeepStrictEqual(object, live.raw);
  return {
    problems,
    writes: changed ? [write('update', 'VirtualService', object, `weights ${weights.blue}/${weights.green}`)] : [],
  };
}

/** Routes that name the slots though Sluice never wrote them there, such as a live object copied to Git. */
function copiedRoutes(live: Live, id: Identity, entry: MemoEntry | undefined): string[] {
  const targets = targetsOf(live.raw, id, undefined);
  const recalled = recall(targets, entry?.routes);
  return targets.filter(({ index, segments }) => segments.some(isPair) && !recalled.has(index)).map(routeTitle);
}

/** The write that gives a VirtualService back; none when nothing of this Canary lies on it. */
export function giveBack(live: Live, canary: string, id: Identity): ObjectWrite[] {
  const memo = readMemo(live);
  const entry = memo.canaries[canary];
  const remembered = entry ? restore(live.raw, identityOf(entry, id.namespace), entry.routes, () => true) : live.raw;
  const restored = restore(remembered, id, entry?.routes, () => true);
  const object = writeMemo(restored, withEntry(memo, canary, undefined));
  if (isDeepStrictEqual(object, live.raw)) return [];
  const copied = copiedRoutes(live, id, entry);
  const note = copied.length > 0 ? `; ${copied.join(', ')} named the slots without Sluice and now sends to ${id.service}` : '';
  return [write('update', 'VirtualService', object, `routes given back${note}`)];
}

/** Gives back what lies on VirtualServices that the Canary no longer uses. */
export const giveBackOthers = (all: Live[], keep: Live | undefined, canary: string, id: Identity): ObjectWrite[] =>
  all
    .filter((live) => live !== keep && live.meta.namespace === id.namespace && !isGeneratedFor(live, canary))
    .filter((live) => readMemo(live).canaries[canary] !== undefined)
    .flatMap((live) => giveBack(live, canary, id));

/** Every overlay of `live` laid on `manifest`; the manifest itself when there is none. */
export function overlayManifest(manifest: KubeObject, live: Live): KubeObject {
  const memo = readMemo(live);
  if (Object.keys(memo.canaries).length === 0) return manifest;
  let object = structuredClone(manifest);
  let laidMemo = memo;
  for (const [canary, entry] of Object.entries(memo.canaries)) {
    const shift = { canary, id: identityOf(entry, live.meta.namespace), only: entry.only };
    const laid = layEntry(object, laidMemo, shift, entry.weights, titleOf(live));
    object = laid.object;
    laidMemo = laid.memo;
  }
  return writeMemo(object, laidMemo);
}
