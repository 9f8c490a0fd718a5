import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { environment, table, type Report } from './report.js';
import { measureIdle, runRound } from './round.js';
import { startWorld } from './world.js';

/** Until caches, timers and events of the adoption are over, and for how long nothing is then measured, in seconds. */
const SETTLE_SECONDS = 10;
const IDLE_SECONDS = 20;

interface Flags {
  releases: number[];
  output: 'table' | 'json';
  cpuProf?: string;
  program?: string;
}

const { releases, output, cpuProf, program } = new Command('bench')
  .description('Measures the controller on a real API server: kube-apiserver, kube-controller-manager, etcd; pods are hollow.')
  .option('--releases <numbers>', 'simultaneous releases, one round each', numbers, [1, 50, 500])
  .addOption(new Option('--output <format>', 'table or json').choices(['table', 'json']).default('table'))
  .option('--cpu-prof <folder>', 'write a CPU profile of the controller here')
  .option('--program <file>', 'measure this compiled main.js instead of the sources here, to compare two versions')
  .parse()
  .opts<Flags>();

function numbers(text: string): number[] {
  const parsed = text.split(',').map(Number);
  if (parsed.some((one) => !Number.isInteger(one) || one < 1 || one > 5_000))
    throw new InvalidArgumentError('expected numbers such as 1,50,500');
  return parsed;
}

const began = performance.now();
const say = (text: string): void => console.error(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`);
const canaries = Math.max(...releases);
const before = environment('');
if (cpuProf) await mkdir(cpuProf, { recursive: true });
say('starting the control plane and the controller');
const world = await startWorld({ count: canaries, profile: cpuProf && path.resolve(cpuProf), program, say });
try {
  await sleep(SETTLE_SECONDS * 1000);
  say(`idle for ${IDLE_SECONDS} s`);
  const idle = await measureIdle(world, IDLE_SECONDS);
  const report: Report = { environment: { ...before, kubernetes: world.version }, canaries, idle, rounds: [] };
  for (const [index, count] of releases.entries()) {
    say(`${count} at once`);
    report.rounds.push(await runRound(world, count, String(index + 2)));
  }
  console.log(output === 'json' ? JSON.stringify(report, undefined, 2) : table(report));
} finally {
  await world.stop();
}
