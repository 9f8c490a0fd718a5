import { SluiceResources, type Canary } from '../src/api/index.js';
import { createInformer, Resources, type Informer, type KubeClient, type KubeObject } from '../src/kube/index.js';
import { INTERVAL_MS, NAMESPACE } from './fleet.js';

/** What callers could notice of one release. Times in unix milliseconds, lags in milliseconds. */
export interface ReleaseTimes {
  changedAt: number;
  firstWeightAt?: number;
  /** How late each weight after the first was written, against the time at which the one before was in force and the interval. */
  lags: number[];
  succeededAt?: number;
  /** Result of another kind than Succeeded, with its reason. */
  failure?: string;
}

interface Watched extends ReleaseTimes {
  /** Id of the last release before this one. */
  before?: string;
  /** Host that had all the traffic before. */
  stable: string;
  weight: number;
  /** When each weight was in force, by the weight. */
  inForce: Map<number, number>;
}

/** Follows releases from the outside: by the VirtualServices and Canaries that the API server shows to anyone. */
export class Timeline {
  readonly #canaries: Informer<Canary>;
  readonly #routes: Informer<KubeObject>;
  readonly #releases = new Map<string, Watched>();

  constructor(client: KubeClient) {
    this.#canaries = createInformer(client, SluiceResources.Canary, { namespace: NAMESPACE });
    this.#routes = createInformer(client, Resources.VirtualService, { namespace: NAMESPACE });
    this.#canaries.onChange((_, canary) => canary && this.#canaryChanged(canary));
    this.#routes.onChange((_, route) => route && this.#routeChanged(route));
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#canaries.start(signal);
    this.#routes.start(signal);
    await Promise.all([this.#canaries.whenSynced(), this.#routes.whenSynced()]);
  }

  canaries(): Canary[] {
    return this.#canaries.list(NAMESPACE);
  }

  /** Forget earlier releases and follow the next one of this Canary. */
  expect(name: string): void {
    const before = this.#canaries.get(NAMESPACE, name)?.status?.history?.[0]?.run;
    const route = this.#routes.get(NAMESPACE, name);
    const [stable] = [...(route ? weightsOf(route) : [])].find(([, weight]) => weight === 100) ?? [];
    if (stable === undefined)
      throw new Error(`virtualservice ${NAMESPACE}/${name} does not send all traffic to one version; is a release under way?`);
    this.#releases.set(name, { before, stable, changedAt: 0, lags: [], weight: 0, inForce: new Map() });
  }

  changed(name: string, at: number): void {
    const watched = this.#releases.get(name);
    if (watched) watched.changedAt = at;
  }

  /** Releases that have not ended. */
  pending(): string[] {
    return [...this.#releases]
      .filter(([, { succeededAt, failure }]) => succeededAt === undefined && failure === undefined)
      .map(([name]) => name);
  }

  take(): Map<string, ReleaseTimes> {
    const taken = new Map(this.#releases);
    this.#releases.clear();
    return taken;
  }

  #canaryChanged(canary: Canary): void {
    const watched = this.#releases.get(canary.metadata.name);
    const { status } = canary;
    if (!watched || !status) return;
    if (status.run && status.step?.startedAt) watched.inForce.set(status.step.weight, Date.parse(status.step.startedAt));
    const last = status.history?.[0];
    if (!last || last.run === watched.before || watched.succeededAt !== undefined) return;
    if (last.result === 'Succeeded') watched.succeededAt = Date.now();
    else watched.failure ??= `${last.result} (${last.reason}): ${last.message}`;
  }

  #routeChanged(route: KubeObject): void {
    const watched = this.#releases.get(route.metadata.name);
    if (!watched) return;
    const weight = 100 - (weightsOf(route).get(watched.stable) ?? 0);
    if (weight <= watched.weight) return;
    const now = Date.now();
    watched.firstWeightAt ??= now;
    const before = watched.inForce.get(watched.weight);
    if (before !== undefined) watched.lags.push(now - before - INTERVAL_MS);
    watched.weight = weight;
  }
}

/** Weights by the host of the destination. */
function weightsOf(route: KubeObject): Map<string, number> {
  const spec = route['spec'] as { http?: { route?: { destination?: { host?: string }; weight?: number }[] }[] } | undefined;
  return new Map((spec?.http?.[0]?.route ?? []).map(({ destination, weight }) => [destination?.host ?? '', weight ?? 100]));
}
