import { expect } from 'vitest';
import type { Canary, SlotName } from '../../src/api/index.js';
import { SluiceResources } from '../../src/api/index.js';
import { sleep } from '../../src/kube/backoff.js';
import { KubeError, Resources, type KubeClient, type KubeObject, type Resource } from '../../src/kube/index.js';

/** One version of one object, as a watch delivered it. */
export interface Version<T extends KubeObject = KubeObject> {
  /** `metadata.resourceVersion`: one counter for the whole cluster, so versions of all kinds stand in one order. */
  order: number;
  /** When it was received, unix milliseconds. */
  at: number;
  /** `default/reviews`. */
  key: string;
  object: T;
  deleted: boolean;
}

export type Weights = Record<SlotName, number>;
/** The weights of one version of the VirtualService. */
export interface Split extends Weights {
  order: number;
  at: number;
}

/** Two watches deliver at slightly different times; milliseconds. */
const CLOCK_MS = 300;
const RESUME_MS = 50;
const SLOT_HOSTS: Record<string, SlotName> = { 'reviews-blue': 'blue', 'reviews-green': 'green' };

/** The slot that a destination leads to: by its Service, or by a subset `blue`, `v1-blue` of the Service that callers use. */
function slotOf({ host, subset }: Destination['destination']): SlotName | undefined {
  if (host !== 'reviews') return SLOT_HOSTS[host];
  return /(?:^|-)(blue|green)$/.exec(subset ?? '')?.[1] as SlotName | undefined;
}

const replicasOf = (deployment: KubeObject | undefined): number =>
  (deployment?.['spec'] as { replicas?: number } | undefined)?.replicas ?? 0;

interface Destination {
  destination: { host: string; subset?: string };
  weight?: number;
}
interface HttpRoute {
  name?: string;
  route?: Destination[];
}
const routesOf = (object: KubeObject): HttpRoute[] => (object['spec'] as { http?: HttpRoute[] }).http ?? [];

/** Keeps every version of what routes and serves, for as long as a world lives. */
export class Recorder {
  readonly virtualServices: Version[] = [];
  readonly endpointSlices: Version[] = [];
  readonly deployments: Version[] = [];
  readonly canaries: Version<Canary>[] = [];
  readonly #ending = new AbortController();
  /** Why the record has a gap. */
  #broken: string | undefined;

  /** `key` of the VirtualService whose weights are looked at; `subsets`: the slots have no Services. */
  private constructor(
    readonly key: string,
    private readonly subsets: boolean,
  ) {}

  static async start(client: KubeClient, virtualService = 'reviews', subsets = false): Promise<Recorder> {
    const recorder = new Recorder(`default/${virtualService}`, subsets);
    await Promise.all([
      recorder.#watch(client, Resources.VirtualService, recorder.virtualServices),
      recorder.#watch(client, Resources.EndpointSlice, recorder.endpointSlices),
      recorder.#watch(client, Resources.Deployment, recorder.deployments),
      recorder.#watch(client, SluiceResources.Canary as Resource, recorder.canaries as Version[]),
    ]);
    return recorder;
  }

