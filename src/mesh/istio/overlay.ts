/** Slot destinations laid over a VirtualService of the user's, and taken off again. */
import type { Problem, Weights } from '../../engine/ports.js';
import type { KubeObject } from '../../kube/types.js';
import type { Identity } from './hosts.js';
import type { MemoEntry, RememberedRoute } from './memo.js';
import { PROTOCOLS, readHttpRoute, readVirtualService, type Protocol } from './schema.js';
import { isOwn, isPair, layRoute, readRoute, restoreRoute, sharesOf, subsetsOf, userWeights, type RouteReading } from './segments.js';

/** One element of `spec.http`, `spec.tls` or `spec.tcp` whose destinations are the Canary's to divide. */
export interface Target extends RouteReading {
  protocol: Protocol;
  /** Among those of its protocol. */
  index: number;
  name?: string;
}

/** A route the way messages name it: by name, else by its place. */
export const routeTitle = ({ name, index, protocol = 'http' }: { name?: string; index: number; protocol?: Protocol }): string =>
  name === undefined ? `spec.${protocol}[${index}]` : `http route "${name}"`;

/** Where an element is; what is remembered of one says nothing of its protocol when that is http. */
export const placeOf = ({ index, protocol = 'http' }: { index: number; protocol?: Protocol }): string => `${protocol}/${index}`;

/** The elements that forward, taken apart. Only those of http have names. */
function forwardingRoutes(raw: KubeObject, id: Identity): Target[] {
  const spec = readVirtualService(raw);
  return PROTOCOLS.flatMap((protocol) =>
    (spec[protocol] ?? []).flatMap((element, index) => {
      const { name, route } = readHttpRoute(element);
      return route ? [{ protocol, index, name: protocol === 'http' ? name : undefined, ...readRoute(route, id) }] : [];
    }),
  );
}

/** The routes that a Canary shifts: those in `only`, by name, or every one that sends to its Service. */
export function targetsOf(raw: KubeObject, id: Identity, only: string[] | undefined): Target[] {
  return forwardingRoutes(raw, id).filter(({ name, segments }) =>
    only ? name !== undefined && only.includes(name) : segments.some(isOwn),
  );
}

/**
 * What is remembered of each route that goes through the slots, by its place now. Routes of one name (or of none) are told apart by
 * their order, which an inserted route does not change; when some have come or gone, by their place.
 */
export function recall(routes: Target[], memory: RememberedRoute[] = []): Map<string, RememberedRoute> {
  const through = routes.filter(({ segments }) => segments.some(isPair));
  const found = new Map<string, RememberedRoute>();
  const kindOf = ({ name, protocol = 'http' }: { name?: string; protocol?: Protocol }): string => `${protocol}/${name ?? ''}`;
  for (const kind of new Set(through.map(kindOf))) {
    const live = through.filter((route) => kindOf(route) === kind);
    const entries = memory.filter((entry) => kindOf(entry) === kind);
    live.forEach((route, i) => {
      const entry = live.length === entries.length ? entries[i] : entries.find((candidate) => candidate.index === route.index);
      if (entry) found.set(placeOf(route), entry);
    });
  }
  return found;
}

/** A copy of the VirtualService with these `route` lists, by place; everything else as it is. */
function withRoutes(raw: KubeObject, routes: Map<string, unknown[]>): KubeObject {
  if (routes.size === 0) return raw;
  const spec = { ...(raw.spec as Record<string, unknown>) };
  for (const protocol of PROTOCOLS) {
    if (![...routes.keys()].some((place) => place.startsWith(`${protocol}/`))) continue;
    spec[protocol] = (spec[protocol] as Record<string, unknown>[]).map((element, index) => {
      const route = routes.get(placeOf({ protocol, index }));
      return route ? { ...element, route } : element;
    });
  }
  return { ...raw, spec };
}

/** The user's text again in every route that `which` picks; `known` says whether Sluice remembers it. */
export function restore(
  raw: KubeObject,
  id: Identity,
  memory: RememberedRoute[] | undefined,
  which: (route: Target, known: boolean) => boolean,
): KubeObject {
  const routes = forwardingRoutes(raw, id);
  const recalled = recall(routes, memory);
  const restored = routes
    .filter((route) => route.segments.some(isPair) && which(route, recalled.has(placeOf(route))))
    .map((route) => [placeOf(route), restoreRoute(route.segments, recalled.get(placeOf(route))?.weights, id)] as const);
  return withRoutes(raw, new Map(restored));
}

