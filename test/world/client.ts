import { matchesLabels } from '../../src/kube/selector.js';
import { KubeError, type DeleteOptions, type KubeClient, type KubeObject, type ListOptions, type ListResult, type PatchType, type Resource, type WatchEvent, type WriteOptions } from '../../src/kube/types.js';
import type { Process } from './process.js';
import type { Fault } from './settings.js';
import type { World } from './world.js';

/** The client gives up on an answer after this long, as the real one does. */
const TIMEOUT_MS = 10_000;
const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

const noAnswer = (): KubeError => new KubeError(0, 'NoAnswer', 'no answer within 10 s');
const unavailable = (): KubeError => new KubeError(503, 'ServiceUnavailable', 'the server is currently unable to handle the request');

/** The API as one controller process reaches it: late, and with whatever the schedule has in store for its writes. */
export class Wire implements KubeClient {
  readonly server = 'world';

  constructor(
    private readonly world: World,
    private readonly process: Process,
  ) {}

  get<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string): Promise<T> {
    return this.#call(undefined, () => this.world.api.get(resource, namespace, name) as T);
  }
  list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    return this.#call(undefined, () => ({ items: this.world.api.list(resource).filter((item) => selects(options, item)) as T[], resourceVersion: this.world.api.version }));
  }
  create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write(resource, options, () => this.world.api.create(this.process.id, resource, object) as T);
  }
  update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write(resource, options, () => this.world.api.update(this.process.id, resource, object, options) as T);
  }
  patch<T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string, body: unknown, _type: PatchType, options: WriteOptions = {}): Promise<T> {
    return this.#write(resource, options, () => this.world.api.patch(this.process.id, resource, namespace, name, body, options) as T);
  }
  delete(resource: Resource, namespace: string | undefined, name: string, options: DeleteOptions = {}): Promise<void> {
    return this.#write(resource, {}, () => this.world.api.delete(this.process.id, resource, namespace, name, options));
  }
  raw(): Promise<unknown> {
    return Promise.reject(new Error('the world has no raw paths'));
  }

  #write<T>(resource: Resource, options: WriteOptions, carryOut: () => T): Promise<T> {
    // A renewal of the lease is no effect of a release: faults are counted over those alone.
    const fault = resource.kind === 'Lease' ? undefined : this.world.nextFault(this.process, `${resource.kind}${options.subresource ? `/${options.subresource}` : ''}`);
    if (fault === 'killBefore' || fault === 'pauseBefore') {
      this.world.strike(this.process, fault);
      if (fault === 'killBefore') return never();
    }
    const view = resource.kind === 'Lease' ? undefined : this.world.auditor.sending(this.process);
    return this.#call(fault, () => {
      const routes = resource.kind === 'VirtualService' || resource.kind === 'DestinationRule';
      if (routes && this.world.now < this.world.routeWritesFailUntil) throw unavailable();
      this.world.view = view;
      const done = carryOut();
      this.world.view = undefined;
      if (fault === 'killAfter' || fault === 'pauseAfter') this.world.strike(this.process, fault);
      return done;
    });
  }

  /** How long a request is on its way, in milliseconds. */
  #way(fault: Fault | undefined): number {
    const { latency, late } = this.world;
    if (fault === 'slow') return latency.between(1_000, 9_000);
    if (fault === 'pauseBefore' && late) return latency.between(22_000, 39_000);
    return latency.between(1, 8);
  }

  /** A request that takes its time both ways. */
  #call<T>(fault: Fault | undefined, carryOut: () => T): Promise<T> {
    const { world, process } = this;
    if (process.dead) return never();
    return new Promise<T>((resolve, reject) => {
      const there = this.#way(fault);
      const sent = world.now;
      const answer = (settle: () => void): void => {
        const back = world.latency.between(1, 8);
        if (world.now + back - sent <= TIMEOUT_MS) process.deliver(back, settle);
        else process.deliver(Math.max(0, sent + TIMEOUT_MS - world.now), () => reject(noAnswer()));
      };
      world.timeline.after(there, () => {
        try {
          if (world.now < world.apiDownUntil || fault === 'unavailable') throw unavailable();
          if (fault === 'error') throw new KubeError(500, 'InternalError', 'etcdserver: request timed out');
          if (fault === 'conflict') throw new KubeError(409, 'Conflict', 'the object has been modified');
          const result = carryOut();
          if (fault === 'lostAnswer') {
            process.deliver(sent + TIMEOUT_MS - world.now, () => reject(noAnswer()));
            return;
          }
          answer(() => resolve(result));
        } catch (error) {
          if (!(error instanceof KubeError)) throw error;
          answer(() => reject(error));
        }
      });
    });
  }

  /** Events come in order, each as late as its stream is at that time; a break ends the stream. */
  watch<T extends KubeObject>(resource: Resource<T>, options: ListOptions & { resourceVersion: string; signal: AbortSignal }, onEvent: (event: WatchEvent<T>) => void): Promise<void> {
    const { world, process } = this;
    if (process.dead) return never();
    if (world.now < world.apiDownUntil) return Promise.reject(unavailable());
    return new Promise<void>((resolve, reject) => {
      let last = world.now;
      let ended = false;
      let stop = (): void => undefined;
      const end = (settle: () => void): void => {
        if (ended) return;
        ended = true;
        stop();
        forget();
        settle();
      };
      const forget = world.watchOpened(process, resource.plural, () => end(() => process.deliver(1, () => reject(new KubeError(0, 'NoAnswer', 'the watch broke')))));
      options.signal.addEventListener('abort', () => end(resolve), { once: true });
      try {
        stop = world.api.watch(resource, options.resourceVersion, (event) => {
          if (event.type === 'ERROR' || event.type === 'BOOKMARK') return;
          const seen = selects(options, event.object);
          // What a selector no longer selects is gone for whoever watches by it.
          if (!seen && !(options.labelSelector && event.type === 'MODIFIED')) return;
          const told = seen ? event : { ...event, type: 'DELETED' as const };
          const at = Math.max(last, world.now + world.watchLag(resource.plural), world.watchesStallUntil);
          last = at;
          process.deliver(at - world.now, () => {
            if (!ended) onEvent(told as WatchEvent<T>);
          });
        });
      } catch (error) {
        end(() => reject(error instanceof Error ? error : new Error(String(error))));
      }
    });
  }
}

function selects({ namespace, labelSelector, fieldSelector }: ListOptions, { metadata }: KubeObject): boolean {
  if (namespace !== undefined && metadata.namespace !== namespace) return false;
  if (fieldSelector !== undefined && fieldSelector !== `metadata.name=${metadata.name}`) return false;
  return !labelSelector || matchesLabels(labelSelector, metadata.labels);
}
