import { describe, expect, it, vi } from 'vitest';
import type { CanaryStatus } from '../../src/api/index.js';
import { Resources } from './api.js';
import { weightsOf } from './auditor.js';
import { NAMESPACE, specOf } from './cluster.js';
import { SERVICE } from './mesh.js';
import { DEADLINE_S, FAULTS, INTERVAL_MS, type Setting } from './settings.js';
import { World } from './world.js';

// Hours of the world are seconds here, and more of them on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

/** The faults T1 to T8 of what users of progressive delivery suffer from, each in the world that asserts the nine truths after every step. */
const PLAIN: Setting = { seed: 1, election: false, ownRoutes: true, tool: 'sluice', webhooks: false, replicas: 2, proxyLag: 4_000, watchLag: 0, faults: [] };
const LONG_MS = 600_000;

const weights = (world: World): { blue: number; green: number } => weightsOf(world.api.find(Resources.VirtualService, NAMESPACE, SERVICE));
const status = (world: World): CanaryStatus => (world.canary?.['status'] ?? {}) as CanaryStatus;
const replicas = (world: World, slot: string): number => {
  const found = world.api.find(Resources.Deployment, NAMESPACE, `${SERVICE}-${slot}`);
  return found ? specOf(found).replicas : 0;
};
const told = (world: World): string[] => world.auditor.runs.messages.map(({ event }) => event);
const endings = (world: World): string[] => told(world).filter((event) => event !== 'Started' && event !== 'Initialized');

async function adopted(setting: Partial<Setting> = {}, more: Record<string, unknown> = {}, plan?: number[]): Promise<World> {
  const world = new World({ ...PLAIN, ...setting });
  if (plan) world.plan = plan;
  await world.begin(more);
  await reach(world, () => told(world).includes('Initialized'));
  return world;
}
async function reach(world: World, what: () => boolean, withinMs = LONG_MS): Promise<void> {
  const at = await world.until(what, withinMs);
  if (at === undefined) throw new Error(`it never came to that:\n${world.log.slice(-40).join('\n')}`);
}
/** Everything comes to rest as it should, and the Canary can be taken away. */
async function rest(world: World): Promise<void> {
  world.heal();
  await world.settle(LONG_MS);
  world.auditor.atRest();
  if (world.broken) throw world.broken;
}

describe('T1: after the analysis passed, pods of the promoted version never become ready', () => {
  it('gives everything back when all of them fail under full traffic', async () => {
    const world = await adopted();
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 100);
    world.outage('green', 2, LONG_MS);
    await reach(world, () => endings(world).length > 0);
    expect(weights(world)).toEqual({ blue: 100, green: 0 });
    await world.pass(60_000);
    expect(endings(world)).toEqual(['Failed']);
  });

  it('waits with the last shift for pods that never come, and takes the release back at the deadline', async () => {
    const world = await adopted();
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 50);
    delete world.versions['b2']?.startup;
    world.scale(4);
    await reach(world, () => endings(world).length > 0);
    expect(weights(world)).toEqual({ blue: 100, green: 0 });
    expect(endings(world)).toEqual(['Failed']);
    expect(world.mesh.unanswered).toBe(0);
  });
});

describe('T2: the canary crash-loops while every routing write fails', () => {
  it('is given up by its deadline, and loses its traffic once writes succeed, without a restart', async () => {
    const world = await adopted();
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 20);
    const since = world.now;
    world.routeWritesFail(LONG_MS);
    world.outage('green', 2, LONG_MS);
    await reach(world, () => status(world).run?.ending !== undefined, DEADLINE_S * 1_000 + 2 * INTERVAL_MS);
    expect(world.now - since).toBeLessThanOrEqual(DEADLINE_S * 1_000 + 2 * INTERVAL_MS);
    await world.pass(60_000);
    expect(weights(world).green).toBe(20);
    world.routeWritesFailUntil = 0;
    await reach(world, () => weights(world).blue === 100, 30_000);
    await rest(world);
    expect(endings(world)).toEqual(['Failed']);
    expect(world.processes).toHaveLength(1);
  });
});

describe('T3: B has 30 %, a stable pod is not ready, and C is committed', () => {
  it("never sends to nobody, and B's pods outlive B's route", async () => {
    const world = await adopted({}, {}, [30]);
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 30);
    world.outage('blue', 1, 20_000);
    world.git.commit({ image: 'c3' });
    await reach(world, () => weights(world).green === 0);
    const unrouted = world.now;
    expect(replicas(world, 'green')).toBe(2);
    await reach(world, () => replicas(world, 'green') === 0);
    expect(world.now - unrouted).toBeGreaterThanOrEqual(9_800);
    await reach(world, () => endings(world).length === 2);
    expect(endings(world)).toEqual(['Superseded', 'Succeeded']);
    expect(world.mesh.unanswered).toBe(0);
  });
});

