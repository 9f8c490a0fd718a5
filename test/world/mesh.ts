import type { KubeObject } from '../../src/kube/types.js';
import { Resources, type Api } from './api.js';
import { NAMESPACE, selectorOf, type Cluster } from './cluster.js';
import type { Chance, Timeline } from './time.js';
import type { Version } from '../versions.js';

export interface Destination {
  /** A Service, or the name of a slot that is a subset of one. */
  host: string;
  weight: number;
  subset?: string;
}
/** Where one kind of caller sends its requests now. */
export interface Caller {
  name: string;
  /** Services by weight; for callers outside the mesh the pods behind one Service. */
  destinations: Destination[];
  /** Pods that an address was known of, for callers outside the mesh. */
  pods?: string[];
  /** What its routes name and it does not know, a subset or a Service: such requests are answered 503. */
  missing?: string;
}
interface Stretch {
  from: number;
  to: number;
  /** By Service: share of all requests (0..1), share of them that failed, latency of the pods. */
  shares: Map<string, { share: number; failed: number; latency: number }>;
}

export const SERVICE = 'reviews';
const REQUESTS_PER_SECOND = 50;
const KEEP_MS = 180_000;

/** The slot that a subset of ours is of goes by the name of its Deployment. */
export function hostOf({ host, subset }: { host: string; subset?: string }): string {
  const service = host.split('.')[0] ?? '';
  const slot = /^(?:.+-)?(blue|green)$/.exec(subset ?? '')?.[1];
  return slot ? `${service}-${slot}` : service;
}

const subsetsIn = (rule: KubeObject | undefined): string[] => ((rule?.['spec'] as { subsets?: { name: string }[] } | undefined)?.subsets ?? []).map(({ name }) => name);

interface HttpRoute {
  name?: string;
  route?: { destination: { host: string; subset?: string }; weight?: number }[];
}
const httpOf = (route: KubeObject | undefined): HttpRoute[] => ((route?.['spec'] ?? {}) as { http?: HttpRoute[] }).http ?? [];
const listed = (found: NonNullable<HttpRoute['route']>): Destination[] =>
  found.map(({ destination, weight }) => ({ host: hostOf(destination), weight: weight ?? 100, ...(destination.subset === undefined ? {} : { subset: destination.subset }) }));

/** Destinations of the one route that goes to the Service, as a proxy reads a VirtualService. */
export function destinationsOf(route: KubeObject | undefined): Destination[] {
  const found = httpOf(route).find((item) => item.name === undefined || item.name === 'reviews')?.route;
  return found ? listed(found) : [{ host: SERVICE, weight: 100 }];
}
/** The same for requests that match what a step asks for. */
export function matchedOf(route: KubeObject | undefined): Destination[] {
  const found = httpOf(route).find((item) => item.name?.startsWith('sluice.dev/reviews/match-'))?.route;
  return found ? listed(found) : destinationsOf(route);
}
/** The slot that a Service is of, its own or that of a control arm. */
export const slotServed = (host: string): string | undefined => /-(blue|green)(?:-control)?$/.exec(host)?.[1];

interface Proxy {
  lag: number;
  route: KubeObject | undefined;
  due: number;
  rule: { lag: number; due: number; subsets: string[] };
  services: { lag: number; due: number; names: string[] };
}

/** Callers that learn late: proxies of the routes, callers outside the mesh of where a Service leads. */
export class Mesh {
  readonly #proxies: Proxy[];
  #outside: { due: number; pods: string[] };
  #stretches: Stretch[] = [];
  /** Requests that found no ready pod. */
  unanswered = 0;
  #since: number;
  #dirty = true;
  #callers: Caller[] = [];

