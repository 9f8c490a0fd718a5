import type { SlotName } from '../../src/api/index.js';
import type { Weights } from '../../src/core/evidence.js';
import type { Version } from '../versions.js';

/** How a version behaves. */
export interface Pod {
  revision: string;
  created: number;
  ready: number;
  deleted: number;
  /** Times at which it is not ready although it lives. */
  outages: [number, number][];
}

/** A Deployment with its pods; readers see pods `lag` milliseconds late. */
export class Workload {
  revision: string | undefined;
  replicas = 0;
  version = 0;
  pods: Pod[] = [];
  progressSince = 0;
  restartedAt: string | undefined;

  constructor(
    private readonly versions: (revision: string) => Version,
    readonly termination = 3_000,
  ) {}

  alive(now: number): Pod[] {
    return this.pods.filter((pod) => pod.deleted > now && pod.created <= now);
  }
  ready(now: number): number {
    return this.alive(now).filter((pod) => pod.ready <= now && !pod.outages.some(([from, to]) => from <= now && now < to)).length;
  }
  set(revision: string, replicas: number, now: number): void {
    this.version += 1;
    this.progressSince = now;
    if (this.revision !== revision) for (const pod of this.alive(now)) pod.deleted = now;
    this.revision = revision;
    this.replicas = replicas;
    // Those that a restart replaces go anyway.
    const alive = this.alive(now).filter((pod) => pod.deleted === Infinity);
    const { startup } = this.versions(revision);
    for (let index = alive.length; index < replicas; index += 1)
      this.pods.push({ revision, created: now, ready: startup === undefined ? Infinity : now + startup + 100 * index, deleted: Infinity, outages: [] });
    // The controller removes pods that are not ready first.
    const surplus = [...alive].sort((a, b) => b.ready - a.ready).slice(0, Math.max(0, alive.length - replicas));
    for (const pod of surplus) pod.deleted = now;
    this.pods = this.pods.filter((pod) => pod.deleted > now - 60_000);
  }
  /** Each new pod is ready before the old one goes. */
  restart(at: string, now: number): void {
    const old = this.alive(now);
    this.restartedAt = at;
    const { startup } = this.versions(this.revision ?? '');
    for (const [index, pod] of old.entries()) {
      const ready = startup === undefined ? Infinity : now + startup + 100 * index;
      this.pods.push({ revision: pod.revision, created: now, ready, deleted: pod.deleted, outages: [] });
      pod.deleted = Math.min(pod.deleted, ready);
    }
  }
  oldest(now: number): { oldestPod?: number } {
    const made = this.alive(now).map((pod) => pod.created);
    return made.length > 0 ? { oldestPod: Math.min(...made) } : {};
  }
  outage(pods: number, from: number, to: number): void {
    for (const pod of this.alive(from).slice(0, pods)) pod.outages.push([from, to]);
  }
  /** Moments after `now` at which something changes by itself. */
  changes(now: number): number[] {
    return this.pods.flatMap((pod) => [pod.ready, pod.deleted, ...pod.outages.flat()]).filter((at) => at > now && at < Infinity);
  }
}

/** A value with its past, for proxies that learn late. */
export class History<T> {
  readonly #entries: { at: number; value: T }[];
  constructor(value: T, now: number) {
    this.#entries = [{ at: now, value }];
  }
  get now(): T {
    return this.#entries.at(-1)?.value as T;
  }
  get since(): number {
    return this.#entries.at(-1)?.at ?? 0;
  }
  set(value: T, at: number): void {
    this.#entries.push({ at, value });
  }
  /** Every value that somebody may still act on. */
  within(now: number, lag: number): T[] {
    const index = this.#entries.findIndex((_, i) => (this.#entries[i + 1]?.at ?? Infinity) > now - lag);
    return this.#entries.slice(Math.max(0, index)).map((entry) => entry.value);
  }
  get all(): readonly { at: number; value: T }[] {
    return this.#entries;
  }
}

export type Slots = Record<SlotName, Workload>;
export type Routes = Weights | undefined;