describe('T4: proxies are 10 s late', () => {
  const late = { proxyLag: 10_000 };
  const slow = { revisions: { drainFor: '12s', warmFor: '20s', settle: '1s' } };

  it('loses no request at the final promotion', async () => {
    const world = await adopted(late, slow);
    world.git.commit({ image: 'b2' });
    await reach(world, () => endings(world).length > 0);
    await rest(world);
    expect(endings(world)).toEqual(['Succeeded']);
    expect(replicas(world, 'blue')).toBe(0);
    expect(world.mesh.unanswered).toBe(0);
  });

  it('loses no request at an abort', async () => {
    const world = await adopted(late, slow);
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 50);
    world.act('abort');
    await rest(world);
    expect(endings(world)).toEqual(['Failed']);
    expect(replicas(world, 'green')).toBe(0);
    expect(world.mesh.unanswered).toBe(0);
  });

  it('does lose requests when the drain is shorter than that: the world can tell', async () => {
    const world = await adopted(late, slow);
    world.edit({ revisions: { drainFor: '2s', warmFor: '2s', settle: '1s' } });
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 50);
    world.act('abort');
    await expect(rest(world)).rejects.toThrow('truth 1 is broken');
  });
});

describe('T5: the needed capacity changes in the middle of a run', () => {
  for (const tool of ['sluice', 'kubectl'] as const)
    it(`covers each share, when the manifest is applied again by ${tool} and the autoscaler scales up`, async () => {
      const world = await adopted({ tool });
      world.git.commit({ image: 'b2' });
      await reach(world, () => weights(world).green === 20);
      world.git.sync();
      await world.pass(2_000);
      world.scale(6);
      await reach(world, () => weights(world).green === 100);
      expect(world.cluster.endpoints(`${SERVICE}-green`)).toHaveLength(6);
      await reach(world, () => endings(world).length > 0);
      expect(endings(world)).toEqual(['Succeeded']);
    });

  it('promotes with a stable version that was scaled down', async () => {
    const world = await adopted({ replicas: 3 });
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 50);
    world.scale(1);
    await reach(world, () => endings(world).length > 0);
    await rest(world);
    expect(endings(world)).toEqual(['Succeeded']);
    expect(replicas(world, 'green')).toBe(1);
    expect(world.mesh.unanswered).toBe(0);
  });
});

describe('T6: an abort in every phase', () => {
  const PHASES: Record<string, { webhooks?: boolean; until?: (world: World) => boolean }> = {
    'while it is idle': {},
    'while a webhook has not agreed': { webhooks: true, until: (world) => status(world).phase === 'Waiting' },
    'while pods start': { until: (world) => told(world).includes('Started') },
    'at the first weight': { until: (world) => weights(world).green === 20 },
    'at the last weight': { until: (world) => weights(world).green === 50 },
    'under full traffic': { until: (world) => weights(world).green === 100 },
    'while it is being taken back': { until: (world) => status(world).run?.ending !== undefined },
    'after it was aborted': { until: (world) => endings(world).length > 0 },
  };
  for (const [when, { webhooks = false, until }] of Object.entries(PHASES))
    it(`${when}: the canary has nothing, stable serves`, async () => {
      const world = await adopted({ webhooks });
      if (until) {
        if (webhooks) world.hooksOk = false;
        world.git.commit({ image: 'b2' });
        if (when === 'while it is being taken back' || when === 'after it was aborted') {
          await reach(world, () => weights(world).green === 20);
          world.routeWritesFail(when === 'after it was aborted' ? 0 : 20_000);
          world.act('abort');
        }
        await reach(world, () => until(world));
      }
      world.act('abort');
      await world.pass(40_000);
      expect(weights(world)).toEqual({ blue: 100, green: 0 });
      expect(world.mesh.unanswered).toBe(0);
      await world.settle(LONG_MS);
      expect(endings(world)).toEqual(until && !webhooks ? ['Failed'] : []);
      expect(replicas(world, 'blue')).toBe(2);
    });
});

