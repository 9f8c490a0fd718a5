import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { answers, freePorts, startDaemon, type Daemon } from '../test/real/process.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const READY_MS = 60_000;
/** What the Dockerfile tells Node with NODE_OPTIONS. */
const AS_IN_THE_IMAGE = ['--max-semi-space-size=8'];

export interface RunningController {
  daemon: Daemon;
  /** Sums of its own counters since it started, by name: `sluice_metric_queries_total`. */
  counters(): Promise<Map<string, number>>;
}

/** Compiles the sources as a release does, without touching `dist`. Returns the program's path. */
export async function buildController(): Promise<string> {
  const folder = path.join(ROOT, 'node_modules', '.cache', 'sluice-bench');
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'package.json'), await readFile(path.join(ROOT, 'package.json')));
  const compiler = path.join(ROOT, 'node_modules', '.bin', 'tsc');
  await promisify(execFile)(compiler, [
    '-p',
    path.join(ROOT, 'tsconfig.build.json'),
    '--outDir',
    path.join(folder, 'dist'),
  ]).catch((error: Error & { stdout?: string }) => {
    throw new Error(`the controller does not compile; run npx tsc --noEmit:\n${error.stdout ?? error.message}`);
  });
  return path.join(folder, 'dist', 'main.js');
}

/** `sluice controller` as a process of its own, with its default settings. Resolves when its caches are in. */
export async function startController(options: {
  program: string;
  kubeconfig: string;
  metricsServer: string;
  dir: string;
  /** Folder for a CPU profile, written when the process ends. */
  profile?: string;
}): Promise<RunningController> {
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const flags = ['--kubeconfig', options.kubeconfig, '--metrics-server', options.metricsServer, '--listen', `127.0.0.1:${port}`];
  const profile = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] : [];
  const args = [
    ...AS_IN_THE_IMAGE,
    ...profile,
    options.program,
    'controller',
    ...flags,
    '--data-dir',
    path.join(options.dir, 'data'),
  ];
  const daemon = startDaemon('controller', process.execPath, args, { dir: options.dir });
  await daemon.ready(() => answers(`${url}/readyz`), READY_MS);
  return { daemon, counters: async () => sumByName(await (await fetch(`${url}/metrics`)).text()) };
}

/** Sums the series of each name of an exposition in Prometheus' text format. */
function sumByName(exposition: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const line of exposition.split('\n')) {
    const [, name, value] = /^([a-z_]+)(?:\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return sums;
}
