import type { Random } from './random.js';
import type { Cluster, Endpoint } from './types.js';

/** Chooses endpoints within a cluster, each proxy on its own, as Envoy does. */
export class Balancer {
  private readonly turns = new Map<string, number>();
  private readonly active = new Map<string, number>();

  constructor(private readonly random: Random) {}

  /** The next endpoint, if possible none of `tried`. Undefined when the cluster has none. */
  pick(cluster: Cluster, tried: ReadonlySet<string>): Endpoint | undefined {
    const fresh = cluster.endpoints.filter(({ address }) => !tried.has(address));
    const candidates = fresh.length > 0 ? fresh : cluster.endpoints;
    if (candidates.length <= 1) return candidates[0];
    if (cluster.loadBalancer === 'RANDOM') return this.anyOf(candidates);
    if (cluster.loadBalancer === 'LEAST_REQUEST') return this.lessBusyOfTwo(candidates);
    const turn = this.turns.get(cluster.name) ?? Math.floor(this.random() * candidates.length);
    this.turns.set(cluster.name, (turn + 1) % 1_000_000_007);
    return candidates[turn % candidates.length];
  }

  /** Count a request to an endpoint until the returned function is called. */
  begin(address: string): () => void {
    this.active.set(address, (this.active.get(address) ?? 0) + 1);
    return () => {
      const left = (this.active.get(address) ?? 1) - 1;
      if (left > 0) this.active.set(address, left);
      else this.active.delete(address);
    };
  }

  private anyOf(candidates: readonly Endpoint[]): Endpoint | undefined {
    return candidates[Math.floor(this.random() * candidates.length)];
  }

  private lessBusyOfTwo(candidates: readonly Endpoint[]): Endpoint | undefined {
    const [a, b] = [this.anyOf(candidates), this.anyOf(candidates)];
    if (a === undefined || b === undefined) return a ?? b;
    return (this.active.get(a.address) ?? 0) <= (this.active.get(b.address) ?? 0) ? a : b;
  }
}