describe('T7: leaders come and go in the middle of a run', () => {
  it('a leader that was stopped past its lease writes nothing more; the next one carries the same step on', async () => {
    const world = await adopted({ election: true });
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 20);
    const [first] = [world.leader];
    if (!first) throw new Error('nobody leads');
    world.stop(first, 40_000);
    await reach(world, () => world.leader !== undefined && world.leader !== first);
    await reach(world, () => endings(world).length > 0);
    await rest(world);
    expect(told(world)).toEqual(['Initialized', 'Started', 'Succeeded']);
    expect(world.auditor.runs.repeated).toEqual([]);
  });

  /** Writes of a release from adoption to its end. */
  async function writesOf(setting: Partial<Setting>): Promise<number> {
    const world = await adopted(setting);
    world.git.commit({ image: 'b2' });
    await reach(world, () => endings(world).length > 0);
    await rest(world);
    return world.writes;
  }
  async function release(setting: Partial<Setting>): Promise<void> {
    const world = await adopted(setting);
    world.git.commit({ image: 'b2' });
    await reach(world, () => endings(world).length > 0);
    await rest(world);
    expect(endings(world)).toEqual(['Succeeded']);
  }

  for (const fault of FAULTS)
    it(`every single write meets ${fault}, and the release ends the same`, async () => {
      const election = fault.startsWith('pause');
      const writes = await writesOf({ election });
      expect(writes).toBeGreaterThan(20);
      for (let at = 0; at < writes; at += 1) {
        try {
          await release({ election, faults: [[at, fault]] });
        } catch (error) {
          throw new Error(`${fault} at write ${at}: ${String(error)}`, { cause: error });
        }
      }
    });
});

describe('T8: what is no new version starts no run', () => {
  it('a configuration that cannot be read, defaults that the API server adds, and a controller that is replaced', async () => {
    const world = await adopted();
    world.configMissing(true);
    await world.pass(30_000);
    world.configMissing(false);
    await world.pass(30_000);
    const defaults = { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File', imagePullPolicy: 'Always', resources: {} };
    const target = world.api.get(Resources.Deployment, NAMESPACE, SERVICE);
    const { template } = specOf(target);
    const containers = template.spec.containers.map((container) => ({ ...container, ...defaults }));
    world.api.patch('kube', Resources.Deployment, NAMESPACE, SERVICE, { spec: { template: { spec: { containers, dnsPolicy: 'ClusterFirst', restartPolicy: 'Always' } } } });
    await world.pass(30_000);
    if (world.leader) world.kill(world.leader);
    await world.pass(60_000);
    expect(told(world)).toEqual(['Initialized']);
  });

  it('a field of the template that a newer API server shows, and a controller that knows nothing of it', async () => {
    const world = await adopted();
    const { generation } = world.api.get(Resources.Deployment, NAMESPACE, SERVICE).metadata;
    if (world.leader) world.kill(world.leader);
    world.api.migrate(Resources.Deployment, NAMESPACE, SERVICE, { spec: { template: { spec: { somethingNew: 'default' } } } });
    await world.pass(60_000);
    expect(world.api.get(Resources.Deployment, NAMESPACE, SERVICE).metadata.generation).toBe(generation);
    expect(told(world)).toEqual(['Initialized']);
    world.git.commit({ image: 'b2' });
    await reach(world, () => endings(world).length > 0);
    await world.settle(LONG_MS);
    expect(told(world)).toEqual(['Initialized', 'Started', 'Succeeded']);
  });

  it('a change made while the configuration could not be read starts exactly one', async () => {
    const world = await adopted();
    world.configMissing(true);
    await world.pass(10_000);
    const target = world.api.get(Resources.Deployment, NAMESPACE, SERVICE);
    const containers = specOf(target).template.spec.containers.map((container) => ({ ...container, image: 'b2' }));
    world.api.patch('ada', Resources.Deployment, NAMESPACE, SERVICE, { spec: { template: { spec: { containers } } } });
    await world.pass(10_000);
    expect(told(world)).toEqual(['Initialized']);
    world.configMissing(false);
    await reach(world, () => endings(world).length > 0);
    await world.settle(LONG_MS);
    expect(told(world)).toEqual(['Initialized', 'Started', 'Succeeded']);
  });

  it('a metrics server that goes away in the middle of an analysis repeats no step of it', async () => {
    const world = await adopted();
    world.git.commit({ image: 'b2' });
    await reach(world, () => weights(world).green === 50);
    world.metricsAre('down');
    if (world.leader) world.kill(world.leader);
    await world.pass(30_000);
    expect(weights(world).green).toBe(50);
    world.metricsAre('up');
    await reach(world, () => endings(world).length > 0);
    expect(told(world)).toEqual(['Initialized', 'Started', 'Succeeded']);
  });
});
