import fc from 'fast-check';
import type { Verb } from '../../src/api/index.js';
import { FAULTS, type MetricsState, type Setting } from './settings.js';
import { World } from './world.js';

type Place = 'blue' | 'green' | 'target';
/** What people and the world may do. Times in milliseconds. */
export type Happening =
  | { type: 'commit'; image: string }
  | { type: 'config'; stars: string }
  | { type: 'timeout'; value: string }
  | { type: 'revert' }
  | { type: 'resync' }
  | { type: 'act'; verb: Verb }
  | { type: 'scale'; replicas: number }
  | { type: 'treeReplicas'; replicas: number }
  | { type: 'plan'; weights: number[] }
  | { type: 'suspend'; on: boolean }
  | { type: 'skipAnalysis'; on: boolean }
  | { type: 'outsider'; blue: number }
  | { type: 'outage'; of: Place; pods: number; forMs: number }
  | { type: 'evict'; of: Place; pods: number }
  | { type: 'metrics'; state: MetricsState }
  | { type: 'hooks'; ok: boolean }
  | { type: 'configMissing'; missing: boolean }
  | { type: 'apiDown'; forMs: number }
  | { type: 'routesFail'; forMs: number }
  | { type: 'stall'; forMs: number }
  | { type: 'break'; forget: boolean }
  | { type: 'receiverDown'; forMs: number }
  | { type: 'kill' }
  | { type: 'stop'; forMs: number }
  | { type: 'clock'; ms: number }
  | { type: 'delete' };
export interface Schedule {
  setting: Setting;
  happenings: { afterMs: number; what: Happening }[];
}

const ms = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const what = <T extends Happening['type']>(weight: number, type: T, rest: { [K in Exclude<keyof Extract<Happening, { type: T }>, 'type'>]: fc.Arbitrary<Extract<Happening, { type: T }>[K]> }): { weight: number; arbitrary: fc.Arbitrary<Happening> } => ({
  weight,
  arbitrary: fc.record({ type: fc.constant(type), ...rest }) as unknown as fc.Arbitrary<Happening>,
});
const place = fc.constantFrom<Place>('blue', 'green', 'target');
const happening: fc.Arbitrary<Happening> = fc.oneof(
  what(12, 'commit', { image: fc.constantFrom('a1', 'b2', 'c3', 'd4', 'e5', 'f6', 'g7') }),
  what(3, 'config', { stars: fc.constantFrom('4', '5') }),
  what(1, 'timeout', { value: fc.constantFrom('2s', '3s') }),
  what(3, 'revert', {}),
  what(2, 'resync', {}),
  what(6, 'act', { verb: fc.constantFrom<Verb>('abort', 'approve', 'hold', 'resume', 'promote', 'retry') }),
  what(2, 'scale', { replicas: ms(0, 4) }),
  what(1, 'treeReplicas', { replicas: ms(1, 4) }),
  what(1, 'plan', { weights: fc.constantFrom([20, 50], [10], [10, 30, 60], [50]) }),
  what(1, 'suspend', { on: fc.boolean() }),
  what(1, 'skipAnalysis', { on: fc.boolean() }),
  what(2, 'outsider', { blue: ms(0, 100) }),
  what(3, 'outage', { of: place, pods: ms(1, 4), forMs: ms(500, 90_000) }),
  what(2, 'evict', { of: place, pods: ms(1, 3) }),
  what(3, 'metrics', { state: fc.constantFrom<MetricsState>('up', 'down', 'nan', 'empty') }),
  what(1, 'hooks', { ok: fc.boolean() }),
  what(1, 'configMissing', { missing: fc.boolean() }),
  what(2, 'apiDown', { forMs: ms(500, 20_000) }),
  what(2, 'routesFail', { forMs: ms(500, 90_000) }),
  what(2, 'stall', { forMs: ms(500, 3_000) }),
  what(2, 'break', { forget: fc.boolean() }),
  what(1, 'receiverDown', { forMs: ms(500, 60_000) }),
  what(3, 'kill', {}),
  what(2, 'stop', { forMs: ms(1_000, 30_000) }),
  what(1, 'clock', { ms: fc.constantFrom(-3_000, -800, 800, 1_500) }),
  what(1, 'delete', {}),
);

export const schedules: fc.Arbitrary<Schedule> = fc.record({
  setting: fc
    .record({
      seed: fc.integer({ min: 0, max: 0x7fffffff }),
      election: fc.boolean(),
      ownRoutes: fc.boolean(),
      tool: fc.constantFrom<Setting['tool']>('sluice', 'sluice', 'kubectl'),
      webhooks: fc.boolean(),
      replicas: ms(1, 3),
      proxyLag: fc.constantFrom(0, 1_000, 4_000),
      watchLag: fc.constantFrom(0, 300, 1_500),
      faults: fc.array(fc.tuple(ms(0, 70), fc.constantFrom(...FAULTS)), { maxLength: 6 }),
    })
    // Drawn from the seed, so that schedules are what they were before there were subsets.
    .map((setting) => ({ ...setting, subsets: setting.seed % 3 === 0, control: setting.seed % 6 === 4 })),
  happenings: fc.array(fc.record({ afterMs: fc.oneof(ms(0, 3_000), ms(3_000, 30_000)), what: happening }), { minLength: 1, maxLength: 9 }),
});

