import { setTimeout as sleep } from 'node:timers/promises';
import { appName, DRAIN_MS, forEachApp, INTERVAL_MS, NAMESPACE, release, STEPS } from './fleet.js';
import { auditPosition, requestsSince, type Requests } from './audit.js';
import { percentile } from './percentile.js';
import type { World } from './world.js';

/** What the plan takes when nothing is ever late, in milliseconds. */
export const PLAN_MS = STEPS * INTERVAL_MS + DRAIN_MS;
/** A round that is not over by then is cut off: what has not ended counts as failed. */
const ROUND_MS = PLAN_MS + 90_000;
const SAMPLE_MS = 250;

/** One row of the report. Times in seconds, memory in bytes, CPU in seconds. */
export interface Round {
  releases: number;
  succeeded: number;
  /** What became of the others, by reason. */
  failures: Record<string, number>;
  firstWeight: { p50: number; p99: number };
  stepLag: { p50: number; p99: number; checks: number };
  success: { p50: number; p99: number };
  requests: Requests;
  metricQueries: number;
  /** Decisions made, by the controller's own count. */
  decisions: number;
  cpuSeconds: number;
  /** Share of one core over the round, 0..1. */
  cpuShare: number;
  rssPeak: number;
  /** CPU seconds of everybody else on the machine that had a part in it, the bench itself included. */
  othersCpuSeconds: Record<string, number>;
  wallSeconds: number;
}

/** Changes the image of so many Deployments at once and follows each to its end. */
export async function runRound(world: World, releases: number, version: string): Promise<Round> {
  const { controller, timeline, plane, metrics } = world;
  for (let index = 0; index < releases; index += 1) timeline.expect(appName(index));
  const before = {
    audit: await auditPosition(plane.auditLogPath),
    queries: metrics.queries(),
    decisions: await decisionsOf(world),
    cpu: await controller.daemon.cpuSeconds(),
    others: await othersCpu(world),
  };
  const started = performance.now();
  const memory = sampleMemory(world);
  await forEachApp(releases, async (index) =>
    timeline.changed(appName(index), await release(plane.client, NAMESPACE, index, version)),
  );
  while (timeline.pending().length > 0 && performance.now() < started + ROUND_MS) await sleep(SAMPLE_MS);
  const times = timeline.take();
  // The old version is taken down before the release has cost all that it costs.
  const rested = await world.quiet().then(
    () => undefined,
    (error: unknown) => error,
  );
  const wallSeconds = (performance.now() - started) / 1000;
  const cpuSeconds = (await controller.daemon.cpuSeconds()) - before.cpu;
  const failures: Record<string, number> = {};
  const note = (why: string) => (failures[why] = (failures[why] ?? 0) + 1);
  if (rested instanceof Error) note(rested.message);
  const all = [...times.values()];
  const done = all.filter((one) => one.succeededAt !== undefined);
  for (const one of all) if (one.succeededAt === undefined) note(one.failure ?? `not over after ${ROUND_MS / 1000} s`);
  const lags = all.flatMap((one) => one.lags);
  const both = (values: number[]) => ({ p50: percentile(values, 0.5) / 1000, p99: percentile(values, 0.99) / 1000 });
  return {
    releases,
    succeeded: done.length,
    failures,
    firstWeight: both(all.flatMap((one) => (one.firstWeightAt === undefined ? [] : [one.firstWeightAt - one.changedAt]))),
    stepLag: { ...both(lags), checks: lags.length },
    success: both(done.map((one) => (one.succeededAt ?? 0) - one.changedAt)),
    requests: await requestsSince(plane.auditLogPath, before.audit),
    metricQueries: metrics.queries() - before.queries,
    decisions: (await decisionsOf(world)) - before.decisions,
    cpuSeconds,
    cpuShare: cpuSeconds / wallSeconds,
    rssPeak: await memory.stop(),
    othersCpuSeconds: difference(await othersCpu(world), before.others),
    wallSeconds,
  };
}

/** The controller while nothing happens: its memory in bytes, and its share of one core. */
export async function measureIdle(world: World, seconds: number): Promise<{ rss: number; cpuShare: number; requests: Requests }> {
  const { daemon } = world.controller;
  const audit = await auditPosition(world.plane.auditLogPath);
  const before = await daemon.cpuSeconds();
  await sleep(seconds * 1000);
  const cpuShare = ((await daemon.cpuSeconds()) - before) / seconds;
  return { rss: await daemon.rss(), cpuShare, requests: await requestsSince(world.plane.auditLogPath, audit) };
}

const decisionsOf = async ({ controller }: World): Promise<number> =>
  (await controller.counters()).get('sluice_reconciles_total') ?? 0;

async function othersCpu({ plane, node }: World): Promise<Record<string, number>> {
  const { apiserver, etcd, controllerManager } = plane.daemons;
  const { user, system } = process.cpuUsage();
  return {
    'kube-apiserver': await apiserver.cpuSeconds(),
    etcd: await etcd.cpuSeconds(),
    'kube-controller-manager': await controllerManager.cpuSeconds(),
    node: await node.cpuSeconds(),
    bench: (user + system) / 1e6,
  };
}

const difference = (after: Record<string, number>, before: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(after).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)]));

function sampleMemory({ controller }: World): { stop(): Promise<number> } {
  let running = true;
  let peak = 0;
  const sampling = (async () => {
    while (running) {
      peak = Math.max(peak, await controller.daemon.rss());
      await sleep(SAMPLE_MS);
    }
  })();
  return {
    stop: async () => {
      running = false;
      await sampling;
      return peak;
    },
  };
}