/** What hinders dividing the routes of `targets`, and the routes that the Canary names and that are not there. */
function problemsOf(raw: KubeObject, id: Identity, only: string[] | undefined, targets: Target[], title: string): Problem[] {
  const elements = (readVirtualService(raw).http ?? []).map(readHttpRoute);
  const missing = (only ?? []).filter((name) => !elements.some((element) => element.name === name));
  const existing = elements.flatMap(({ name }) => (name === undefined ? [] : [`"${name}"`]));
  const problems: Problem[] = missing.map((name) => ({
    reason: 'RouteNotFound',
    message: `${title}: there is no http route named "${name}"; ${existing.length > 0 ? `named routes are ${existing.slice(0, 20).join(', ')}` : 'no route in it has a name'}. Correct service.virtualService.routes of the Canary, or name the route.`,
  }));
  elements.forEach(({ name, route }, index) => {
    if (route || name === undefined || !only?.includes(name)) return;
    problems.push({
      reason: 'InvalidRoute',
      message: `${title}: ${routeTitle({ name, index })} has no list \`route\` (it redirects, delegates or answers itself), so there is nothing to divide. Take it out of service.virtualService.routes of the Canary.`,
    });
  });
  if (!only && targets.length === 0) {
    problems.push({
      reason: 'RouteNotFound',
      message: `${title}: no route has a destination with host ${id.service}. Send a route of it to ${id.service}, or correct service.virtualService of the Canary.`,
    });
  }
  for (const target of targets) problems.push(...faultsOf(target, id, title));
  return problems;
}

function faultsOf(target: Target, id: Identity, title: string): Problem[] {
  const shares = sharesOf(target.segments);
  const faults = target.faults.length > 0 ? target.faults : typeof shares === 'string' ? [shares] : [];
  const none = !target.segments.some(isOwn);
  if (none && target.faults.length === 0)
    faults.splice(
      0,
      Infinity,
      `it has no destination with host ${id.service}; send it there, or take it out of service.virtualService.routes of the Canary`,
    );
  return faults.map((fault) => ({ reason: 'InvalidRoute', message: `${title}: ${routeTitle(target)}: ${fault}.` }));
}

export interface Laid {
  object: KubeObject;
  routes: RememberedRoute[];
  /** Routes with a problem are left as they are. */
  problems: Problem[];
}

/**
 * Divide every route that a Canary shifts by `weights`. Routes that it shifted before and no longer names get the user's text back.
 * @param before what was remembered when the object was last written, if it was
 * @param subsets those that the slots have by now; a route that names another one is left as it is. Undefined: all
 */
export function lay(
  raw: KubeObject,
  id: Identity,
  only: string[] | undefined,
  weights: Weights,
  before: MemoEntry | undefined,
  title: string,
  subsets?: string[],
): Laid {
  const targets = targetsOf(raw, id, only);
  const targeted = new Set(targets.map(placeOf));
  const recalled = recall(forwardingRoutes(raw, id), before?.routes);
  const forgotten = restore(raw, id, before?.routes, (route, known) => known && !targeted.has(placeOf(route)));
  const problems = problemsOf(raw, id, only, targets, title);
  const laid = new Map<string, unknown[]>();
  const routes: RememberedRoute[] = [];
  for (const target of targets) {
    const { protocol, index, name, segments, faults } = target;
    const remembered = recalled.get(placeOf(target))?.weights;
    const shares = sharesOf(segments, remembered);
    if (faults.length > 0 || typeof shares === 'string' || !segments.some(isOwn)) continue;
    if (subsets && subsetsOf(segments, id).some((name) => !subsets.includes(name))) continue;
    laid.set(placeOf(target), layRoute(segments, shares, weights, id));
    routes.push({ ...(protocol === 'http' ? {} : { protocol }), ...(name === undefined ? {} : { name }), index, weights: userWeights(segments, shares, remembered) });
  }
  return { object: withRoutes(forgotten, laid), routes, problems };
}
