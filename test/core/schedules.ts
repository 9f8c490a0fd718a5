import fc from 'fast-check';
import type { Verb } from '../../src/api/index.js';
import { spec } from './builders.js';
import { World, type Fault } from './world.js';
import { VERSIONS } from '../versions.js';

/** What the world may do to a Canary. Times in milliseconds. */
export type Happening =
  | { type: 'commit'; revision: string }
  | { type: 'act'; verb: Verb }
  | { type: 'scale'; replicas: number }
  | { type: 'targetReplicas'; replicas: number }
  | { type: 'outage'; slot: 'blue' | 'green'; pods: number; forMs: number }
  | { type: 'outsider'; blue: number }
  | { type: 'metrics'; state: World['metrics'] }
  | { type: 'routesFail'; forMs: number }
  | { type: 'restart' }
  | { type: 'rolloutRestart' }
  | { type: 'suspend'; on: boolean }
  | { type: 'hooks'; ok: boolean }
  | { type: 'config'; readable: boolean }
  | { type: 'plan'; weights: number[] };
export interface Schedule {
  happenings: { afterMs: number; what: Happening }[];
  faults: [number, Fault][];
  meshLag: number;
  cacheLag: number;
  webhooks: boolean;
  /** What somebody removes before the Canary is deleted. */
  vanished: ('target' | 'service' | 'routes')[];
}

const ms = (min: number, max: number) => fc.integer({ min, max });
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('commit' as const), revision: fc.constantFrom(...Object.keys(VERSIONS)) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('act' as const), verb: fc.constantFrom<Verb>('abort', 'approve', 'hold', 'resume', 'promote', 'retry') }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('scale' as const), replicas: fc.integer({ min: 0, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('targetReplicas' as const), replicas: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('outage' as const), slot: fc.constantFrom<'blue' | 'green'>('blue', 'green'), pods: fc.integer({ min: 1, max: 5 }), forMs: ms(500, 40_000) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('outsider' as const), blue: fc.integer({ min: 0, max: 100 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('metrics' as const), state: fc.constantFrom<World['metrics']>('up', 'down', 'nan', 'empty') }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('routesFail' as const), forMs: ms(500, 100_000) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('rolloutRestart' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('suspend' as const), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('hooks' as const), ok: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('config' as const), readable: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('plan' as const), weights: fc.constantFrom<number[]>([20, 50], [10], [10, 30, 60], [50, 100], [5, 20, 50, 80]) }) },
);

export const schedules: fc.Arbitrary<Schedule> = fc.record({
  happenings: fc.array(fc.record({ afterMs: fc.oneof(ms(0, 3_000), ms(0, 40_000)), what: happening }), { minLength: 1, maxLength: 25 }),
  faults: fc.array(fc.tuple(fc.integer({ min: 0, max: 120 }), fc.constantFrom<Fault>('fail', 'conflict', 'lostAnswer', 'crashBefore', 'crashAfter')), { maxLength: 12 }),
  meshLag: fc.constantFrom(0, 2_000, 5_000),
  cacheLag: fc.constantFrom(0, 200, 900),
  webhooks: fc.boolean(),
  vanished: fc.oneof({ weight: 3, arbitrary: fc.constant<Schedule['vanished']>([]) }, { weight: 1, arbitrary: fc.subarray<'target' | 'service' | 'routes'>(['target', 'service', 'routes']) }),
});

const url = 'http://gate.example/';
const WEBHOOKS = (['confirm-rollout', 'pre-rollout', 'rollout', 'confirm-traffic-increase', 'confirm-promotion', 'post-rollout'] as const).map((type) => ({ name: `${type}-hook`, type, url }));

function happen(world: World, what: Happening): void {
  switch (what.type) {
    case 'commit':
      // Before adoption the target rolls by itself; a template that cannot start is between its user and Kubernetes.
      if (what.revision === 'f6' && (world.status.phase ?? 'Initializing') === 'Initializing') return;
      return world.commit(what.revision);
    case 'act':
      return world.act(what.verb);
    case 'scale':
      return world.scale(what.replicas);
    case 'targetReplicas':
      return world.userReplicas(what.replicas);
    case 'outage':
      return world.outage(what.slot, what.pods, what.forMs);
    case 'outsider':
      return world.outsiderSetsWeights(what.blue);
    case 'metrics':
      world.metrics = what.state;
      return;
    case 'routesFail':
      world.routeWritesFailUntil = world.now + what.forMs;
      return;
    case 'restart':
      return world.restart();
    case 'rolloutRestart':
      return world.rolloutRestart();
    case 'suspend':
      return world.respec({ suspend: what.on });
    case 'hooks':
      world.hooksOk = what.ok;
      return;
    case 'config':
      world.configReadable = what.readable;
      return world.wakeNow();
    case 'plan':
      return world.respec({ analysis: { ...world.spec.analysis, stepWeights: what.weights } });
  }
}

/** Everything that people and the world had in the way is mended; then only time may pass. */
function heal(world: World): void {
  world.metrics = 'up';
  world.hooksOk = true;
  world.configReadable = true;
  world.routeWritesFailUntil = 0;
  world.heal();
  world.respec({ suspend: false });
  if (world.replicas === 0) world.scale(2);
  if (world.status.run?.held) world.act('resume');
}

/** Play a schedule to its end; throws when one of the truths breaks or the world does not come to rest. */
export function play(schedule: Schedule, log?: (line: string) => void): World {
  const webhooks = schedule.webhooks ? { webhooks: WEBHOOKS } : {};
  const world = new World({
    spec: spec({ replicas: undefined, analysis: { ...webhooks, metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }, { name: 'request-duration', thresholdRange: { max: 500 } }], warmup: '5s' } }),
    meshLag: schedule.meshLag,
    cacheLag: schedule.cacheLag,
    faults: new Map(schedule.faults),
  });
  for (const [name, version] of Object.entries(VERSIONS)) world.versions.set(name, version);
  try {
    for (const { afterMs, what } of schedule.happenings) {
      world.pass(afterMs);
      world.auditor.note(`-- ${JSON.stringify(what)}`);
      happen(world, what);
    }
    world.pass(5_000);
    world.auditor.note('-- heal');
    heal(world);
    world.pass(1_500_000);
    world.auditor.atRest();
    world.auditor.note('-- delete');
    for (const what of schedule.vanished) world.vanish(what);
    world.deleting = true;
    world.wakeNow();
    world.pass(300_000);
    if (world.desired === 'f6' && world.targetExists) {
      // Nobody is sent to a target that cannot start; its user can mend that.
      if (world.gone) world.auditor.fail('truth 1', 'the slots were removed although the target cannot start');
      world.commit('a1');
      world.pass(60_000);
    }
    if (!world.gone) world.auditor.fail('liveness', 'the deleted Canary is still there');
  } finally {
    log?.(world.auditor.timeline.join('\n'));
  }
  return world;
}
