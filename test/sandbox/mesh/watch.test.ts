import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Informer, KubeObject } from '../../../src/kube/types.js';
import { watchMesh, type MeshWatch } from '../../../src/sandbox/mesh/watch.js';
import type { MeshConfig } from '../../../src/sandbox/mesh/types.js';
import { service, virtualService } from './world.js';

class FakeInformer implements Informer<KubeObject> {
  readonly resource = { group: '', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
  synced = false;
  items: KubeObject[] = [];
  private readonly listeners = new Set<Parameters<Informer<KubeObject>['onChange']>[0]>();
  private finish: () => void = () => undefined;
  private readonly done = new Promise<void>((resolve) => (this.finish = resolve));
  get = (): undefined => undefined;
  list = (): KubeObject[] => this.items;
  onChange = (listener: Parameters<Informer<KubeObject>['onChange']>[0]): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  observe = (): void => undefined;
  start = (): void => undefined;
  whenSynced = (): Promise<void> => this.done;
  sync(): void {
    this.synced = true;
    this.finish();
  }
  set(items: KubeObject[]): void {
    this.items = items;
    for (const listener of this.listeners) listener({ name: 'x' }, undefined, undefined);
  }
  get watched(): boolean {
    return this.listeners.size > 0;
  }
}

const makeInformers = () => ({
  virtualServices: new FakeInformer(),
  destinationRules: new FakeInformer(),
  services: new FakeInformer(),
  endpointSlices: new FakeInformer(),
  pods: new FakeInformer(),
});

describe('watchMesh', () => {
  let informers: ReturnType<typeof makeInformers>;
  let compiled: MeshConfig[];
  let watch: MeshWatch | undefined;
  const begin = (pushDelayMs?: number): MeshWatch => {
    watch = watchMesh({
      informers,
      ...(pushDelayMs !== undefined && { pushDelayMs }),
      onCompiled: (config) => compiled.push(config),
    });
    return watch;
  };
  const syncAll = async (): Promise<void> => {
    for (const informer of Object.values(informers)) informer.sync();
    await vi.advanceTimersByTimeAsync(50);
  };

  beforeEach(() => {
    vi.useFakeTimers();
    informers = makeInformers();
    informers.services.items = [service('reviews')];
    compiled = [];
  });
  afterEach(() => {
    watch?.stop();
    vi.useRealTimers();
  });

  it('compiles nothing before every kind is known', async () => {
    const mesh = begin();
    for (const informer of Object.values(informers).slice(1)) informer.sync();
    informers.services.set([service('reviews')]);
    await vi.advanceTimersByTimeAsync(1000);
    expect([compiled.length, mesh.current().version]).toEqual([0, 0]);
    await syncAll();
    expect(mesh.current()).toMatchObject({ version: 1, virtualHosts: [{ host: 'reviews.default.svc.cluster.local' }] });
    await mesh.ready();
  });

  it('takes changes within 50 ms together', async () => {
    const mesh = begin();
    await syncAll();
    informers.services.set([service('a')]);
    await vi.advanceTimersByTimeAsync(30);
    informers.services.set([service('a'), service('b')]);
    await vi.advanceTimersByTimeAsync(20);
    expect(compiled).toHaveLength(2);
    expect(mesh.current().virtualHosts).toHaveLength(2);
  });

  it('lets proxies learn late, in order, and by the delay of each change', async () => {
    const mesh = begin(2000);
    const applied: number[] = [];
    mesh.subscribe(({ version }) => applied.push(version));
    await syncAll();
    await vi.advanceTimersByTimeAsync(1000);
    informers.virtualServices.set([
      virtualService('reviews', { hosts: ['reviews'], http: [{ route: [{ destination: { host: 'x' } }] }] }),
    ]);
    await vi.advanceTimersByTimeAsync(50);
    expect([compiled.length, mesh.current().version]).toEqual([2, 0]);
    await vi.advanceTimersByTimeAsync(950);
    expect(mesh.current().version).toBe(1);
    await vi.advanceTimersByTimeAsync(1049);
    expect(mesh.current().version).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect([mesh.current().version, applied]).toEqual([2, [1, 2]]);
  });

  it('pushes nothing when nothing changed for a proxy', async () => {
    begin();
    await syncAll();
    informers.pods.set([]);
    await vi.advanceTimersByTimeAsync(50);
    expect(compiled).toHaveLength(1);
  });

  it('ends with stop', async () => {
    const mesh = begin(100);
    await syncAll();
    mesh.stop();
    await vi.advanceTimersByTimeAsync(1000);
    expect(mesh.current().version).toBe(0);
    expect(informers.pods.watched).toBe(false);
  });
});
