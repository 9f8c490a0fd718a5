/**
 * Routes that Sluice puts before a user's route for the time of one step: for matching requests, for users with a cookie, for
 * copies and cookies, for faults. The user's routes themselves stay as they are, so that taking the inserted ones out gives all of
 * them back. Each carries Sluice's name, so it is known as ours even when nothing else remembers it.
 */
import { Labels, type FaultInjection, type SlotName } from '../../api/index.js';
import type { Problem, RouteExtras, Weights } from '../../engine/ports.js';
import type { KubeObject } from '../../kube/types.js';
import { conjoin, cookieMatch, toIstio } from './conjunction.js';
import { slotOf } from './addresses.js';
import type { Identity } from './hosts.js';
import { routeTitle, targetsOf, type Target } from './overlay.js';
import { readDestination, readHttpRoute, readVirtualService } from './schema.js';
import { isOwn, layRoute, sharesOf } from './segments.js';

type Route = Record<string, unknown>;

const prefixOf = (canary: string): string => `sluice.dev/${canary}/`;
const isInserted = (route: unknown, canary: string): boolean => readHttpRoute(route).name?.startsWith(prefixOf(canary)) ?? false;

const httpOf = (raw: KubeObject): unknown[] => readVirtualService(raw).http ?? [];
/** A copy with these routes; the very same object when there are as many as it has: a list that was not there must not appear. */
const withHttp = (raw: KubeObject, http: unknown[]): KubeObject => (http.length === httpOf(raw).length ? raw : { ...raw, spec: { ...(raw['spec'] as Route), http } });

/** The VirtualService as it is without what Sluice inserted for a Canary; the very same object when there is nothing. */
export function withoutInsertions(raw: KubeObject, canary: string): KubeObject {
  return withHttp(raw, httpOf(raw).filter((route) => !isInserted(route, canary)));
}

export interface Insertion {
  object: KubeObject;
  problems: Problem[];
}

interface Subject {
  canary: string;
  id: Identity;
  only: string[] | undefined;
  /** Of the object, for messages. */
  title: string;
}

const other = (slot: SlotName): SlotName => (slot === 'blue' ? 'green' : 'blue');
const share = (slot: SlotName, percent: number): Weights => ({ [slot]: percent, [other(slot)]: 100 - percent }) as Weights;

/** The routes that a step needs before each route that the Canary divides. `raw` has its weights already and no insertions. */
export function withExtras(raw: KubeObject, subject: Subject, weights: Weights, extras: RouteExtras | undefined): Insertion {
  if (!extras) return { object: raw, problems: [] };
  const all = targetsOf(raw, subject.id, subject.only);
  const targets = new Map(all.flatMap((target) => (target.protocol === 'http' ? [[target.index, target] as const] : [])));
  const faults = all.flatMap((target) => lacking(target, subject, extras));
  const http = httpOf(raw).flatMap((route, index) => {
    const target = targets.get(index);
    if (!target) return [route];
    const before = new Before(route as Route, target, subject, weights, extras);
    faults.push(...before.problems);
    return [...before.routes, route];
  });
  return { object: withHttp(raw, http), problems: faults };
}

/** Connections have no headers, and are not copied. */
function lacking(target: Target, { canary, title }: Subject, { match, mirror, affinity }: RouteExtras): Problem[] {
  const asked = [...(match ? ['match'] : []), ...(mirror === undefined ? [] : ['mirror']), ...(affinity ? ['sessionAffinity'] : [])];
  if (target.protocol === 'http' || asked.length === 0) return [];
  const message = `${title}: ${routeTitle(target)} forwards connections, for which Istio has no ${asked.join(' and no ')}; take ${asked.join(', ')} out of spec.analysis of Canary ${canary}, or name http routes in service.virtualService.routes.`;
  return [{ reason: 'InvalidRoute', message }];
}

/** What comes before one route of the user's. */
class Before {
  readonly routes: Route[] = [];
  readonly problems: Problem[] = [];

