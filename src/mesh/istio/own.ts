/** `service.virtualService`: the user's own VirtualService. */
import { isDeepStrictEqual } from 'node:util';
import type { ObjectWrite, Problem, RouteExtras, RoutePlan, Weights } from '../../engine/ports.js';
import type { KubeObject } from '../../kube/types.js';
import { sameIdentity, type Identity } from './hosts.js';
import { withExtras, withFault, withoutInsertions, type Insertion, type SlotFault } from './insertions.js';
import { annotationsTooLarge, identityOf, namesOf, readMemo, withEntry, writeLastMemo, writeMemo, type Memo, type MemoEntry } from './memo.js';
import type { Live } from './schema.js';
import { lay, placeOf, recall, restore, routeTitle, targetsOf, type Laid } from './overlay.js';
import { isPair } from './segments.js';
import { isGeneratedFor, title, write } from './writes.js';

/** A VirtualService that carries the weights, and the routes that the Canary is confined to there. */
export interface Placed {
  live: Live;
  only: string[] | undefined;
}

/** Whose routes: the Canary's name, its Services, and the routes that it is confined to. */
export interface Shift {
  canary: string;
  id: Identity;
  only: string[] | undefined;
}

const titleOf = (live: Live): string => title('VirtualService', live.meta.namespace, live.meta.name);

/** What a Canary has laid on one object: its destinations, and what a step adds. */
interface Lay extends Shift {
  weights: Weights;
  extras?: RouteExtras;
  fault?: SlotFault;
  /** Subsets that the slots have. */
  subsets?: string[];
  /** The object comes from a syncing tool: what it needs of others may not be there yet. */
  synced?: boolean;
}

/** One Canary's destinations, insertions and memo laid on `raw`. */
function layEntry(raw: KubeObject, memo: Memo, { canary, id, only, weights, extras, fault, subsets = [], synced }: Lay, name: string): Laid & { memo: Memo } {
  const before = memo.canaries[canary];
  const bare = withoutInsertions(raw, canary);
  const renamed = before && !sameIdentity(identityOf(before, id.namespace), id);
  const base = renamed ? restore(bare, identityOf(before, id.namespace), before.routes, () => true) : bare;
  const laid = lay(base, id, only, weights, before, name, synced ? subsets : undefined);
  const inserted = withExtras(laid.object, { canary, id, only, title: name }, weights, extras);
  const faulty = withFault(inserted.object, canary, fault, name);
  const entry: MemoEntry = {
    ...namesOf(id, extras),
    weights: { blue: weights.blue, green: weights.green },
    ...(only ? { only } : {}),
    routes: laid.routes,
    ...(subsets.length > 0 ? { subsets } : {}),
    ...(extras ? { extras } : {}),
    ...(fault ? { fault } : {}),
  };
  return { object: faulty.object, routes: laid.routes, problems: [...laid.problems, ...inserted.problems, ...faulty.problems], memo: withEntry(memo, canary, entry) };
}

/** The write that brings the user's VirtualService to `weights` and what a step adds. */
export function planOwn(live: Live, what: Lay): RoutePlan {
  const laid = layEntry(live.raw, readMemo(live), what, titleOf(live));
  return writeOf(live, writeMemo(laid.object, laid.memo), laid.problems, laid.routes.length, whyOf(what));
}

const whyOf = ({ weights, extras }: Pick<Lay, 'weights' | 'extras'>): string =>
  [`weights ${weights.blue}/${weights.green}`, ...Object.keys(extras ?? {}).filter((key) => key !== 'slot')].join(', ');

function writeOf(live: Live, object: KubeObject, found: Problem[], routes: number, why: string): RoutePlan {
  const problems = [...found];
  if (annotationsTooLarge(object)) {
    problems.push({
      reason: 'InvalidRoute',
      message: `${titleOf(live)}: what must be remembered of its ${routes} routes does not fit into its annotations (256 KiB in all). Name fewer routes of it in the Canary's service, or split the VirtualService.`,
    });
  }
  const changed = !isDeepStrictEqual(object, live.raw);
  return { problems, writes: changed ? [write('update', 'VirtualService', object, why)] : [] };
}