type Handlers = { [T in Happening['type']]: (world: World, item: Extract<Happening, { type: T }>) => void };
const withLeader = (world: World, run: (leader: NonNullable<World['leader']>) => void): void => {
  const { leader } = world;
  if (leader) run(leader);
};
/** In some worlds each image comes with a configuration of its own (trap G3). Drawn from the seed, as the subsets are. */
const configWith = ({ setting }: World, image: string): { config?: string } => (setting.seed % 11 === 0 ? { config: `of ${image}` } : {});

const HANDLERS: Handlers = {
  // Before adoption the target rolls by itself; a template that cannot start is between its user and Kubernetes.
  commit: (world, { image }) => (image === 'f6' && !world.auditor.initialized ? undefined : world.git.commit({ image, ...configWith(world, image) })),
  config: ({ git }, { stars }) => git.commit({ config: stars }),
  timeout: ({ git }, { value }) => git.commit({ timeout: value }),
  revert: ({ git }) => git.commit(git.commits.at(-2)?.tree ?? git.head),
  resync: ({ git }) => git.sync(),
  act: (world, { verb }) => void world.act(verb),
  scale: (world, { replicas }) => world.scale(replicas),
  treeReplicas: ({ git }, { replicas }) => git.commit({ replicas }),
  plan: (world, { weights }) => world.replan(weights),
  suspend: (world, { on }) => world.edit({ suspend: on }),
  skipAnalysis: (world, { on }) => world.edit({ skipAnalysis: on }),
  outsider: (world, { blue }) => world.outsider(blue),
  outage: (world, { of, pods, forMs }) => world.outage(of, pods, forMs),
  evict: (world, { of, pods }) => {
    world.evict(of, pods);
    if (of !== 'target' && pods === 1) world.removeControl(of);
  },
  metrics: (world, { state }) => world.metricsAre(state),
  hooks: (world, { ok }) => void (world.hooksOk = ok),
  configMissing: (world, { missing }) => world.configMissing(missing),
  apiDown: (world, { forMs }) => world.apiDown(forMs),
  routesFail: (world, { forMs }) => world.routeWritesFail(forMs),
  stall: (world, { forMs }) => world.watchesStall(forMs),
  break: (world, { forget }) => world.watchesBreak(forget),
  receiverDown: (world, { forMs }) => world.receiverDown(forMs),
  kill: (world) => withLeader(world, (leader) => world.kill(leader)),
  stop: (world, { forMs }) => withLeader(world, (leader) => world.stop(leader, forMs)),
  clock: (world, { ms: by }) => withLeader(world, (leader) => world.jumpClock(leader, by)),
  delete: (world) => world.deleteCanary(),
};
const happen = <T extends Happening['type']>(world: World, item: Extract<Happening, { type: T }>): void => HANDLERS[item.type as T](world, item);

/** An adoption, and the first pods of the release after it. */
const ADOPTION_MS = 46_000;

/** Longer than any release can take once nothing stands in its way. */
const REST_MS = 900_000;

/** Few schedules begin a release after the adoption and are still in its first step when something happens. */
async function firstRelease(world: World): Promise<void> {
  const { latency, timeline, setting } = world;
  await world.pass(ADOPTION_MS);
  // In some worlds a control arm is asked for together with the release, is lost, or is given up while requests may be on their way to it.
  if (world.plan.length === 1) world.replan([20, 50]);
  world.git.commit({ image: 'b2' });
  if (setting.seed % 4 === 0) timeline.after(latency.between(0, 30_000), () => world.removeControl(setting.seed % 5 < 3 ? 'blue' : 'green'));
  if (setting.seed % 7 === 1)
    timeline.after(latency.between(3_000, 12_000), () => {
      world.replan([50]);
      world.act('abort');
    });
  await world.pass(latency.between(0, 15_000));
}

/** Play a schedule to its end; rejects when one of the truths breaks or the world does not come to rest. */
export async function play(schedule: Schedule, onWorld?: (world: World) => void): Promise<World> {
  const world = new World(schedule.setting);
  onWorld?.(world);
  if (schedule.setting.control && schedule.setting.seed % 7 === 0) world.plan = [50];
  await world.begin();
  if (schedule.setting.control) await firstRelease(world);
  for (const { afterMs, what: item } of schedule.happenings) {
    await world.pass(afterMs);
    world.note(`-- ${JSON.stringify(item)}`);
    happen(world, item);
  }
  await world.pass(5_000);
  world.note('-- heal');
  world.heal();
  await world.settle(REST_MS);
  if (world.canary && !world.canary.metadata.deletionTimestamp) {
    world.auditor.atRest();
    if (world.broken) throw world.broken;
    world.note('-- delete');
    world.deleteCanary();
    world.mendHead();
    await world.settle(300_000);
  }
  if (world.canary) world.fail('liveness', 'the deleted Canary is still there');
  else world.auditor.afterRelease();
  if (world.broken) throw world.broken;
  return world;
}