  constructor(
    private readonly route: Route,
    private readonly target: Target,
    private readonly subject: Subject,
    weights: Weights,
    { slot, match, affinity, mirror }: RouteExtras,
  ) {
    const { id } = subject;
    const stable = other(slot);
    const arm = match?.control && id.control ? { ...id, slots: { ...id.slots, [stable]: id.control[stable] } } : id;
    if (match) this.#lead('match', match.when.map(toIstio), share(slot, match.weight), 'analysis.match', arm);
    if (affinity) this.#lead('session', [cookieMatch(affinity.canary)], share(slot, 100), 'analysis.sessionAffinity');
    if (affinity?.stable) this.#lead('session-stable', [cookieMatch(affinity.stable)], share(slot, 0), 'analysis.sessionAffinity');
    if (!affinity && mirror === undefined) return;
    let copy: Route = this.#copy(weights);
    if (affinity) copy = this.#withCookies(copy, { [slot]: affinity.canary, [other(slot)]: affinity.stable });
    if (mirror !== undefined) copy = this.#withMirror(copy, slot, mirror);
    this.#add('weights', copy);
  }

  #refuse(words: string): void {
    this.problems.push({ reason: 'InvalidRoute', message: `${this.subject.title}: ${routeTitle(this.target)}: ${words}` });
  }

  #add(kind: string, route: Route): void {
    const { name: _name, ...rest } = route;
    this.routes.push({ name: `${prefixOf(this.subject.canary)}${kind}-${this.target.index}`, ...rest });
  }

  #copy(weights: Weights, id = this.subject.id): Route {
    const { segments } = this.target;
    const shares = sharesOf(segments);
    return { ...this.route, route: layRoute(segments, typeof shares === 'string' ? [] : shares, weights, id) };
  }

  /**
   * A copy of the route for those of its requests that match.
   * @param id names the Services that they go to
   */
  #lead(kind: string, wanted: Route[], weights: Weights, field: string, id?: Identity): void {
    const { matches, faults } = conjoin(this.route['match'], wanted);
    for (const fault of faults) this.#refuse(`${fault}; change the route, or ${field} of Canary ${this.subject.canary}.`);
    if (matches.length > 0) this.#add(kind, { ...this.#copy(weights, id), match: matches });
  }

  #withCookies(route: Route, cookies: Partial<Record<SlotName, { name: string; value: string; attributes: string }>>): Route {
    const destinations = (route['route'] as Route[]).map((item) => {
      const slot = this.#slotOf(item);
      const cookie = slot && cookies[slot];
      return cookie ? this.#withCookie(item, `${cookie.name}=${cookie.value}; ${cookie.attributes}`) : item;
    });
    return { ...route, route: destinations };
  }

  #withCookie(item: Route, text: string): Route {
    const headers = (item['headers'] ?? {}) as { response?: { add?: Record<string, string>; set?: Record<string, string> } };
    const { add, set } = headers.response ?? {};
    if (Object.keys({ ...add, ...set }).some((name) => name.toLowerCase() === 'set-cookie'))
      this.#refuse(`a destination sets a cookie of its own, and analysis.sessionAffinity needs the header set-cookie there; move that header to the route, or leave sessionAffinity out of Canary ${this.subject.canary}.`);
    return { ...item, headers: { ...headers, response: { ...headers.response, add: { ...add, 'set-cookie': text } } } };
  }

  #slotOf(item: unknown): SlotName | undefined {
    const read = readDestination(item);
    return read && slotOf(read.destination, this.subject.id);
  }

  /** Copies go where the slot's requests go; a share of the route that belongs to others is not copied. */
  #withMirror(route: Route, slot: SlotName, percent: number): Route {
    const item = (route['route'] as Route[]).find((candidate) => this.#slotOf(candidate) === slot);
    const { segments } = this.target;
    const shares = sharesOf(segments);
    const own = typeof shares === 'string' ? 0 : shares.reduce((sum, part, i) => sum + (segments[i] && isOwn(segments[i]) ? part : 0), 0);
    const ours = { destination: item?.['destination'], percentage: { value: (percent * own) / 100 } };
    const { mirror, mirrorPercentage, mirrorPercent, mirror_percent: older, mirrors, ...rest } = route;
    const old = mirrorPercent ?? older;
    // Istio takes either the old field or the list.
    const users = mirror === undefined ? (Array.isArray(mirrors) ? (mirrors as unknown[]) : []) : [{ destination: mirror, ...(mirrorPercentage === undefined ? (old === undefined ? {} : { percentage: { value: old } }) : { percentage: mirrorPercentage }) }];
    return { ...rest, mirrors: [...users, ours] };
  }
}