/** Only the fault laid on `raw`, a VirtualService of something that the canary calls. */
function layFault(raw: KubeObject, memo: Memo, { canary, id, weights, fault }: Lay, name: string): Insertion & { memo: Memo } {
  const { object, problems } = withFault(withoutInsertions(raw, canary), canary, fault, name);
  const entry: MemoEntry = { ...namesOf(id), weights, routes: [], ...(fault ? { fault } : {}) };
  return { object, problems, memo: withEntry(memo, canary, entry) };
}

/** The write that puts a fault before the routes of a VirtualService that carries no weights of this Canary. */
export function planFaultOn(live: Live, what: Lay): RoutePlan {
  const { object, problems, memo } = layFault(live.raw, readMemo(live), what, titleOf(live));
  return writeOf(live, writeMemo(object, memo), problems, 0, `fault in requests of ${what.canary}`);
}

/** Routes that name the slots though Sluice never wrote them there, such as a live object copied to Git. */
function copiedRoutes(bare: KubeObject, id: Identity, entry: MemoEntry | undefined): string[] {
  const targets = targetsOf(bare, id, undefined);
  const recalled = recall(targets, entry?.routes);
  return targets.filter((route) => route.segments.some(isPair) && !recalled.has(placeOf(route))).map(routeTitle);
}

/** The write that gives a VirtualService back; none when nothing of this Canary lies on it. */
export function giveBack(live: Live, canary: string, id: Identity): ObjectWrite[] {
  const memo = readMemo(live);
  const entry = memo.canaries[canary];
  const bare = withoutInsertions(live.raw, canary);
  const remembered = entry ? restore(bare, identityOf(entry, id.namespace), entry.routes, () => true) : bare;
  const restored = restore(remembered, id, entry?.routes, () => true);
  const object = writeLastMemo(restored, withEntry(memo, canary, undefined));
  if (isDeepStrictEqual(object, live.raw)) return [];
  const copied = copiedRoutes(bare, id, entry);
  const note = copied.length > 0 ? `; ${copied.join(', ')} named the slots without Sluice and now sends to ${id.service}` : '';
  return [write('update', 'VirtualService', object, `routes given back${note}`)];
}

/** Gives back what lies on VirtualServices that the Canary no longer uses. */
export const giveBackOthers = (all: Live[], keep: Live[], canary: string, id: Identity): ObjectWrite[] =>
  all
    .filter((live) => !keep.includes(live) && live.meta.namespace === id.namespace && !isGeneratedFor(live, canary))
    .filter((live) => readMemo(live).canaries[canary] !== undefined)
    .flatMap((live) => giveBack(live, canary, id));

/** Every overlay of `live` laid on `manifest`; the manifest itself when there is none. */
export function overlayManifest(manifest: KubeObject, live: Live): KubeObject {
  const memo = readMemo(live);
  if (Object.keys(memo.canaries).length === 0) return manifest;
  let object = structuredClone(manifest);
  let laidMemo = memo;
  for (const [canary, entry] of Object.entries(memo.canaries)) {
    const { only, weights, extras, fault, subsets = [] } = entry;
    const what: Lay = { canary, id: identityOf(entry, live.meta.namespace), only, weights, subsets, synced: true, ...(extras ? { extras } : {}), ...(fault ? { fault } : {}) };
    const laid = isOnlyFault(entry) ? layFault(object, laidMemo, what, titleOf(live)) : layEntry(object, laidMemo, what, titleOf(live));
    object = laid.object;
    laidMemo = laid.memo;
  }
  return writeMemo(object, laidMemo);
}

/** True for an object that carries a fault for the Canary and none of its weights. */
const isOnlyFault = ({ fault, routes }: MemoEntry): boolean => fault !== undefined && routes.length === 0;
