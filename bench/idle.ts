import { setTimeout as sleep } from 'node:timers/promises';
import { auditPosition, requestsSince, type Requests } from './audit.js';
import { stampFleet } from './stamp.js';
import type { World } from './world.js';

/** Until a controller has nothing left to write: its writes must have stopped for this long, in seconds. */
const QUIET_SECONDS = 5;
const SETTLE_LIMIT_SECONDS = 300;
const SAMPLE_MS = 1_000;

/** A fleet that does nothing. Memory in bytes. */
export interface IdleFleet {
  canaries: number;
  /** Seconds from the start of the process until its caches are in. */
  startSeconds: number;
  rss: { start: number; peak: number; end: number };
  /** Share of one core, 0..1. */
  cpuShare: number;
  seconds: number;
  requests: Requests;
}

/** Makes the world's one Canary into many, starts the controller anew and watches it do nothing. */
export async function measureIdleFleet(
  world: World,
  canaries: number,
  seconds: number,
  say: (text: string) => void,
): Promise<IdleFleet> {
  await world.controller.daemon.stop();
  await world.plane.daemons.controllerManager.stop();
  say(`making ${canaries} Canaries`);
  await stampFleet(world.plane.client, canaries);
  say('starting the controller anew');
  const began = performance.now();
  const controller = await world.restartController();
  const startSeconds = (performance.now() - began) / 1000;
  await settle(world.plane.auditLogPath);
  say(`idle for ${seconds} s`);
  const audit = await auditPosition(world.plane.auditLogPath);
  const cpu = await controller.daemon.cpuSeconds();
  const rss: number[] = [];
  for (let second = 0; second < seconds; second += 1) {
    rss.push(await controller.daemon.rss());
    await sleep(SAMPLE_MS);
  }
  return {
    canaries,
    startSeconds,
    rss: { start: rss[0] ?? 0, peak: Math.max(...rss), end: rss.at(-1) ?? 0 },
    cpuShare: ((await controller.daemon.cpuSeconds()) - cpu) / seconds,
    seconds,
    requests: await requestsSince(world.plane.auditLogPath, audit),
  };
}

/** What is left of the adoption, or of a fleet that was made elsewhere, is brought up to date once, without haste. */
export async function settle(audit: string): Promise<void> {
  const deadline = performance.now() + SETTLE_LIMIT_SECONDS * 1000;
  for (let position = await auditPosition(audit); performance.now() < deadline; position = await auditPosition(audit)) {
    await sleep(QUIET_SECONDS * 1000);
    if ((await requestsSince(audit, position)).total === 0) return;
  }
}