/** Destinations of the copies of a route's requests, however this version of Istio writes them. */
export function mirrorsOf(element: unknown): unknown[] {
  const { mirrors, mirror } = (element ?? {}) as { mirrors?: unknown; mirror?: unknown };
  const listed = Array.isArray(mirrors) ? mirrors.map((item: unknown) => (item as { destination?: unknown } | null)?.destination) : [];
  return mirror === undefined ? listed : [...listed, mirror];
}

/** Slots that any route or mirror leads to. */
export function reachesOf(raw: KubeObject, id: Identity): SlotName[] {
  const reached = new Set<SlotName>();
  const note = (item: unknown): void => {
    const read = readDestination(item);
    const slot = read && slotOf(read.destination, id);
    if (slot) reached.add(slot);
  };
  for (const element of httpOf(raw)) {
    const { route } = readHttpRoute(element);
    for (const item of route ?? []) if (route?.length === 1 || (readDestination(item)?.weight ?? 0) > 0) note(item);
    for (const destination of mirrorsOf(element)) note({ destination });
  }
  return [...reached].sort();
}

/** What is done to the requests of the pods in one slot. */
export interface SlotFault extends FaultInjection {
  slot: SlotName;
}

const sourceOf = (canary: string, slot: SlotName): Route => ({ sourceLabels: { [Labels.canary]: canary, [Labels.slot]: slot } });

/** Istio's HTTPFaultInjection; what it leaves out means nobody there, and everybody here. */
function faultOf({ delay, abort }: FaultInjection): Route {
  const whole = { percentage: { value: 100 } };
  return { ...(delay ? { delay: { ...whole, ...delay } } : {}), ...(abort ? { abort: { ...whole, ...abort } } : {}) };
}

/** A copy with the fault before every route that forwards, for requests of the canary's pods only. */
export function withFault(raw: KubeObject, canary: string, fault: SlotFault | undefined, title: string): Insertion {
  if (!fault) return { object: raw, problems: [] };
  const problems: Problem[] = [];
  const http = httpOf(raw).flatMap((element, index) => {
    if (isInserted(element, canary)) return [element];
    const route = element as Route;
    if (route['delegate'] !== undefined)
      problems.push({ reason: 'InvalidRoute', message: `${title}: ${routeTitle({ ...readHttpRoute(route), index })} delegates, and a fault cannot be put before a delegate; name a host in analysis.steps[].fault of Canary ${canary} whose routes forward.` });
    if (route['route'] === undefined) return [element];
    const { matches } = conjoin(route['match'], [sourceOf(canary, fault.slot)]);
    const { name: _name, ...rest } = route;
    const before = { name: `${prefixOf(canary)}fault-${index}`, ...rest, match: matches, fault: { ...(route['fault'] as Route | undefined), ...faultOf(fault) } };
    return matches.length > 0 ? [before, element] : [element];
  });
  if (problems.length === 0 && http.length === httpOf(raw).length)
    problems.push({ reason: 'InvalidRoute', message: `${title}: no http route of it forwards requests of the canary's pods, so there is nothing to put a fault before; name another host in analysis.steps[].fault of Canary ${canary}.` });
  return { object: withHttp(raw, http), problems };
}

/** Routes of a host that has no VirtualService: its default one, and the fault before it. The canary's pods are in this namespace; others need not see it. */
export const faultSpec = (canary: string, { host, slot, ...fault }: SlotFault): Route => ({
  exportTo: ['.'],
  hosts: [host],
  http: [
    { name: `${prefixOf(canary)}fault-0`, match: [sourceOf(canary, slot)], fault: faultOf({ host, ...fault }), route: [{ destination: { host } }] },
    { route: [{ destination: { host } }] },
  ],
});
