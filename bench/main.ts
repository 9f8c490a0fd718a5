import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { environment, idleTable, table, type Report } from './report.js';
import { measureIdleFleet, settle } from './idle.js';
import { measureIdle, runRound } from './round.js';
import { startWorld, type Workloads } from './world.js';

/** For how long the controller is then watched doing nothing, in seconds. */
const IDLE_SECONDS = 20;
const IDLE_FLEET_SECONDS = 60;

interface Flags {
  releases: number[];
  output: 'table' | 'json';
  cpuProf?: string;
  program?: string;
  baseline: boolean;
  workloads: Workloads;
  idle?: number;
}

const {
  releases,
  output,
  cpuProf,
  program,
  baseline,
  workloads,
  idle: idleFleet,
} = new Command('bench')
  .description('Measures the controller on a real API server: kube-apiserver, kube-controller-manager, etcd; pods are hollow.')
  .option('--releases <numbers>', 'simultaneous releases, one round each', numbers, [1, 50, 500])
  .addOption(new Option('--output <format>', 'table or json').choices(['table', 'json']).default('table'))
  .option('--cpu-prof <folder>', 'write a CPU profile of the controller here')
  .option('--program <file>', 'measure this compiled main.js instead of the sources here, to compare two versions')
  .option('--idle <number>', 'instead of releases: so many Canaries without pods that do nothing', (text) => numbers(text)[0])
  .addOption(new Option('--workloads <kind>', 'pods: Kubernetes makes them; instant: a Deployment has them at once, without ReplicaSets and scheduling').choices(['pods', 'instant']).default('pods'))
  .option('--no-baseline', 'leave out what the machine does without the controller')
  .parse()
  .opts<Flags>();

function numbers(text: string): number[] {
  const parsed = text.split(',').map(Number);
  if (parsed.some((one) => !Number.isInteger(one) || one < 1 || one > 5_000))
    throw new InvalidArgumentError('expected whole numbers of 1 to 5000, such as 1,50,500');
  return parsed;
}

const began = performance.now();
const say = (text: string): void => console.error(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`);
const canaries = idleFleet === undefined ? Math.max(...releases) : 1;
const before = environment('');
if (cpuProf) await mkdir(cpuProf, { recursive: true });
say('starting the control plane and the controller');
const world = await startWorld({
  count: canaries,
  profile: cpuProf && path.resolve(cpuProf),
  program,
  workloads: idleFleet === undefined ? workloads : 'pods',
  baseline: baseline && idleFleet === undefined,
  say,
});
try {
  if (idleFleet !== undefined) {
    const fleet = await measureIdleFleet(world, idleFleet, IDLE_FLEET_SECONDS, say);
    console.log(output === 'json' ? JSON.stringify({ environment: before, ...fleet }, undefined, 2) : idleTable(fleet));
  } else await measureReleases();
} finally {
  await world.stop();
}

async function measureReleases(): Promise<void> {
  await settle(world.plane.auditLogPath);
  say(`idle for ${IDLE_SECONDS} s`);
  const idle = await measureIdle(world, IDLE_SECONDS);
  const report: Report = {
    environment: { ...before, kubernetes: world.version },
    canaries,
    idle,
    baseline: world.baseline,
    rounds: [],
  };
  for (const [index, count] of releases.entries()) {
    say(`${count} at once`);
    report.rounds.push(await runRound(world, count, String(index + 2)));
  }
  console.log(output === 'json' ? JSON.stringify(report, undefined, 2) : table(report));
}