  constructor(
    private readonly api: Api,
    private readonly cluster: Cluster,
    private readonly timeline: Timeline,
    chance: Chance,
    maxLag: number,
    private readonly versions: (image: string) => Version,
    /** Every caller has a proxy then. */
    private readonly subsets: boolean,
    /** Some requests match what a release asks for. */
    private readonly matching: boolean,
  ) {
    this.#since = timeline.now;
    // Who learns first of routes learns last of rules and Services: no order between them may be relied on.
    this.#proxies = [0, 1, 2].map((index) => {
      const lags = [0, chance.between(0, maxLag), maxLag];
      const [lag = 0, late = 0] = [lags[index], lags[2 - index]];
      return { lag, route: undefined, due: 0, rule: { lag: late, due: 0, subsets: [] }, services: { lag: late, due: 0, names: [] } };
    });
    this.#outside = { due: 0, pods: [] };
    const outsideLag = chance.between(0, Math.min(maxLag, 1_500));
    api.onWrite(({ resource, after, before }) => {
      const name = (after ?? before)?.metadata.name;
      if (resource.kind === 'VirtualService' && name === SERVICE) for (const proxy of this.#proxies) this.#later(proxy, proxy.lag, () => (proxy.route = after));
      if (resource.kind === 'DestinationRule')
        for (const { rule } of this.#proxies) {
          const known = this.#subsets();
          this.#later(rule, rule.lag, () => (rule.subsets = known));
        }
      if (resource.kind === 'Service' && !(after && before)) {
        const names = api.list(Resources.Service).map(({ metadata }) => metadata.name);
        for (const { services } of this.#proxies) this.#later(services, services.lag, () => (services.names = names));
      }
      if (resource.kind === 'EndpointSlice' && name === `${SERVICE}-1`) {
        const pods = cluster.endpoints(SERVICE);
        this.#later(this.#outside, outsideLag, () => (this.#outside.pods = pods));
      }
      if (resource.kind === 'Pod' || resource.kind === 'EndpointSlice') this.#dirty = true;
    });
  }

  /** Istio takes the subsets of all rules on a host. */
  #subsets(): string[] {
    return this.api.list(Resources.DestinationRule).filter((rule) => (rule['spec'] as { host: string }).host === SERVICE).flatMap(subsetsIn);
  }

  #later(who: { due: number }, lag: number, learn: () => void): void {
    who.due = Math.max(who.due, this.timeline.now + lag);
    this.timeline.at(who.due, () => {
      learn();
      this.#dirty = true;
    });
  }

  /** Where every kind of caller sends to now; undefined when nothing changed since the last call. */
  look(): Caller[] | undefined {
    if (!this.#dirty) return undefined;
    this.#record();
    this.#dirty = false;
    const seen = (name: string, destinations: Destination[], { rule, services }: Proxy): Caller => {
      const used = destinations.filter(({ weight }) => weight > 0);
      const subset = used.find((one) => one.subset !== undefined && !rule.subsets.includes(one.subset))?.subset;
      const service = this.subsets ? undefined : used.find(({ host }) => host !== SERVICE && !services.names.includes(host))?.host;
      const missing = subset === undefined ? service : `subset ${subset}`;
      return { name, destinations, ...(missing === undefined ? {} : { missing }) };
    };
    this.#callers = this.#proxies.map((proxy, index) => seen(`proxy ${index}`, destinationsOf(proxy.route), proxy));
    if (this.matching) this.#callers.push(...this.#proxies.map((proxy, index) => seen(`proxy ${index}, matching`, matchedOf(proxy.route), proxy)));
    if (!this.subsets) this.#callers.push({ name: 'outside', destinations: [{ host: SERVICE, weight: 100 }], pods: this.#outside.pods });
    return this.#callers;
  }
  /** Where they may send to, without looking whether it is news. */
  get callers(): Caller[] {
    return this.#callers;
  }

  /** Requests from the last change until now went where the callers said then. */
  #record(): void {
    const { now } = this.timeline;
    if (now <= this.#since) return;
    const shares: Stretch['shares'] = new Map();
    for (const { destinations, pods } of this.#callers)
      if (!pods)
        for (const { host, weight } of destinations) {
          const ready = this.cluster.endpoints(host).filter((pod) => this.cluster.serves(pod));
          const { errors, latency } = this.versions(this.cluster.imageOfPod(ready[0] ?? ''));
          const known = shares.get(host) ?? { share: 0, failed: 0, latency };
          const failed = ready.length === 0 ? 1 : errors / 100;
          const share = weight / 100 / this.#proxies.length;
          if (ready.length === 0) this.unanswered += ((now - this.#since) / 1_000) * REQUESTS_PER_SECOND * share;
          shares.set(host, { share: known.share + share, failed: Math.max(known.failed, failed), latency });
        }
    this.#stretches.push({ from: this.#since, to: now, shares });
    this.#since = now;
    while ((this.#stretches[0]?.to ?? now) < now - KEEP_MS) this.#stretches.shift();
  }

  /** What Prometheus knows of the requests to a Service in a stretch of time. */
  evidence(service: string, from: number, to: number): { requests: number; success: number; latency: number } {
    this.#record();
    let [requests, good, latency] = [0, 0, 0];
    for (const stretch of this.#stretches) {
      const seconds = (Math.min(to, stretch.to) - Math.max(from, stretch.from)) / 1_000;
      const seen = stretch.shares.get(service);
      if (seconds <= 0 || !seen) continue;
      const count = seconds * REQUESTS_PER_SECOND * seen.share;
      requests += count;
      good += count * (1 - seen.failed);
      if (count > 0) latency = Math.max(latency, seen.latency);
    }
    return { requests, success: requests > 0 ? (100 * good) / requests : NaN, latency };
  }

  /** What the Service selects now. */
  selected(): Record<string, string> {
    const service = this.api.find(Resources.Service, NAMESPACE, SERVICE);
    return (service && selectorOf(service)) ?? {};
  }
}