  /** A watch of its own, not a cache: each version is wanted, with the version that a deletion has. */
  async #watch(client: KubeClient, resource: Resource, into: Version[]): Promise<void> {
    const note = (object: KubeObject, deleted = false): void => {
      const { resourceVersion, namespace = '', name } = object.metadata;
      into.push({ order: Number(resourceVersion), at: Date.now(), key: `${namespace}/${name}`, object, deleted });
    };
    const { items, resourceVersion } = await client.list(resource);
    for (const item of items) note(item);
    const { signal } = this.#ending;
    let seen = resourceVersion;
    const follow = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          await client.watch(resource, { resourceVersion: seen, signal }, ({ type, object }) => {
            if (type === 'ERROR') return;
            seen = object.metadata.resourceVersion ?? seen;
            if (type !== 'BOOKMARK') note(object, type === 'DELETED');
          });
        } catch (error) {
          // Going on from the version that was seen last misses nothing, as long as the server still knows it.
          if (!(error instanceof KubeError) || error.code !== 0) throw error;
        }
        await sleep(RESUME_MS, signal);
      }
    };
    follow().catch((error: unknown) => (this.#broken ??= `${resource.plural}: ${String(error)}`));
  }

  stop(): void {
    this.#ending.abort();
  }

  /** The weights of every version of the VirtualService, in order, that was written after `since` (unix milliseconds). */
  splits(since = 0): Split[] {
    return this.virtualServices
      .filter(({ key, at, deleted }) => key === this.key && at >= since && !deleted)
      .flatMap(({ object, order, at }) => {
        const weights = weightsOf(object);
        return weights ? [{ ...weights, order, at }] : [];
      });
  }

  /** Those of them that differ from the version before. */
  changes(since = 0): Split[] {
    return this.splits()
      .filter((split, index, all) => split.blue !== all[index - 1]?.blue)
      .filter(({ at }) => at >= since);
  }

  /** Ready endpoints of a slot when a version with this order was written. */
  ready(slot: SlotName, order: number): number {
    const slices = new Map<string, KubeObject | undefined>();
    for (const version of this.endpointSlices)
      if (version.order <= order) slices.set(version.key, version.deleted ? undefined : version.object);
    return [...slices.values()].reduce((sum, slice) => sum + readyEndpoints(slice, slot, this.subsets), 0);
  }

  /**
   * What must hold of every version ever written: no version is missing from the record, weights are a partition, no slot with
   * weight is without a ready endpoint, no share rises beyond what the ready pods carry, and a slot's pods outlive its route by the
   * drain (milliseconds).
   */
  assertInvariants(replicas: number, drainMs = 2_000): void {
    this.#assertComplete();
    let before: Weights = { blue: 100, green: 100 };
    for (const version of this.virtualServices) {
      if (version.deleted) continue;
      assertPartition(version.object);
      const weights = weightsOf(version.object);
      if (!weights) continue;
      for (const slot of ['blue', 'green'] as const) {
        const needed =
          weights[slot] === 0 ? 0 : weights[slot] > before[slot] ? Math.max(1, Math.ceil((replicas * weights[slot]) / 100)) : 1;
        const ready = this.ready(slot, version.order);
        expect(
          ready,
          `ready endpoints of slot ${slot} when ${version.key} gave it ${weights[slot]} % (version ${version.order})`,
        ).toBeGreaterThanOrEqual(needed);
      }
      before = weights;
    }
    this.#assertServedThroughout();
    this.#assertDrained(drainMs);
  }

  /** A slot keeps its pods until its route has been gone for as long as proxies may take to learn of it. */
  #assertDrained(drainMs: number): void {
    for (const slot of ['blue', 'green'] as const) {
      const versions = this.deployments.filter(({ key }) => key === `default/reviews-${slot}`);
      for (const [index, { object, deleted, order, at }] of versions.entries()) {
        const before = replicasOf(versions[index - 1]?.object);
        if (before === 0 || (!deleted && replicasOf(object) > 0)) continue;
        const unrouted = this.#unroutedAt(slot, order);
        expect(
          at - unrouted,
          `ms from the end of the route to slot ${slot} to the end of its pods (version ${order})`,
        ).toBeGreaterThanOrEqual(drainMs - CLOCK_MS);
      }
    }
  }

  /** When the slot's weight became 0 before a version, unix milliseconds; infinite while it has weight, 0 when it never had any. */
  #unroutedAt(slot: SlotName, order: number): number {
    let since = 0;
    for (const version of this.virtualServices) {
      if (version.key !== this.key || version.order > order) continue;
      const weight = version.deleted ? 0 : (weightsOf(version.object)?.[slot] ?? 0);
      if (weight > 0) since = Infinity;
      else if (since === Infinity) since = version.at;
    }
    return since;
  }

  /** Each change of a spec raises `metadata.generation` by one: a gap would be a version that the watch did not show. */
  #assertComplete(): void {
    expect(this.#broken, 'a gap in the record').toBeUndefined();
    const generations = new Map<string, number>();
    for (const { object, deleted } of this.virtualServices) {
      const { uid = '', generation = 0 } = object.metadata;
      const known = generations.get(uid);
      if (!deleted && known !== undefined)
        expect(
          generation - known,
          `generations between two recorded versions of VirtualService ${object.metadata.name}`,
        ).toBeLessThanOrEqual(1);
      generations.set(uid, generation);
    }
  }

  /** Also between the writes: no slot loses its last ready endpoint while it has weight. */
  #assertServedThroughout(): void {
    for (const { order, key } of this.endpointSlices) {
      const weights = this.splits()
        .filter((split) => split.order <= order)
        .at(-1);
      const routed = this.virtualServices.findLast((version) => version.key === this.key && version.order <= order);
      if (!weights || routed?.deleted || !weightsOf(routed?.object)) continue;
      for (const slot of ['blue', 'green'] as const)
        if (weights[slot] > 0)
          expect(
            this.ready(slot, order),
            `ready endpoints of slot ${slot}, which has ${weights[slot]} %, after a change of ${key}`,
          ).toBeGreaterThan(0);
    }
  }
}

/** The shares of the slots in the first route that names them; undefined when none does. */
export function weightsOf(object: KubeObject | undefined): Weights | undefined {
  const route = object && routesOf(object).find((item) => item.route?.some(({ destination }) => slotOf(destination) !== undefined));
  if (!route?.route) return undefined;
  const weights: Weights = { blue: 0, green: 0 };
  for (const { destination, weight } of route.route) {
    const slot = slotOf(destination);
    if (slot) weights[slot] += weight ?? (route.route.length === 1 ? 100 : 0);
  }
  return weights;
}

function assertPartition(object: KubeObject): void {
  for (const { name, route = [] } of routesOf(object)) {
    const named = `VirtualService ${object.metadata.name}, route ${name ?? '(unnamed)'}, version ${object.metadata.resourceVersion}`;
    const ours = route.filter(({ destination }) => slotOf(destination) !== undefined);
    if (ours.length === 0) continue;
    expect(ours.map(({ destination }) => slotOf(destination) ?? '').toSorted(), `slots in ${named}`).toEqual(['blue', 'green']);
    for (const { weight } of ours)
      expect(
        Number.isInteger(weight) && weight !== undefined && weight >= 0 && weight <= 100,
        `weight ${weight} in ${named}`,
      ).toBe(true);
    expect(
      route.reduce((sum, { weight }) => sum + (weight ?? 0), 0),
      `sum of the weights in ${named}`,
    ).toBe(100);
  }
}

function readyEndpoints(slice: KubeObject | undefined, slot: SlotName, subsets: boolean): number {
  if (slice?.metadata.labels?.['kubernetes.io/service-name'] !== (subsets ? 'reviews' : `reviews-${slot}`)) return 0;
  const endpoints = (slice['endpoints'] ?? []) as { conditions?: { ready?: boolean }; targetRef?: { name: string } }[] | null;
  const own = (endpoints ?? []).filter(({ targetRef }) => !subsets || targetRef?.name.startsWith(`reviews-${slot}-`));
  return own.filter(({ conditions }) => conditions?.ready !== false).length;
}
